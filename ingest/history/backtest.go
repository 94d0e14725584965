package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Order is in which order events are read.
type Order string

// The orders. A log's own order is kept by the first: the broker stamps each record
// when it is appended.
const (
	ByArrival Order = "arrival" // as they came in, over all partitions
	ByTime    Order = "time"    // as they happened
)

// One question asks for so many events or a little more: the embedded engine holds
// an answer of 0.3 KB an event in memory.
const sliceEvents = 400_000

// sliceGrain is how finely slices are cut, in milliseconds.
const sliceGrain = 1000

// Happened gives the events that happened from one time up to, not including,
// another. Events of one millisecond come in the order of their logs; a row that
// was written twice comes once.
func (h *History) Happened(ctx context.Context, from, to time.Time, order Order) iter.Seq2[Recorded, error] {
	return h.sliced(ctx, happened, from, to, order)
}

// Arrived gives the events that came in from one time up to, not including, another, in
// the order of arrival.
func (h *History) Arrived(ctx context.Context, from, to time.Time) iter.Seq2[Recorded, error] {
	return h.sliced(ctx, arrived, from, to, ByArrival)
}

// sliced reads the events for which a condition on a stretch of time holds.
func (h *History) sliced(ctx context.Context, where string, from, to time.Time, order Order) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		cuts, err := h.cuts(ctx, where, from, to, order)
		if err != nil {
			yield(Recorded{}, fmt.Errorf("history: %w", err))
			return
		}
		for i := 1; i < len(cuts); i++ {
			if !h.readSlice(ctx, sliceOf{where, from, to, order, cuts[i-1], cuts[i]}, yield) {
				return
			}
		}
	}
}

