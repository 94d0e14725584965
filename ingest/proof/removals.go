package proof

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"holdfast/schemas"
)

// Removal is a row that was taken away by right.
type Removal struct {
	LogID      string
	Topic      schemas.Topic
	Partition  int32
	Offset     int64
	Arrival    int64
	Commitment Hash // zero where the row was older than the log of proof
}

// digest sums up a list of removals in the order of topic, partition, offset and log id:
// SHA-256 over each one's topic and log id with their lengths before them, partition and
// offset, big endian, and its commitment.
type digest struct{ h hash.Hash }

func newDigest() *digest { return &digest{sha256.New()} }

func (d *digest) add(r *Removal) {
	b := appendText(appendText(nil, string(r.Topic)), r.LogID)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Partition)) // #nosec G115 -- only its bits count
	b = binary.BigEndian.AppendUint64(b, uint64(r.Offset))    // #nosec G115 -- only its bits count
	d.h.Write(append(b, r.Commitment[:]...))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (d *digest) sum() (h Hash) {
	d.h.Sum(h[:0])
	return h
}

// storeRemovals lists rows under the id of a removal.
func storeRemovals(ctx context.Context, conn driver.Conn, id string, list []Removal) error {
	for part := range slices.Chunk(list, 100_000) {
		insert, err := conn.PrepareBatch(ctx, "INSERT INTO "+TableRemovals+" (removal, log_id, topic, partition, offset, arrival, commitment)")
		if err != nil {
			return fmt.Errorf("proof: list what is taken away: %w", err)
		}
		for i := range part {
			r := &part[i]
			if err := insert.Append(id, r.LogID, string(r.Topic), r.Partition, r.Offset, moment(r.Arrival), string(r.Commitment[:])); err != nil {
				_ = insert.Close()
				return fmt.Errorf("proof: list what is taken away: %w", err)
			}
		}
		if err := insert.Send(); err != nil {
			return fmt.Errorf("proof: list what is taken away: %w", err)
		}
	}
	return nil
}

// queryRemovals reads the list of one removal, or of a stretch, in the digest's order.
func queryRemovals(ctx context.Context, conn driver.Conn, where string, f func(id string, r *Removal) error, args ...any) error {
	rows, err := conn.Query(ctx, "SELECT removal, log_id, topic, partition, offset, arrival, commitment FROM "+TableRemovals+" FINAL WHERE "+where+" ORDER BY topic, partition, offset, log_id, removal", args...)
	if err != nil {
		return fmt.Errorf("proof: read %s: %w", TableRemovals, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, topic, commitment string
		var r Removal
		var at time.Time
		if err := rows.Scan(&id, &r.LogID, &topic, &r.Partition, &r.Offset, &at, &commitment); err != nil {
			return fmt.Errorf("proof: read %s: %w", TableRemovals, err)
		}
		r.Topic, r.Arrival = schemas.Topic(topic), at.UnixMilli()
		copy(r.Commitment[:], commitment)
		if err := f(id, &r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// checkRemovals holds the lists of rows taken away against what the log says of them.
// Only lists that are as they were committed to explain why a row is missing.
func (v *Verifier) checkRemovals(ctx context.Context) error {
	rows, err := v.Store.Query(ctx, "SELECT DISTINCT removal FROM "+TableRemovals)
	if err != nil {
		return err
	}
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			_ = rows.Close()
			return err
		}
		ids = append(ids, id)
	}
	_ = rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, id := range ids {
		listed[id] = true
		e := v.removals[id]
		if e == nil {
			v.found(Finding{What: FoundAdded, Table: TableRemovals, ID: id, Detail: "the log of proof knows no such erasure: it was cut off before it took place, or the list is false"})
			continue
		}
		d := newDigest()
		if err := queryRemovals(ctx, v.Store, "removal = ?", func(_ string, r *Removal) error { d.add(r); return nil }, id); err != nil {
			return err
		}
		if d.sum() != e.Digest {
			v.found(Finding{What: FoundChanged, Table: TableRemovals, ID: id, Time: moment(e.Time), Detail: "the list of the rows that were erased is not the one that was committed to"})
			delete(v.removals, id)
		}
	}
	for id, e := range v.removals {
		if !listed[id] && e.Rows > 0 {
			v.found(Finding{What: FoundMissing, Table: TableRemovals, ID: id, Time: moment(e.Time), Detail: fmt.Sprintf("the list of the %d rows that were erased is gone", e.Rows)})
			delete(v.removals, id)
		}
	}
	return nil
}

// sumRemoved puts what was taken away by right into the report.
func (v *Verifier) sumRemoved() {
	add := func(e *Entry, rows int64) {
		if rows > 0 {
			v.report.Removed = append(v.report.Removed, Removed{ID: e.ID, Kind: e.Kind, Time: moment(e.Time), By: e.By, Why: e.Why, Rows: rows})
		}
	}
	for id, e := range v.removals {
		add(e, v.removed[id])
	}
	for _, months := range v.expired {
		for _, e := range months {
			add(e, v.removed[e.ID])
		}
	}
	slices.SortFunc(v.report.Removed, func(a, b Removed) int { return a.Time.Compare(b.Time) })
}
