package record

import (
	"context"
	"fmt"
	"strings"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Range is a stretch of one partition: offsets From up to, not including, To.
type Range struct {
	LogID     string
	Topic     schemas.Topic
	Partition int32
	From, To  int64
	// Oldest and Newest bound the arrival of its records in Unix milliseconds,
	// where they are known; both 0 where they are not.
	Oldest, Newest int64
	// Again tells inserts of lost rows of a range from each other and from the first.
	Again string
}

// Token is what the store knows an insert of the range by.
func (r Range) Token() string {
	token := fmt.Sprintf("%s/%s/%d/%d/%d", r.LogID, r.Topic, r.Partition, r.From, r.To)
	if r.Again != "" {
		token += "/lost/" + r.Again
	}
	return token
}

// maxCounted is more than any insert holds.
const maxCounted = 1 << 30

// OnClickHouse is the store behind a client.
func OnClickHouse(c *clickhouse.Client) Store { return onClickHouse{c} }

type onClickHouse struct{ *clickhouse.Client }

// Stored asks the store. The arrival, where it is known, spares it all parts but
// the newest.
func (s onClickHouse) Stored(ctx context.Context, table string, r Range) (int, error) {
	where := []string{"log_id = ?", "topic = ?", "partition = ?", "offset >= ?", "offset < ?"}
	args := []any{r.LogID, string(r.Topic), r.Partition, r.From, r.To}
	if r.Newest > 0 {
		where = append(where, "arrival >= fromUnixTimestamp64Milli(?, 'UTC')", "arrival <= fromUnixTimestamp64Milli(?, 'UTC')")
		args = append(args, r.Oldest, r.Newest)
	}
	var n uint64
	from := table + " WHERE " + strings.Join(where, " AND ")
	if r.To-r.From > maxCounted {
		from = "(SELECT offset FROM " + from + " LIMIT 1)" // whether there are any is all that is asked
	}
	query := "SELECT uniqExact(offset) FROM " + from
	if err := s.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("record: counting what %s holds of %s: %w", table, r.Token(), err)
	}
	return int(n), nil
}

// mark is what stands in a commit's metadata: the end of the range that is being
// inserted, if one is, and the log id, without which an open range could not be
// inserted again under its own token once the log id has changed.
type mark struct {
	logID string
	open  bool
	to    int64
}

func (m mark) String() string {
	if !m.open {
		return "@" + m.logID
	}
	return fmt.Sprintf("%d@%s", m.to, m.logID)
}

func (m mark) at(offset int64) kafka.Committed {
	return kafka.Committed{Offset: offset, Metadata: m.String()}
}

// parseMark reads a mark; metadata that is none, or that holds an end alone, is
// one of the given log.
func parseMark(s, logID string) (mark, error) {
	m := mark{logID: logID}
	to, id, found := strings.Cut(s, "@")
	if found {
		m.logID = id
	}
	if to == "" {
		return m, nil
	}
	m.open = true
	if _, err := fmt.Sscan(to, &m.to); err != nil {
		return mark{}, fmt.Errorf("record: the commit's metadata %q are not the recorder's: does another program commit for this group?", s)
	}
	return m, nil
}
