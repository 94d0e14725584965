package history

import (
	"context"
	"fmt"
	"time"

	"github.com/dchest/siphash"
)

// HashID is how Sent names an id: SipHash-2-4 with a key of zeros, as the engine's
// sipHash64. It finds an id again and guards against nobody.
func HashID(id string) uint64 { return siphash.Hash(0, 0, []byte(id)) }

// MaxSent bounds what Sent answers: 160 MB.
const MaxSent = 20_000_000

// Sent gives the ids of a source's events that arrived before a time, by HashID, in rising
// order, each once. It is an error if there are more than MaxSent.
func (h *History) Sent(ctx context.Context, source string, before time.Time) ([]uint64, error) {
	rows, err := h.conn.Query(ctx, fmt.Sprintf("SELECT sipHash64(id) AS h FROM events WHERE source = ? AND arrival < fromUnixTimestamp64Milli(?, 'UTC') GROUP BY h ORDER BY h LIMIT %d", MaxSent+1),
		source, before.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []uint64
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if out = append(out, id); len(out) > MaxSent {
			return nil, fmt.Errorf("history: source %s has sent more than %d events", source, MaxSent)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return out, nil
}
