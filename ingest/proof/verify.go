package proof

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/schemas"
)

// What verify finds.
const (
	FoundChanged  = "changed"   // a row is not the one that was committed to
	FoundAdded    = "added"     // a row that no journal held
	FoundMissing  = "missing"   // a row was taken away
	FoundCut      = "cut"       // the log is shorter than a checkpoint says
	FoundForked   = "forked"    // the log is another one than a checkpoint says
	FoundDamaged  = "damaged"   // what the proof needs is gone or was changed
	FoundUndone   = "undone"    // rows that were erased are there
	FoundUnsigned = "unsigned"  // a checkpoint is not signed by the key
	FoundTooMany  = "unchecked" // more is damaged than is looked at
)

// Finding is one thing that is not as it was committed to.
type Finding struct {
	What      string        `json:"what"`
	Table     string        `json:"table,omitempty"`
	ID        string        `json:"id,omitempty"`
	Time      time.Time     `json:"time,omitzero"`
	Topic     schemas.Topic `json:"topic,omitempty"`
	Partition int32         `json:"partition"`
	Offset    int64         `json:"offset"`
	Detail    string        `json:"detail"`
}

// Stretch is what cannot be told of: offsets that no batch covers.
type Stretch struct {
	Table     string `json:"table"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	Rows      int64  `json:"rows"`
	Why       string `json:"why"`
}

// Removed counts rows that were taken away by right.
type Removed struct {
	ID   string    `json:"id"`
	Kind Kind      `json:"kind"`
	Time time.Time `json:"time"`
	By   string    `json:"by"`
	Why  string    `json:"why"`
	Rows int64     `json:"rows"`
}

// Report is what verify saw.
type Report struct {
	Origin      string           `json:"origin"`
	Leaves      int64            `json:"leaves"`
	Root        Hash             `json:"root"`
	Signed      time.Time        `json:"signed"`
	Checkpoints int              `json:"checkpoints"` // that were kept elsewhere and fit
	Batches     int64            `json:"batches"`
	Rows        int64            `json:"rows"`    // that are as they were committed to
	Pending     int64            `json:"pending"` // too young to be covered or recorded yet
	Refused     int64            `json:"refused"` // by the store, see the table rejected
	Removed     []Removed        `json:"removed,omitempty"`
	NotCovered  []Stretch        `json:"not_covered,omitempty"`
	Findings    int64            `json:"findings"`
	First       map[string]int64 `json:"first_covered"` // offset, by topic/partition
}

// Kept is a checkpoint that was kept elsewhere.
type Kept struct {
	Name string
	Note []byte
}

// Verifier checks the audit store against the log of proof. It reads in pages, in some
// 300 MB of memory, however long the log.
type Verifier struct {
	Dir      string // the tree's folder, or a copy of it
	Store    driver.Conn
	Key      note.Verifier
	Kept     []Kept
	Journals Journals // optional
	// Tables limits which tables are checked; empty: all.
	Tables []string
	// Found is called with each finding.
	Found func(Finding)
	// Progress is called now and then, where given, with the rows looked at.
	Progress func(table string, rows int64)

	report    Report
	fold      *Fold
	removals  map[string]*Entry           // erasures and expiries whose list is as committed to
	expired   map[string]map[int]*Entry   // by table and month, the newest
	removed   map[string]int64            // rows by id of the removal
	override  map[string]map[int64][]byte // leaves that proof_log does not have as they are
	strangers map[string]map[int64]bool   // leaves that only proof_log has
}

// Journals tells what the journals still hold; verify works without.
type Journals interface {
	// Recorded tells up to which offset the recorder has stored a partition, and where
	// its log ends; ok is false where that is not known.
	Recorded(ctx context.Context, t schemas.Topic, partition int32) (stored, end int64, ok bool)
	// Row is the row of a record as it should be stored: its columns' bytes in RowBinary,
	// without empty ones; nil where the journal has it no longer.
	Row(ctx context.Context, t schemas.Topic, partition int32, offset int64) (map[string]string, error)
}

// Run checks everything. An error says that it could not be done; what is wrong with the
// store is told by Found and counted.
func (v *Verifier) Run(ctx context.Context) (*Report, error) {
	v.fold = newFold()
	v.removals, v.expired, v.removed = map[string]*Entry{}, map[string]map[int]*Entry{}, map[string]int64{}
	v.override, v.strangers = map[string]map[int64][]byte{}, map[string]map[int64]bool{}
	v.report = Report{Origin: v.Key.Name(), First: map[string]int64{}}
	if err := v.checkLog(ctx); err != nil {
		return nil, err
	}
	for key, c := range v.fold.Cover {
		v.report.First[key] = c.First
	}
	if err := v.checkRemovals(ctx); err != nil {
		return nil, err
	}
	for _, t := range schemas.Tables() {
		if !v.wants(t.Name) {
			continue
		}
		if err := v.checkTable(ctx, t); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	v.sumRemoved()
	return &v.report, nil
}

func (v *Verifier) wants(table string) bool {
	for _, t := range v.Tables {
		if t == table {
			return true
		}
	}
	return len(v.Tables) == 0
}

func (v *Verifier) found(f Finding) {
	v.report.Findings++
	if v.Found != nil {
		v.Found(f)
	}
}

// roots computes the roots of a growing tree at the sizes that are asked for.
type roots struct {
	stack []tlog.Hash
	size  int64
}

func (r *roots) add(h tlog.Hash) {
	r.stack = append(r.stack, h)
	r.size++
	for n := r.size; n&1 == 0; n >>= 1 {
		k := len(r.stack)
		r.stack = append(r.stack[:k-2], tlog.NodeHash(r.stack[k-2], r.stack[k-1]))
	}
}

func (r *roots) root() tlog.Hash {
	if len(r.stack) == 0 {
		h, _ := rootOf(nil, nil)
		return tlog.Hash(h)
	}
	h := r.stack[len(r.stack)-1]
	for i := len(r.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(r.stack[i], h)
	}
	return h
}

// logPage is how many leaves are held against proof_log at once.
const logPage = 8192

// checkLog reads all leaves, holds their roots against the checkpoints and the leaves
// against their copy in the store.
func (v *Verifier) checkLog(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(v.Dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no checkpoint in %s: is this the folder of the log of proof, and has `holdfast run` worked for a minute?", v.Dir)
	}
	if err != nil {
		return err
	}
	newest, err := OpenCheckpoint(b, v.Key)
	if err != nil {
		v.found(Finding{What: FoundUnsigned, Detail: fmt.Sprintf("%s: %v", filepath.Join(v.Dir, checkpointFile), err)})
		return err
	}
	v.report.Leaves, v.report.Root, v.report.Signed = newest.Size, Hash(newest.Root), newest.Time
	kept, bySize := v.openKept(newest.Size)
	var r roots
	hold := func() {
		for _, k := range bySize[r.size] {
			if k.c.Root == r.root() {
				v.report.Checkpoints++
			} else {
				v.found(Finding{What: FoundForked, Detail: fmt.Sprintf("the first %d leaves are not those of the checkpoint %s of %s", k.c.Size, k.name, k.c.Time.Format(time.RFC3339))})
			}
		}
	}
	hold()
	var page [][]byte
	from := int64(0)
	flush := func() error {
		err := v.holdCopy(ctx, from, page)
		from, page = from+int64(len(page)), page[:0]
		return err
	}
	err = Leaves(v.Dir, 0, newest.Size, func(n int64, leaf []byte) error {
		r.add(leafHash(leaf))
		hold()
		if e, err := ReadEntry(leaf); err != nil {
			v.found(Finding{What: FoundDamaged, Detail: fmt.Sprintf("leaf %d: %v", n, err)})
		} else if v.keep(&e); !v.fold.Apply(&e) {
			v.found(Finding{What: FoundDamaged, Detail: fmt.Sprintf("leaf %d does not go on where the log was: %.200s", n, leaf)})
		}
		if page = append(page, append([]byte(nil), leaf...)); len(page) == logPage {
			return flush()
		}
		return ctx.Err()
	})
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || r.size < newest.Size && ctx.Err() == nil {
			v.found(Finding{What: FoundCut, Detail: fmt.Sprintf("the newest checkpoint has %d leaves, the folder %d: %v", newest.Size, r.size, err)})
			return nil
		}
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	if r.root() != newest.Root {
		v.found(Finding{What: FoundForked, Detail: fmt.Sprintf("the leaves in %s are not those of its newest checkpoint: one was changed, added or taken away", v.Dir)})
	}
	for _, k := range kept {
		if k.c.Size > newest.Size {
			v.found(Finding{What: FoundCut, Detail: fmt.Sprintf("the checkpoint %s of %s has %d leaves, the log %d: the last %d were cut off", k.name, k.c.Time.Format(time.RFC3339), k.c.Size, newest.Size, k.c.Size-newest.Size)})
		}
	}
	return v.strangersAtEnd(ctx, newest.Size)
}

type keptCheckpoint struct {
	name string
	c    *Checkpoint
}

func (v *Verifier) openKept(size int64) (all []keptCheckpoint, bySize map[int64][]keptCheckpoint) {
	bySize = map[int64][]keptCheckpoint{}
	for _, k := range v.Kept {
		c, err := OpenCheckpoint(k.Note, v.Key)
		if err != nil {
			v.found(Finding{What: FoundUnsigned, Detail: fmt.Sprintf("%s: %v", k.Name, err)})
			continue
		}
		all = append(all, keptCheckpoint{k.Name, c})
		if c.Size <= size {
			bySize[c.Size] = append(bySize[c.Size], keptCheckpoint{k.Name, c})
		}
	}
	return all, bySize
}

// keep remembers what rows were taken away by right.
func (v *Verifier) keep(e *Entry) {
	switch {
	case e.Kind == KindErasure, e.Kind == KindExpiry && e.Month == 0:
		v.removals[e.ID] = e
	case e.Kind == KindExpiry:
		if v.expired[e.Table] == nil {
			v.expired[e.Table] = map[int]*Entry{}
		}
		v.expired[e.Table][e.Month] = e
	}
}

// holdCopy holds a page of leaves against proof_log.
func (v *Verifier) holdCopy(ctx context.Context, from int64, page [][]byte) error {
	if len(page) == 0 {
		return nil
	}
	rows, err := v.Store.Query(ctx, "SELECT leaf, topic, partition, seq, body FROM "+TableLog+" WHERE leaf >= ? AND leaf < ? ORDER BY leaf", from, from+int64(len(page)))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	right := make([]bool, len(page))
	for rows.Next() {
		var leaf, seq int64
		var partition int32
		var topic, body string
		if err := rows.Scan(&leaf, &topic, &partition, &seq, &body); err != nil {
			return err
		}
		want := page[leaf-from]
		e, _ := ReadEntry(want)
		if body == string(want) && string(e.Topic) == topic && e.Partition == partition && e.Seq == seq {
			right[leaf-from] = true
			continue
		}
		v.found(Finding{What: FoundChanged, Table: TableLog, Offset: leaf, Detail: fmt.Sprintf("leaf %d is not the one in the tiles", leaf)})
		v.strange(topic, partition, seq)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i, ok := range right {
		if ok {
			continue
		}
		e, err := ReadEntry(page[i])
		if err != nil {
			continue // told
		}
		v.found(Finding{What: FoundMissing, Table: TableLog, Offset: from + int64(i), Detail: fmt.Sprintf("leaf %d is in the tiles and not in the store", from+int64(i))})
		key := partitionKey(e.Topic, e.Partition)
		if v.override[key] == nil {
			v.override[key] = map[int64][]byte{}
		}
		v.override[key][e.Seq] = page[i]
	}
	return nil
}

// strange remembers a row of proof_log that is no leaf.
func (v *Verifier) strange(topic string, partition int32, seq int64) {
	key := partitionKey(schemas.Topic(topic), partition)
	if v.strangers[key] == nil {
		v.strangers[key] = map[int64]bool{}
	}
	v.strangers[key][seq] = true
}

// strangersAtEnd looks for rows of proof_log behind the log's end. A prover that is at
// work copies leaves before it signs them, so what it has read since is let pass.
func (v *Verifier) strangersAtEnd(ctx context.Context, size int64) error {
	for try := 0; ; try++ {
		if t, err := OpenTree(v.Dir); err == nil {
			size = max(size, t.size)
		}
		rows, err := v.Store.Query(ctx, "SELECT leaf, substring(body, 1, 200) FROM "+TableLog+" WHERE leaf >= ? OR leaf < 0 ORDER BY leaf LIMIT 1000", size)
		if err != nil {
			return err
		}
		var extra []Finding
		for rows.Next() {
			var leaf int64
			var body string
			if err := rows.Scan(&leaf, &body); err != nil {
				return errors.Join(err, rows.Close())
			}
			extra = append(extra, Finding{What: FoundAdded, Table: TableLog, Offset: leaf, Detail: fmt.Sprintf("leaf %d is not in the tiles: %s", leaf, body)})
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if len(extra) == 0 {
			return nil
		}
		if try == 3 {
			for _, f := range extra {
				v.found(f)
			}
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
