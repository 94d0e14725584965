package proof

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

// Remover takes rows out of the audit store in such a way that all other proofs hold: it
// lists them with their commitments, says so in the log of proof, makes their salts
// impossible to compute, and deletes them. Cut off in between it is run again: what is
// still there is taken then.
type Remover struct {
	Store driver.Conn
	// Write appends a leaf; see WriteEntries.
	Write func(ctx context.Context, e Entry) error
	// Wait is how long it is waited for the log of proof to cover what came last
	// (default 3 min).
	Wait time.Duration
	// Waiting is called once, where given, when that is so.
	Waiting func()
}

// Taking says what is taken away.
type Taking struct {
	Kind    Kind
	By, Why string
	Holds   []Hold
	// Tables and the condition on each of their rows.
	Tables []schemas.Table
	Where  func(t schemas.Table) string
}

// Taken says what came of it.
type Taken struct {
	ID     string           `json:"id,omitempty"`
	Rows   map[string]int64 `json:"rows"` // by table
	Held   map[string]int64 `json:"held"` // that somebody holds and that stay
	Leaves int64            `json:"-"`
}

// Erase takes away what is about an account.
func (r *Remover) Erase(ctx context.Context, account, by, why string, holds []Hold) (*Taken, error) {
	entity := schemas.Entity{Kind: schemas.KindAccount, ID: account}.Key()
	var tables []schemas.Table
	for _, t := range schemas.Tables() {
		if t.Index(schemas.ColumnEntity) >= 0 && t.Topic != schemas.TopicGaps && t.Topic != schemas.TopicRejected {
			tables = append(tables, t)
		}
	}
	return r.Take(ctx, Taking{
		Kind: KindErasure, By: by, Why: why, Holds: holds, Tables: tables,
		Where: func(t schemas.Table) string { return about(t, entity) },
	})
}

const changeNow = " SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"

// Take takes rows away.
func (r *Remover) Take(ctx context.Context, x Taking) (*Taken, error) {
	id := map[Kind]string{KindErasure: "ers_", KindExpiry: "exp_"}[x.Kind] + ulid.Make().String()
	out := &Taken{ID: id, Rows: map[string]int64{}, Held: map[string]int64{}}
	until := fmt.Sprintf("arrival <= fromUnixTimestamp64Milli(%d, 'UTC')", time.Now().UnixMilli())
	total := int64(0)
	for _, t := range x.Tables {
		where, kept := x.Where(t)+" AND "+until, held(t, x.Holds)
		var n uint64
		if err := r.Store.QueryRow(ctx, "SELECT count() FROM "+t.Name+" WHERE "+where+" AND "+kept).Scan(&n); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		out.Held[t.Name] = int64(n) // #nosec G115 -- a number of rows
		listed, err := r.list(ctx, id, t, where+" AND NOT "+kept)
		if err != nil {
			return nil, err
		}
		out.Rows[t.Name] = listed
		total += listed
	}
	if total == 0 {
		out.ID = ""
		return out, nil
	}
	d := newDigest()
	if err := queryRemovals(ctx, r.Store, "removal = ?", func(_ string, m *Removal) error { d.add(m); return nil }, id); err != nil {
		return nil, err
	}
	err := r.Write(ctx, Entry{Kind: x.Kind, ID: id, Time: time.Now().UnixMilli(), By: x.By, Why: x.Why, Rows: int(total), Digest: d.sum()})
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	for _, t := range x.Tables {
		if out.Rows[t.Name] == 0 {
			continue
		}
		if err := r.forget(ctx, id, t); err != nil {
			return nil, err
		}
		err := r.Store.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DELETE WHERE (log_id, partition, offset) IN (SELECT log_id, partition, offset FROM %s WHERE removal = '%s' AND topic = '%s')", t.Name, TableRemovals, id, quote(string(t.Topic)))+changeNow)
		if err != nil {
			return nil, fmt.Errorf("proof: delete rows of %s: %w", t.Name, err)
		}
	}
	return out, nil
}

