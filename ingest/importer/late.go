package importer

import (
	"bytes"
	"context"
	"hash/maphash"
	"strings"
	"time"

	"holdfast/ingest/history"
	"holdfast/schemas"
)

// Past tells what was recorded of entities before a time of arrival, as *history.History
// does.
type Past interface {
	Before(ctx context.Context, entities []string, arrival time.Time) (map[string]history.Seen, error)
}

const (
	// maxLives bounds the accounts and employees of an import that are looked at, 40 to
	// 80 MB: the records of others are not checked.
	maxLives = 1_000_000
	// maxNamed bounds those that are named.
	maxNamed = 3
	// askFor bounds one block's questions to the audit store.
	askFor = 30 * time.Second
)

// Untaught says whose records were accepted and teach detection nothing: those that
// Counts.Late and Counts.Unsorted count. Of a run that goes on with an earlier one, it
// says so of the records of its own.
type Untaught struct {
	Late, Unsorted Whose
	// Unchecked are records of which it is not known whether they teach anything, and Err
	// why: the audit store could not be asked, or, where it is nil, there are too many
	// accounts.
	Unchecked int64
	Err       error
}

// Whose is whose records are meant.
type Whose struct {
	Accounts, Employees int
	Named               []string // the first of them, as kind:id
}

// happened is an accepted record's entity and time.
type happened struct {
	key []byte
	at  int64
}

// lives follows the clocks of an import's accounts and employees as detection does. A
// record that lies more than the lateness behind its entity's clock is not scored and
// teaches nothing, but for the first one of an account that is new, which begins anew with
// it. See detectors: the account's events decide there, and here what was recorded of
// them; what comes in live during the import is not seen.
type lives struct {
	past   Past
	before time.Time // of arrival: what came later is this import's own
	seed   maphash.Seed
	of     map[uint64]life // by the hash of its key
	found  Untaught
}

type life struct {
	clock    int64 // Unix milliseconds; 0: nothing was heard of it
	recorded int64 // the clock before this import, or 0
	new      bool  // begins anew with a record that is late
	late     bool  // has such records
	unsorted bool
}

func newLives(past Past, before time.Time) *lives {
	return &lives{past: past, before: before, seed: maphash.MakeSeed(), of: map[uint64]life{}}
}

// watches reports whether an entity of that key has a baseline.
func (*lives) watches(key []byte) bool {
	return !bytes.HasPrefix(key, []byte(string(schemas.KindIP)+":"))
}

// follow takes a block's records in their order. It returns how many lie behind what was
// recorded before, and how many only behind records of this import.
func (l *lives) follow(ctx context.Context, records []happened) (late, unsorted int64) {
	if l.found.Err == nil {
		l.found.Err = l.meet(ctx, records)
	}
	if l.found.Err != nil {
		l.found.Unchecked += int64(len(records))
		return 0, 0
	}
	for i := range records {
		r := &records[i]
		h := maphash.Bytes(l.seed, r.key)
		x, ok := l.of[h]
		switch {
		case !ok:
			l.found.Unchecked++
			continue
		case x.clock == 0 || r.at >= x.clock-schemas.Lateness.Milliseconds():
			x.clock = max(x.clock, r.at)
		case x.new:
			x.clock, x.recorded = r.at, 0
		case r.at < x.recorded-schemas.Lateness.Milliseconds():
			late++
			l.found.Late.add(r.key, &x.late)
		default:
			unsorted++
			l.found.Unsorted.add(r.key, &x.unsorted)
		}
		x.new = false
		l.of[h] = x
	}
	return late, unsorted
}

// meet asks what was recorded of those that were not met before.
func (l *lives) meet(ctx context.Context, records []happened) error {
	var names []string
	for i := range records {
		h := maphash.Bytes(l.seed, records[i].key)
		if _, ok := l.of[h]; !ok && len(l.of) < maxLives {
			l.of[h] = life{}
			names = append(names, string(records[i].key))
		}
	}
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	seen, err := l.past.Before(ctx, names, l.before)
	if err != nil {
		return err
	}
	for name, s := range seen {
		l.of[maphash.String(l.seed, name)] = life{clock: s.Last, recorded: s.Last, new: isNew(name, s)}
	}
	return nil
}

// isNew reports whether an account begins anew with imported history: it was first heard
// of less than schemas.NewFor ago, and none of its history was imported yet.
func isNew(name string, s history.Seen) bool {
	if !strings.HasPrefix(name, string(schemas.KindAccount)+":") || s.Imported {
		return false
	}
	hour := time.Hour.Milliseconds()
	return s.First == 0 || s.Last-s.First/hour*hour <= schemas.NewFor.Milliseconds()
}

// add counts an entity that was not counted yet.
func (w *Whose) add(key []byte, counted *bool) {
	if *counted {
		return
	}
	*counted = true
	if bytes.HasPrefix(key, []byte(string(schemas.KindEmployee)+":")) {
		w.Employees++
	} else {
		w.Accounts++
	}
	if len(w.Named) < maxNamed {
		w.Named = append(w.Named, string(key))
	}
}