// cuts divides the events by the order's column, which is the whole sort order of
// the slices, so that none of them is too large to be sorted and answered at once.
func (h *History) cuts(ctx context.Context, where string, from, to time.Time, order Order) ([]int64, error) {
	rows, err := h.conn.Query(ctx, fmt.Sprintf("SELECT intDiv(toUnixTimestamp64Milli(`%s`), %d) AS at, count() FROM events WHERE %s GROUP BY at ORDER BY at", order, sliceGrain, where),
		from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var cuts []int64
	var held, last int64
	for rows.Next() {
		var at int64
		var n uint64
		if err := rows.Scan(&at, &n); err != nil {
			return nil, err
		}
		if cuts == nil || held+int64(n) > sliceEvents {
			cuts, held = append(cuts, at*sliceGrain), 0
		}
		held, last = held+int64(n), at
	}
	if cuts != nil {
		cuts = append(cuts, (last+1)*sliceGrain)
	}
	return cuts, rows.Err()
}

type sliceOf struct {
	where       string // a condition on from and to
	from, to    time.Time
	order       Order
	after, upTo int64 // of the order's column, Unix milliseconds
}

func (h *History) readSlice(ctx context.Context, s sliceOf, yield func(Recorded, error) bool) bool {
	ctx, cancel := context.WithCancel(chgo.Context(ctx, chgo.WithSettings(sortSettings)))
	defer cancel()
	scan := newEventScan()
	query := fmt.Sprintf("SELECT log_id, partition, offset, arrival, source, origin, trust, %s, %s FROM events WHERE %s AND %s ORDER BY `%s`, log_id, partition, offset",
		networkNames(), scan.names(), s.where, within(string(s.order)), s.order)
	rows, err := h.conn.Query(ctx, query, s.from.UnixMilli(), s.to.UnixMilli(), s.after, s.upTo)
	if err != nil {
		yield(Recorded{}, fmt.Errorf("history: %w", err))
		return false
	}
	defer func() { _ = rows.Close() }()
	defer cancel() // before Close, which would read the rest
	r, last, origin, trust := Recorded{}, Position{}, "", ""
	dest := slices.Concat([]any{&r.LogID, &r.Partition, &r.Offset, &r.Arrival, &r.Source, &origin, &trust}, networkInto(&r.Network), scan.into())
	for rows.Next() {
		r.Topic = schemas.TopicEvents
		if err := rows.Scan(dest...); err != nil {
			yield(Recorded{}, fmt.Errorf("history: %w", err))
			return false
		}
		if r.Position == last {
			continue
		}
		last, r.Arrival, r.Origin, r.Trust, r.Event = r.Position, r.Arrival.UTC(), schemas.Origin(origin), schemas.Trust(trust), scan.event()
		if !yield(r, nil) {
			return false
		}
	}
	if err := errors.Join(rows.Err(), ctx.Err()); err != nil {
		yield(Recorded{}, fmt.Errorf("history: %w", err))
		return false
	}
	return true
}

// within asks for a column from one time up to another, in Unix milliseconds.
func within(column string) string {
	return "`" + column + "` >= fromUnixTimestamp64Milli(?, 'UTC') AND `" + column + "` < fromUnixTimestamp64Milli(?, 'UTC')"
}

var happened = within("time")

// findings reads the bodies of a table's records of a stretch of time in the order
// of their arrival, each id once.
func findings[T any](ctx context.Context, h *History, from, to time.Time, table schemas.Topic, kind schemas.Kind, also string) (out []T, came []coming, err error) {
	rows, err := h.conn.Query(chgo.Context(ctx, chgo.WithSettings(sortSettings)),
		fmt.Sprintf("SELECT id, log_id, partition, offset, arrival, body FROM %s WHERE kind = ? AND %s%s ORDER BY arrival, log_id, partition, offset", table, happened, also), string(kind), from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	seen := map[string]bool{}
	for rows.Next() {
		var id, body string
		c := coming{Position: Position{Topic: table}}
		if err := rows.Scan(&id, &c.LogID, &c.Partition, &c.Offset, &c.arrival, &body); err != nil {
			return nil, nil, fmt.Errorf("history: %w", err)
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		var v T
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			return nil, nil, fmt.Errorf("history: %s %q in table %s: %w", kind, id, table, err)
		}
		out, came = append(out, v), append(came, c)
	}
	return out, came, rows.Err()
}

// coming is where and when a record came in.
type coming struct {
	Position
	arrival time.Time
}

// Reach is from which arrival on events may stand within the reach of duplicates of those
// that came in later than a time: the earliest arrival among each log's last
// schemas.DuplicateReach offsets before it. It is the time itself where there are none.
func (h *History) Reach(ctx context.Context, before time.Time) (time.Time, error) {
	row := h.conn.QueryRow(ctx, "SELECT count(), min(e.arrival) FROM events AS e INNER JOIN (SELECT log_id, partition, max(offset) AS last FROM events WHERE arrival < fromUnixTimestamp64Milli(?, 'UTC') GROUP BY log_id, partition) AS l "+
		"USING (log_id, partition) WHERE e.arrival < fromUnixTimestamp64Milli(?, 'UTC') AND e.offset > l.last - ?", before.UnixMilli(), before.UnixMilli(), int64(schemas.DuplicateReach))
	var n uint64
	var from time.Time
	if err := row.Scan(&n, &from); err != nil {
		return before, fmt.Errorf("history: %w", err)
	}
	if n == 0 {
		return before, nil
	}
	return from.UTC(), nil
}

// Decided gives the decisions of a stretch of time, of every mode and verdict.
func (h *History) Decided(ctx context.Context, from, to time.Time) ([]schemas.Decision, error) {
	out, _, err := findings[schemas.Decision](ctx, h, from, to, schemas.TopicDecisions, schemas.KindDecision, "")
	return out, err
}

// Acts gives what people did to entities from a time on and what was not refused.
func (h *History) Acts(ctx context.Context, from time.Time) ([]schemas.Operator, error) {
	out, _, err := findings[schemas.Operator](ctx, h, from, endOfTime, schemas.TopicOperator, schemas.KindOperator, " AND refused = '' AND entity != ''")
	return out, err
}

// Gaps gives what could not be seen in a stretch of time.
func (h *History) Gaps(ctx context.Context, from, to time.Time) ([]schemas.Gap, error) {
	out, _, err := findings[schemas.Gap](ctx, h, from, to, schemas.TopicGaps, schemas.KindGap, "")
	return out, err
}

// Asked is a person's request, and where and when it came to its entity's inbox.
type Asked struct {
	schemas.Request
	Position Position
	Arrival  time.Time
}

// Requests gives what people asked for in a stretch of time, in the order of arrival.
func (h *History) Requests(ctx context.Context, from, to time.Time) ([]Asked, error) {
	all, came, err := findings[schemas.Request](ctx, h, from, to, schemas.TopicInbox, schemas.KindRequest, "")
	out := make([]Asked, len(all))
	for i := range all {
		out[i] = Asked{all[i], came[i].Position, came[i].arrival.UTC()}
	}
	return out, err
}

// endOfTime is later than all that can be recorded.
var endOfTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
