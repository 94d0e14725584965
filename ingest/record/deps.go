package record

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Deps is what the recorder works with.
type Deps struct {
	Broker  Broker
	Store   Store
	Metrics prometheus.Registerer // optional
	Logger  *slog.Logger          // optional
}

// Broker is where the journals are. *kafka.Client is one, by OnKafka.
type Broker interface {
	Log
	Offsets
	// Join makes the recorder a member of its group.
	Join(ctx context.Context, cfg kafka.GroupConfig) (Membership, error)
}

// Log reads journals, and writes what the recorder has to say.
type Log interface {
	Fetch(ctx context.Context, at []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error)
	Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error)
	Write(ctx context.Context, tp kafka.TopicPartition, records []kafka.Record) error
}

// Offsets keeps how far a group has come.
type Offsets interface {
	Committed(ctx context.Context, group string, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Committed, error)
	// Commit is refused with kafka.ErrStaleGeneration once the group has moved on.
	Commit(ctx context.Context, a kafka.Assignment, offsets map[kafka.TopicPartition]kafka.Committed) error
}

// Membership hands out one generation of the group after another.
type Membership interface {
	Next(ctx context.Context) (Generation, error)
	Close()
}

// Generation is one agreement on who records what.
type Generation struct {
	kafka.Assignment
	Done    <-chan struct{} // closed when it is over
	Release func()          // the member has let go of everything
}

// OnKafka is the broker behind a client.
func OnKafka(c *kafka.Client) Broker { return onKafka{c} }

type onKafka struct{ *kafka.Client }

func (k onKafka) Join(ctx context.Context, cfg kafka.GroupConfig) (Membership, error) {
	g, err := k.Client.Join(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return membership{g}, nil
}

type membership struct{ group *kafka.Group }

func (m membership) Next(ctx context.Context) (Generation, error) {
	g, err := m.group.Next(ctx)
	if err != nil {
		return Generation{}, err
	}
	return Generation{Assignment: g.Assignment, Done: g.Done(), Release: g.Release}, nil
}

func (m membership) Close() { m.group.Close() }

// Store is where the rows go. *clickhouse.Client is one, by OnClickHouse.
type Store interface {
	// Insert stores a block under a token; see clickhouse.Client.Insert for what
	// its errors mean.
	Insert(ctx context.Context, table, token string, b *clickhouse.Block) error
	// Stored counts the positions that a table holds within a range.
	Stored(ctx context.Context, table string, r Range) (int, error)
	Comparer
}

// Comparer tells what the store holds, for the comparison with the log.
type Comparer interface {
	// Counts tells how many offsets of each block of a size a table holds, by
	// partition and number of the block, within spans of different partitions.
	Counts(ctx context.Context, table string, topic schemas.Topic, spans []Span, block int64) (map[int32]map[int64]int, error)
	// Held lists what a table holds of a range, whatever its log id.
	Held(ctx context.Context, table string, r Range) (map[Held]bool, error)
	// Rejected lists the records of a range that the store has refused.
	Rejected(ctx context.Context, r Range) ([]RejectedRow, error)
	// SetAside detaches the part that cannot be read, if err names one.
	SetAside(ctx context.Context, err error) (table, part string, _ error)
	// InGap tells whether a range is part of a gap that is recorded.
	InGap(ctx context.Context, r Range) (bool, error)
}

// Span is a stretch of one partition, of rows that did not arrive before Since (Unix
// milliseconds), and under one log id where LogID is set.
type Span struct {
	Partition int32
	From, To  int64
	Since     int64
	LogID     string
}

// RejectedRow is a record that the store refused, by ClickHouse's code.
type RejectedRow struct {
	Offset int64
	Code   int
}
