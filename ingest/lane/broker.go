package lane

import (
	"context"

	"holdfast/ingest/kafka"
)

// Broker is what a runner needs of a cluster. OnKafka makes one of a *kafka.Client,
// whose methods say what each promises.
type Broker interface {
	Fetch(ctx context.Context, positions []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error)
	InitProducer(ctx context.Context, transactionalID string) (kafka.Producer, error)
	Produce(ctx context.Context, tp kafka.TopicPartition, p kafka.Producer, baseSequence int32, records []kafka.Record) (int64, error)
	Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error)
	Partitions(ctx context.Context, topic string) (int, error)
	Commit(ctx context.Context, a kafka.Assignment, offsets map[kafka.TopicPartition]kafka.Committed) error
	Committed(ctx context.Context, group string, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Committed, error)
	Join(ctx context.Context, cfg kafka.GroupConfig) (Group, error)
}

// Group is one membership. Next waits for the next generation; Close leaves.
type Group interface {
	Next(ctx context.Context) (*Generation, error)
	Close()
}

// Generation is one agreement on who owns what; see kafka.Generation.
type Generation struct {
	kafka.Assignment
	Kept    []int32
	Done    <-chan struct{}
	Release func()
}

// OnKafka makes a Broker of a client. Each of the client's requests in flight takes
// a connection of its own: saving state delays no output.
func OnKafka(c *kafka.Client) Broker { return onKafka{c} }

type onKafka struct{ *kafka.Client }

func (c onKafka) Join(ctx context.Context, cfg kafka.GroupConfig) (Group, error) {
	g, err := c.Client.Join(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return onGroup{g}, nil
}

type onGroup struct{ *kafka.Group }

func (g onGroup) Next(ctx context.Context) (*Generation, error) {
	n, err := g.Group.Next(ctx)
	if err != nil {
		return nil, err
	}
	return &Generation{Assignment: n.Assignment, Kept: n.Kept, Done: n.Done(), Release: n.Release}, nil
}
