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

// slice is how much of the past is asked for at a time.
const slice = 48 * time.Hour

// InTime gives the events that happened from one time up to, not including,
// another, in the order of their own time, as a back-test reads them: what was
// imported yesterday about last year comes where it belongs. Events of one
// millisecond come in the order of their logs.
func (h *History) InTime(ctx context.Context, from, to time.Time) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		for ; from.Before(to); from = from.Add(slice) {
			end := from.Add(slice)
			if end.After(to) {
				end = to
			}
			if !h.readSlice(ctx, from, end, yield) {
				return
			}
		}
	}
}

func (h *History) readSlice(ctx context.Context, from, to time.Time, yield func(Recorded, error) bool) bool {
	ctx, cancel := context.WithCancel(chgo.Context(ctx, chgo.WithSettings(sortSettings)))
	defer cancel()
	scan := newEventScan()
	rows, err := h.conn.Query(ctx, "SELECT log_id, partition, offset, arrival, source, origin, "+networkNames()+", "+scan.names()+
		" FROM events WHERE "+happened+" ORDER BY `time`, log_id, partition, offset", from.UnixMilli(), to.UnixMilli())
	if err != nil {
		yield(Recorded{}, fmt.Errorf("history: %w", err))
		return false
	}
	defer func() { _ = rows.Close() }()
	defer cancel() // before Close, which would read the rest
	last := Position{}
	dest := scan.into()
	for rows.Next() {
		r := Recorded{Position: Position{Topic: schemas.TopicEvents}}
		var origin string
		if err := rows.Scan(slices.Concat([]any{&r.LogID, &r.Partition, &r.Offset, &r.Arrival, &r.Source, &origin}, networkInto(&r.Network), dest)...); err != nil {
			yield(Recorded{}, fmt.Errorf("history: %w", err))
			return false
		}
		if r.Position == last {
			continue // a double that is not merged yet
		}
		last, r.Arrival, r.Origin, r.Event = r.Position, r.Arrival.UTC(), schemas.Origin(origin), scan.event()
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

const happened = "`time` >= fromUnixTimestamp64Milli(?, 'UTC') AND `time` < fromUnixTimestamp64Milli(?, 'UTC')"

// Verdict is a decision as it is compared in a back-test.
type Verdict struct {
	Entity schemas.Entity
	Policy string
	Mode   schemas.Mode
	Word   schemas.Verdict
	Time   time.Time
}

// Verdicts gives the decisions of a stretch of time that stopped, slowed down or
// asked for a look, in their order.
func (h *History) Verdicts(ctx context.Context, from, to time.Time) ([]Verdict, error) {
	rows, err := h.conn.Query(ctx, "SELECT entity, policy, mode, verdict, min(`time`) AS first FROM decisions WHERE "+happened+
		" AND verdict NOT IN ('observe', 'release') GROUP BY entity, policy, mode, verdict, id ORDER BY first, entity", from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Verdict
	for rows.Next() {
		var v Verdict
		var entity, mode, word string
		if err := rows.Scan(&entity, &v.Policy, &mode, &word, &v.Time); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if v.Entity, err = schemas.ParseEntity(entity); err != nil {
			return nil, fmt.Errorf("history: a decision's entity: %w", err)
		}
		v.Mode, v.Word, v.Time = schemas.Mode(mode), schemas.Verdict(word), v.Time.UTC()
		out = append(out, v)
	}
	return out, rows.Err()
}

// Judgements says of each entity that people confirmed or dismissed in a stretch
// of time what they said last: true where they confirmed.
func (h *History) Judgements(ctx context.Context, from, to time.Time) (map[schemas.Entity]bool, error) {
	rows, err := h.conn.Query(ctx, "SELECT entity, argMax(act, `time`) FROM operator WHERE "+happened+
		" AND act IN ('confirm', 'dismiss') AND refused = '' GROUP BY entity", from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[schemas.Entity]bool{}
	for rows.Next() {
		var entity, act string
		if err := rows.Scan(&entity, &act); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		e, err := schemas.ParseEntity(entity)
		if err != nil {
			return nil, fmt.Errorf("history: an act's entity: %w", err)
		}
		out[e] = act == "confirm"
	}
	return out, rows.Err()
}
