package record

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/schemas"
)

// aside lets a comparison take no more than one core from what is more urgent.
func aside(ctx context.Context) context.Context {
	return chgo.Context(ctx, chgo.WithSettings(chgo.Settings{"max_threads": 1}))
}

// Counts reads four narrow columns of the months that the spans may lie in, once for
// all partitions, and keeps a bitmap of 8 KiB at most for each block.
func (s onClickHouse) Counts(ctx context.Context, table string, topic schemas.Topic, spans []Span, block int64) (map[int32]map[int64]int, error) {
	out := map[int32]map[int64]int{}
	lanes := 0
	for _, p := range spans {
		lanes = max(lanes, int(p.Partition)+1)
	}
	from, to, since := make([]int64, lanes), make([]int64, lanes), make([]int64, lanes)
	oldest, ids := int64(1<<62), map[string]bool{}
	for _, p := range spans {
		if p.From < p.To {
			from[p.Partition], to[p.Partition], since[p.Partition] = p.From, p.To, p.Since
			oldest, ids[p.LogID] = min(oldest, p.Since), true
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	where := fmt.Sprintf("topic = ? AND arrival >= fromUnixTimestamp64Milli(%d, 'UTC') AND partition < %d AND offset >= %s[partition + 1] AND offset < %s[partition + 1] AND toUnixTimestamp64Milli(arrival) >= %s[partition + 1]",
		oldest, lanes, array(from), array(to), array(since))
	args := []any{string(topic)}
	if !ids[""] {
		for id := range ids {
			where += " AND log_id = ?"
			args = append(args, id)
		}
	}
	rows, err := s.Query(aside(ctx), fmt.Sprintf("SELECT partition, intDiv(offset, %d) AS block, groupBitmap(toUInt64(offset)) FROM %s GROUP BY partition, block", block, withRemoved(table, where)), append(args, args...)...)
	if err != nil {
		return nil, fmt.Errorf("record: counting the blocks of %s: %w", table, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var partition int32
		var number int64
		var n uint64
		if err := rows.Scan(&partition, &number, &n); err != nil {
			return nil, fmt.Errorf("record: counting the blocks of %s: %w", table, err)
		}
		if out[partition] == nil {
			out[partition] = map[int64]int{}
		}
		out[partition][number] = int(n)
	}
	return out, rows.Err()
}

// withRemoved reads the positions of a table's rows and of those that were taken away by
// right (see ingest/proof), which are not missing.
func withRemoved(table, where string) string {
	return "(SELECT log_id, topic, partition, offset, arrival FROM " + table + " WHERE " + where +
		" UNION ALL SELECT log_id, topic, partition, offset, arrival FROM proof_removals WHERE " + where + ")"
}

func array(numbers []int64) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = fmt.Sprintf("toInt64(%d)", n)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// Held lists what a table holds of a range.
func (s onClickHouse) Held(ctx context.Context, table string, r Range) (map[Held]bool, error) {
	args := []any{string(r.Topic), r.Partition, r.From, r.To}
	rows, err := s.Query(aside(ctx), "SELECT offset, arrival FROM "+withRemoved(table, "topic = ? AND partition = ? AND offset >= ? AND offset < ?"), append(args, args...)...)
	if err != nil {
		return nil, fmt.Errorf("record: listing what %s holds of %s: %w", table, r.Token(), err)
	}
	defer func() { _ = rows.Close() }()
	out := map[Held]bool{}
	for rows.Next() {
		var h Held
		var at time.Time
		if err := rows.Scan(&h.Offset, &at); err != nil {
			return nil, fmt.Errorf("record: listing what %s holds of %s: %w", table, r.Token(), err)
		}
		h.Arrival = at.UnixMilli()
		out[h] = true
	}
	return out, rows.Err()
}

// Rejected lists the records of a range that stand on rejected because the store
// refused them.
func (s onClickHouse) Rejected(ctx context.Context, r Range) ([]RejectedRow, error) {
	rows, err := s.Query(aside(ctx), "SELECT rejected_offset, extract(detail, 'Code: ([0-9]+)') FROM rejected WHERE rejected_topic = ? AND rejected_partition = ? AND rejected_offset >= ? AND rejected_offset < ? AND reason = ?",
		string(r.Topic), r.Partition, r.From, r.To, string(schemas.ReasonStore))
	if err != nil {
		return nil, fmt.Errorf("record: listing what was rejected of %s: %w", r.Token(), err)
	}
	defer func() { _ = rows.Close() }()
	var out []RejectedRow
	for rows.Next() {
		var row RejectedRow
		var code string
		if err := rows.Scan(&row.Offset, &code); err != nil {
			return nil, fmt.Errorf("record: listing what was rejected of %s: %w", r.Token(), err)
		}
		row.Code, _ = strconv.Atoi(code)
		out = append(out, row)
	}
	return out, rows.Err()
}

// InGap tells whether a recorded gap covers a range.
func (s onClickHouse) InGap(ctx context.Context, r Range) (bool, error) {
	var n uint64
	err := s.QueryRow(aside(ctx), "SELECT count() FROM gaps WHERE gap_topic = ? AND gap_partition = ? AND gap_from <= ? AND gap_to >= ?", string(r.Topic), r.Partition, r.From, r.To).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("record: looking for a gap at %s: %w", r.Token(), err)
	}
	return n > 0, nil
}
