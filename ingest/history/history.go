package history

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"holdfast/schemas"
)

// History answers questions about the past.
type History struct {
	conn     driver.Conn
	noTrials bool
	noEvents bool
}

// New returns a History on a connection, which *clickhouse.Client is.
func New(conn driver.Conn) *History { return &History{conn: conn} }

// WithoutTrials returns a History whose timelines leave out what numbers on trial
// found and decided.
func (h *History) WithoutTrials() *History {
	without := *h
	without.noTrials = true
	return &without
}

// WithoutEvents returns a History whose timelines leave out events and keep what was
// found in them, decided and done.
func (h *History) WithoutEvents() *History {
	without := *h
	without.noEvents = true
	return &without
}

// Position is where a record stands in its journal.
type Position struct {
	LogID     string        `json:"log_id"`
	Topic     schemas.Topic `json:"topic"`
	Partition int32         `json:"partition"`
	Offset    int64         `json:"offset"`
}

// Count is what one table holds. A table is whole when Rows and Positions are
// the number of its journal's records; Rows may be more until duplicates are merged.
type Count struct {
	Table     string `json:"table"`
	Rows      uint64 `json:"rows"`
	Positions uint64 `json:"positions"`
	Bytes     uint64 `json:"bytes"` // on disk
	Parts     uint64 `json:"parts"`
}

// Counts counts every table, each row.
func (h *History) Counts(ctx context.Context) ([]Count, error) {
	var out []Count
	for _, t := range schemas.Tables() {
		c := Count{Table: t.Name}
		err := h.conn.QueryRow(ctx, "SELECT count(), uniqExact(log_id, topic, partition, offset) FROM "+t.Name).Scan(&c.Rows, &c.Positions)
		if err != nil {
			return nil, fmt.Errorf("history: counting %s: %w", t.Name, err)
		}
		err = h.conn.QueryRow(ctx, "SELECT sum(bytes_on_disk), count() FROM system.parts WHERE database = currentDatabase() AND table = ? AND active", t.Name).Scan(&c.Bytes, &c.Parts)
		if err != nil {
			return nil, fmt.Errorf("history: measuring %s: %w", t.Name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// Newest tells when the last record of each journal arrived that the store holds;
// the zero time where it holds none.
func (h *History) Newest(ctx context.Context) (map[schemas.Topic]time.Time, error) {
	out := map[schemas.Topic]time.Time{}
	for _, t := range schemas.Tables() {
		var n uint64
		var at time.Time
		if err := h.conn.QueryRow(ctx, "SELECT count(), max(arrival) FROM "+t.Name).Scan(&n, &at); err != nil {
			return nil, fmt.Errorf("history: looking for the newest row of %s: %w", t.Name, err)
		}
		if n == 0 {
			at = time.Time{}
		}
		out[t.Topic] = at
	}
	return out, nil
}
