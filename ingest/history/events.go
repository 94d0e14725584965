package history

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/schemas"
)

// Recorded is an event as it stood in its log.
type Recorded struct {
	Position
	Arrival time.Time
	Source  string
	Origin  schemas.Origin
	Trust   schemas.Trust   // empty is full
	Network schemas.Network // what was known of the event's address when it came in
	Event   *schemas.Event
}

// Events gives the events that arrived from one time up to, not including,
// another: one partition after another, each in the order of its log, as a
// back-test reads them.
func (h *History) Events(ctx context.Context, from, to time.Time) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		logs, err := h.logs(ctx, from, to)
		if err != nil {
			yield(Recorded{}, fmt.Errorf("history: %w", err))
			return
		}
		for _, l := range logs {
			if !h.readLog(ctx, l, from, to, yield) {
				return
			}
		}
	}
}

// logs lists the partitions' logs, those of one partition by age.
func (h *History) logs(ctx context.Context, from, to time.Time) ([]Position, error) {
	rows, err := h.conn.Query(ctx, "SELECT log_id, partition FROM events WHERE "+arrived+" GROUP BY log_id, partition ORDER BY partition, min(arrival), log_id", from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Position
	for rows.Next() {
		p := Position{Topic: schemas.TopicEvents}
		if err := rows.Scan(&p.LogID, &p.Partition); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

const arrived = "arrival >= fromUnixTimestamp64Milli(?, 'UTC') AND arrival < fromUnixTimestamp64Milli(?, 'UTC')"

func (h *History) readLog(ctx context.Context, log Position, from, to time.Time, yield func(Recorded, error) bool) bool {
	ctx, cancel := context.WithCancel(chgo.Context(ctx, chgo.WithSettings(sortSettings)))
	defer cancel()
	scan := newEventScan()
	rows, err := h.conn.Query(ctx, "SELECT offset, arrival, source, origin, trust, "+networkNames()+", "+scan.names()+" FROM events WHERE log_id = ? AND partition = ? AND "+arrived+" ORDER BY offset",
		log.LogID, log.Partition, from.UnixMilli(), to.UnixMilli())
	if err != nil {
		yield(Recorded{}, fmt.Errorf("history: %w", err))
		return false
	}
	defer func() { _ = rows.Close() }()
	defer cancel() // before Close, which would read the rest
	last := int64(-1)
	dest := scan.into()
	for rows.Next() {
		r := Recorded{Position: log}
		var origin, trust string
		if err := rows.Scan(slices.Concat([]any{&r.Offset, &r.Arrival, &r.Source, &origin, &trust}, networkInto(&r.Network), dest)...); err != nil {
			yield(Recorded{}, fmt.Errorf("history: %w", err))
			return false
		}
		if r.Offset == last {
			continue
		}
		last, r.Arrival, r.Origin, r.Trust, r.Event = r.Offset, r.Arrival.UTC(), schemas.Origin(origin), schemas.Trust(trust), scan.event()
		if !yield(r, nil) {
			return false
		}
	}
	if err := rows.Err(); err != nil {
		yield(Recorded{}, fmt.Errorf("history: %w", err))
		return false
	}
	return true
}
