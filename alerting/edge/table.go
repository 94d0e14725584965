package edge

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"holdfast/schemas"
)

// shards bounds how long a lookup can wait for a change: each shard has a lock of its own.
const shards = 64

// Table is the copy in memory: every entity of the status topic, by its key. It is safe for
// concurrent use.
type Table struct {
	seed   maphash.Seed
	shards [shards]shard

	version atomic.Uint64 // of the stopped entities; rises with each change of one
	mu      sync.Mutex
	stopped map[string]string // status of each that is throttled, revoked, suspended or blocked
	changed time.Time         // when one of them last changed
}

type shard struct {
	mu sync.RWMutex
	by map[string]packed
}

// packed is a Standing in 24 bytes.
type packed struct {
	words         unique.Handle[words]
	since         int64 // Unix milliseconds
	episode, step int32
}

// NewTable returns an empty table.
func NewTable() *Table {
	t := &Table{seed: maphash.MakeSeed(), stopped: map[string]string{}}
	for i := range t.shards {
		t.shards[i].by = map[string]packed{}
	}
	return t
}

func (t *Table) shard(key string) *shard {
	return &t.shards[maphash.String(t.seed, key)%shards]
}

// Get returns an entity's standing; false where nothing was ever decided about it.
func (t *Table) Get(key string) (Standing, bool) {
	s := t.shard(key)
	s.mu.RLock()
	p, ok := s.by[key]
	s.mu.RUnlock()
	if !ok {
		return Standing{}, false
	}
	w := p.words.Value()
	return Standing{w.status, int(p.episode), int(p.step), time.UnixMilli(p.since).UTC(), w.reason, w.credentials(), w.perDay}, true
}

// Put takes one status over and reports whether it differs from what was there. now is when
// the edge learnt it.
func (t *Table) Put(key string, st Standing, now time.Time) (changed bool) {
	p := packed{intern(&st), st.Since.UnixMilli(), int32(st.Episode), int32(st.Step)}
	s := t.shard(key)
	s.mu.Lock()
	old, had := s.by[key]
	if had && old == p {
		s.mu.Unlock()
		return false
	}
	if !had {
		key = strings.Clone(key)
	}
	s.by[key] = p
	s.mu.Unlock()
	t.list(key, p.words.Value().status, now)
	return true
}

// Drop forgets an entity and reports whether it was there.
func (t *Table) Drop(key string, now time.Time) bool {
	s := t.shard(key)
	s.mu.Lock()
	_, had := s.by[key]
	delete(s.by, key)
	s.mu.Unlock()
	t.list(key, "", now)
	return had
}

// list keeps the set of stopped entities.
func (t *Table) list(key, status string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, had := t.stopped[key]
	switch {
	case strictness(status) < strictness(statusThrottled):
		if !had {
			return
		}
		delete(t.stopped, key)
	case old == status:
		return
	default:
		t.stopped[key] = status
	}
	t.changed = now
	t.version.Add(1)
}

// Version changes whenever the set of stopped entities does.
func (t *Table) Version() uint64 { return t.version.Load() }

// Stopped returns the ids of the stopped entities of a kind whose status is one of those
// given, sorted, and when the set of stopped entities last changed.
func (t *Table) Stopped(kind schemas.EntityKind, statuses ...string) (ids []string, changed time.Time) {
	prefix := string(kind) + ":"
	t.mu.Lock()
	for key, status := range t.stopped {
		if id, ok := strings.CutPrefix(key, prefix); ok && slices.Contains(statuses, status) {
			ids = append(ids, id)
		}
	}
	changed = t.changed
	t.mu.Unlock()
	slices.Sort(ids)
	return ids, changed
}

// Len is how many entities are known.
func (t *Table) Len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.by)
		s.mu.RUnlock()
	}
	return n
}

// Counts is how many of the stopped entities there are by status.
func (t *Table) Counts() map[string]int {
	out := map[string]int{statusThrottled: 0, statusRevoked: 0, statusSuspended: 0, statusBlocked: 0}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, status := range t.stopped {
		out[status]++
	}
	return out
}

// keys returns the keys of all entities.
func (t *Table) keys() (out []string) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for key := range s.by {
			out = append(out, key)
		}
		s.mu.RUnlock()
	}
	return out
}
