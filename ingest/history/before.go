package history

import (
	"context"
	"fmt"
	"time"
)

// Seen is what was recorded of an entity.
type Seen struct {
	// First and Last are the earliest and the latest time of its events, Unix milliseconds.
	// First leaves failed logins out, with which no history begins: 0 where all are such.
	First, Last int64
	Imported    bool // events of it did not come in live
}

// maxAsked bounds the names in one question, in bytes: a query may have 256 KiB.
const maxAsked = 100_000

// Before tells what was recorded of entities before a time of arrival. Entities of which
// nothing was recorded are not in the answer.
func (h *History) Before(ctx context.Context, entities []string, arrival time.Time) (map[string]Seen, error) {
	out := make(map[string]Seen, len(entities))
	for len(entities) > 0 {
		n, size := 0, 0
		for n < len(entities) && (n == 0 || size+len(entities[n]) < maxAsked) {
			size += len(entities[n]) + len("'', ")
			n++
		}
		if err := h.seen(ctx, entities[:n], arrival, out); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		entities = entities[n:]
	}
	return out, nil
}

func (h *History) seen(ctx context.Context, entities []string, arrival time.Time, out map[string]Seen) error {
	rows, err := h.conn.Query(ctx, "SELECT entity, toUnixTimestamp64Milli(minIf(time, NOT failed)), toUnixTimestamp64Milli(max(time)), countIf(NOT failed), countIf(origin != 'live') "+
		"FROM (SELECT entity, time, origin, type = 'login' AND outcome = 'failure' AS failed FROM events WHERE entity IN (?) AND arrival < fromUnixTimestamp64Milli(?, 'UTC')) GROUP BY entity",
		entities, arrival.UnixMilli())
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var s Seen
		var known, imported uint64
		if err := rows.Scan(&name, &s.First, &s.Last, &known, &imported); err != nil {
			return err
		}
		if known == 0 {
			s.First = 0
		}
		s.Imported = imported > 0
		out[name] = s
	}
	return rows.Err()
}
