package proof

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"holdfast/schemas"
)

// The tables of the log of proof.
const (
	TableBatches  = "proof_batches"
	TableLog      = "proof_log"
	TableRemovals = "proof_removals"
)

// Batch is a stretch of a partition and the commitments to its rows, as proof_batches
// keeps it.
type Batch struct {
	LogID       string
	Topic       schemas.Topic
	Partition   int32
	Seq         int64
	Version     uint64 // nanoseconds; of several the newest holds
	From, To    int64
	First, Last int64 // arrival, Unix milliseconds
	Offsets     []int64
	Commitments []Hash
	Seed        *Seed // nil once rows were taken away
	Salts       []Seed
	// ID and Time are the row's, where there is one row and it has not been taken away.
	ID   string
	Time int64
}

// Salt is the salt of the k-th row; false where it was taken away.
func (b *Batch) Salt(k int) (Seed, bool) {
	if b.Seed != nil {
		return b.Seed.Salt(b.Offsets[k]), true
	}
	if k < len(b.Salts) && b.Salts[k] != (Seed{}) {
		return b.Salts[k], true
	}
	return Seed{}, false
}

// Entry is the batch's leaf.
func (b *Batch) Entry() (Entry, error) {
	root, err := rootOf(b.Offsets, b.Commitments)
	return Entry{
		Kind: KindBatch, Log: b.LogID, Topic: b.Topic, Partition: b.Partition, Seq: b.Seq, From: b.From, To: b.To,
		Rows: len(b.Offsets), First: b.First, Last: b.Last, Root: root,
	}, err
}

const insertBatches = "INSERT INTO " + TableBatches + " (topic, partition, seq, version, log_id, `from`, `to`, first, last, offsets, commitments, seed, salts, id, time)"

// storeBatches keeps batches and returns when the store has them on disk.
func storeBatches(ctx context.Context, conn driver.Conn, batches []*Batch) error {
	insert, err := conn.PrepareBatch(ctx, insertBatches)
	if err != nil {
		return fmt.Errorf("proof: keep salts: %w", err)
	}
	defer func() { _ = insert.Close() }()
	for _, b := range batches {
		commitments := make([]byte, 0, 32*len(b.Commitments))
		for i := range b.Commitments {
			commitments = append(commitments, b.Commitments[i][:]...)
		}
		var seed, salts []byte
		if b.Seed != nil {
			seed = b.Seed[:]
		}
		for i := range b.Salts {
			salts = append(salts, b.Salts[i][:]...)
		}
		err := insert.Append(string(b.Topic), b.Partition, b.Seq, b.Version, b.LogID, b.From, b.To, moment(b.First), moment(b.Last),
			string(appendOffsets(nil, b.From, b.Offsets)), string(commitments), string(seed), string(salts), b.ID, moment(b.Time))
		if err != nil {
			return fmt.Errorf("proof: keep salts: %w", err)
		}
	}
	if err := insert.Send(); err != nil {
		return fmt.Errorf("proof: keep salts: %w", err)
	}
	return nil
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

const batchColumns = "topic, partition, seq, version, log_id, `from`, `to`, first, last, offsets, commitments, seed, salts, id, time"

// scanBatch reads a row of proof_batches. damage says what of it cannot be used.
func scanBatch(rows driver.Rows) (b *Batch, damage string, err error) {
	b = &Batch{}
	var topic, offsets, commitments, seed, salts string
	var first, last, at time.Time
	if err := rows.Scan(&topic, &b.Partition, &b.Seq, &b.Version, &b.LogID, &b.From, &b.To, &first, &last, &offsets, &commitments, &seed, &salts, &b.ID, &at); err != nil {
		return nil, "", fmt.Errorf("proof: read %s: %w", TableBatches, err)
	}
	b.Topic, b.First, b.Last, b.Time = schemas.Topic(topic), first.UnixMilli(), last.UnixMilli(), at.UnixMilli()
	var ok bool
	if b.Offsets, ok = readOffsets(offsets, b.From); !ok || len(commitments) != 32*len(b.Offsets) {
		return b, "its offsets and commitments do not fit each other", nil
	}
	b.Commitments = make([]Hash, len(b.Offsets))
	for i := range b.Commitments {
		copy(b.Commitments[i][:], commitments[32*i:])
	}
	switch {
	case len(seed) == len(Seed{}):
		b.Seed = new(Seed)
		copy(b.Seed[:], seed)
	case seed != "" || len(salts) != 32*len(b.Offsets):
		return b, "its salts are not whole", nil
	}
	if salts != "" && len(salts) == 32*len(b.Offsets) {
		b.Salts = make([]Seed, len(b.Offsets))
		for i := range b.Salts {
			copy(b.Salts[i][:], salts[32*i:])
		}
	}
	return b, "", nil
}

// queryBatches reads batches, of several versions the newest. where is a condition on
// proof_batches.
func queryBatches(ctx context.Context, conn driver.Conn, where string, f func(b *Batch, damage string) error, args ...any) error {
	rows, err := conn.Query(ctx, "SELECT "+batchColumns+" FROM "+TableBatches+" FINAL WHERE "+where, args...)
	if err != nil {
		return fmt.Errorf("proof: read %s: %w", TableBatches, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		b, damage, err := scanBatch(rows)
		if err != nil {
			return err
		}
		if err := f(b, damage); err != nil {
			return err
		}
	}
	return rows.Err()
}

// storeLog copies leaves into the store, where people look for them.
func storeLog(ctx context.Context, conn driver.Conn, from int64, leaves [][]byte) error {
	if len(leaves) == 0 {
		return nil
	}
	insert, err := conn.PrepareBatch(ctx, "INSERT INTO "+TableLog+" (leaf, kind, topic, partition, seq, body)")
	if err != nil {
		return fmt.Errorf("proof: copy leaves: %w", err)
	}
	defer func() { _ = insert.Close() }()
	for i, b := range leaves {
		e, err := ReadEntry(b)
		if err != nil {
			return err
		}
		if err := insert.Append(from+int64(i), string(e.Kind), string(e.Topic), e.Partition, e.Seq, string(b)); err != nil {
			return fmt.Errorf("proof: copy leaves: %w", err)
		}
	}
	if err := insert.Send(); err != nil {
		return fmt.Errorf("proof: copy leaves: %w", err)
	}
	return nil
}

// knownLogs lists the log ids that rows were recorded under.
func knownLogs(ctx context.Context, conn driver.Conn) ([]string, error) {
	seen := map[string]bool{}
	for _, t := range schemas.Tables() {
		rows, err := conn.Query(ctx, "SELECT DISTINCT log_id FROM "+t.Name+" LIMIT 1000")
		if err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			seen[id] = true
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}