// list puts the rows of one table into proof_removals, each with its commitment, once
// the log of proof has covered all of them that it will.
func (r *Remover) list(ctx context.Context, id string, t schemas.Table, where string) (int64, error) {
	found, err := r.positions(ctx, t, where)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	if err := r.covered(ctx, t, found); err != nil {
		return 0, err
	}
	for partition, list := range byPartition(found) {
		err := r.eachBatch(ctx, t.Topic, partition, list, func(b *Batch, at map[int64]int) error {
			for k, o := range b.Offsets {
				if i, ok := at[o]; ok && list[i].Commitment.IsZero() && list[i].Arrival >= b.First && list[i].Arrival <= b.Last {
					list[i].Commitment = b.Commitments[k]
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if err := storeRemovals(ctx, r.Store, id, list); err != nil {
			return 0, err
		}
	}
	return int64(len(found)), nil
}

func (r *Remover) positions(ctx context.Context, t schemas.Table, where string) ([]Removal, error) {
	rows, err := r.Store.Query(ctx, "SELECT DISTINCT log_id, partition, offset, arrival FROM "+t.Name+" WHERE "+where+" ORDER BY partition, offset")
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Removal
	for rows.Next() {
		m := Removal{Topic: t.Topic}
		var at time.Time
		if err := rows.Scan(&m.LogID, &m.Partition, &m.Offset, &at); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		m.Arrival = at.UnixMilli()
		out = append(out, m)
	}
	return out, rows.Err()
}

func byPartition(list []Removal) map[int32][]Removal {
	out := map[int32][]Removal{}
	for len(list) > 0 {
		n := slices.IndexFunc(list, func(m Removal) bool { return m.Partition != list[0].Partition })
		if n < 0 {
			n = len(list)
		}
		out[list[0].Partition], list = list[:n:n], list[n:]
	}
	return out
}

// covered waits until the log of proof has come to the last of some rows.
func (r *Remover) covered(ctx context.Context, t schemas.Table, list []Removal) error {
	wait := r.Wait
	if wait == 0 {
		wait = 3 * time.Minute
	}
	for deadline := time.Now().Add(wait); ; {
		to, err := r.ends(ctx, t.Topic)
		if err != nil {
			return err
		}
		if len(to) == 0 || !slices.ContainsFunc(list, func(m Removal) bool { return m.Offset >= to[m.Partition] }) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("proof: the newest rows of %s are not covered by the log of proof after %v: is a process with the role record running?", t.Name, wait)
		}
		if r.Waiting != nil {
			r.Waiting()
			r.Waiting = nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ends tells how far the log of proof covers each partition of a journal.
func (r *Remover) ends(ctx context.Context, topic schemas.Topic) (map[int32]int64, error) {
	rows, err := r.Store.Query(ctx, "SELECT partition, argMax(JSONExtractInt(body, 'to'), seq) FROM "+TableLog+" WHERE kind = 'batch' AND topic = ? GROUP BY partition", string(topic))
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int32]int64{}
	for rows.Next() {
		var partition int32
		var to int64
		if err := rows.Scan(&partition, &to); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		out[partition] = to
	}
	return out, rows.Err()
}

// eachBatch calls f with the batches that some rows of one partition are of, and with
// where in the list each offset is.
func (r *Remover) eachBatch(ctx context.Context, topic schemas.Topic, partition int32, list []Removal, f func(b *Batch, at map[int64]int) error) error {
	at := make(map[int64]int, len(list))
	for i := range list {
		at[list[i].Offset] = i
	}
	return queryBatches(ctx, r.Store, "topic = ? AND partition = ? AND `to` > ? AND `from` <= ? ORDER BY seq SETTINGS max_block_size = 128", func(b *Batch, damage string) error {
		if damage == "" && slices.ContainsFunc(b.Offsets, func(o int64) bool { _, ok := at[o]; return ok }) {
			return f(b, at)
		}
		return nil
	}, string(topic), partition, list[0].Offset, list[len(list)-1].Offset)
}

// forget replaces the seeds of the batches that lose rows by the salts of those that
// stay, and deletes what was there before.
func (r *Remover) forget(ctx context.Context, id string, t schemas.Table) error {
	var list []Removal
	err := queryRemovals(ctx, r.Store, "removal = ? AND topic = ?", func(_ string, m *Removal) error {
		list = append(list, *m)
		return nil
	}, id, string(t.Topic))
	if err != nil {
		return err
	}
	version := uint64(time.Now().UnixNano()) // #nosec G115 -- it is after 1970
	var changed []*Batch
	flush := func() error {
		err := storeBatches(ctx, r.Store, changed)
		changed = nil
		return err
	}
	for partition, part := range byPartition(list) {
		err := r.eachBatch(ctx, t.Topic, partition, part, func(b *Batch, at map[int64]int) error {
			salts := make([]Seed, len(b.Offsets))
			for k, o := range b.Offsets {
				i, gone := at[o]
				gone = gone && part[i].Commitment == b.Commitments[k]
				if salt, ok := b.Salt(k); ok && !gone {
					salts[k] = salt
				}
			}
			b.Seed, b.Salts, b.Version = nil, salts, version
			if Single(b.Topic) {
				b.ID, b.Time = "", 0
			}
			if changed = append(changed, b); len(changed) == flushAt {
				return flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(changed) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	err = r.Store.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DELETE WHERE version < %d AND (topic, partition, seq) IN (SELECT topic, partition, seq FROM %s WHERE version = %d)", TableBatches, version, TableBatches, version)+changeNow)
	if err != nil {
		return fmt.Errorf("proof: delete salts: %w", err)
	}
	return nil
}
