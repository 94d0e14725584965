package api

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/s2"

	"holdfast/schemas"
)

// Book is the live copy of the present state: every entity's status and newest case, the
// snoozes in force and the newest acts. It is kept in memory: some 400 bytes a status, and
// some 2 KiB a case. It needs no database, and goes on with what it had while the broker is
// away.
type Book struct {
	feed    Feed
	changes changes
	ready   chan struct{} // closed when it was whole once
	isReady atomic.Bool

	mu       sync.RWMutex
	statuses map[string]schemas.Status // by entity key
	cases    map[string]*held          // by entity key
	ids      map[string]string         // entity key by case id
	snoozes  map[string]Snooze         // by entity key
	allows   map[string][]Allow        // by entity key
	acts     map[string]schemas.Operator
	order    []string // ids in acts, the oldest first

	incidents map[string]schemas.Incident // by entity key
}

// Snooze is a time for which no signal of an entity is answered.
type Snooze struct {
	Entity schemas.Entity `json:"entity"`
	Since  time.Time      `json:"since"`
	Until  time.Time      `json:"until,omitzero"` // zero where an earlier version did not write it down
	By     string         `json:"by"`
	Why    string         `json:"why"`
}

// held is a case as it is kept: what lists need, and the rest packed.
type held struct {
	CaseLine
	packed []byte
}

// keptActs bounds the acts by which a repeated request is answered: some 8 MiB.
const keptActs = 20_000

// NewBook returns an empty book on a feed.
func NewBook(feed Feed) *Book {
	return &Book{
		feed: feed, ready: make(chan struct{}), statuses: map[string]schemas.Status{}, cases: map[string]*held{}, ids: map[string]string{},
		snoozes: map[string]Snooze{}, allows: map[string][]Allow{}, acts: map[string]schemas.Operator{}, incidents: map[string]schemas.Incident{},
	}
}

// Ready is closed once the book has all that stood in the topics.
func (b *Book) Ready() <-chan struct{} { return b.ready }

func (b *Book) whole() {
	if b.isReady.CompareAndSwap(false, true) {
		close(b.ready)
	}
}

// Apply takes one record in. What cannot be read leaves what was known in force and is
// returned as an error.
func (b *Book) Apply(r Record) error {
	switch r.Topic {
	case schemas.TopicStatus:
		return b.status(r)
	case schemas.TopicCasebook:
		return b.aCase(r)
	case schemas.TopicOperator:
		return b.operator(r)
	case schemas.TopicIncidents:
		return b.incident(r)
	}
	return nil
}

func (b *Book) status(r Record) error {
	var s schemas.Status
	if r.Value != nil {
		if err := json.Unmarshal(r.Value, &s); err != nil || s.Entity.Key() != r.Key {
			return fmt.Errorf("status %s cannot be read: %w", r.Key, err)
		}
	}
	b.mu.Lock()
	if r.Value == nil {
		delete(b.statuses, r.Key)
	} else {
		b.statuses[r.Key] = s
	}
	if h := b.cases[r.Key]; h != nil {
		h.Status = s.Status
	}
	b.mu.Unlock()
	b.tell(r.Key)
	return nil
}

func (b *Book) aCase(r Record) error {
	var h *held
	if r.Value != nil {
		var c schemas.Case
		if err := json.Unmarshal(r.Value, &c); err != nil || c.Entity.Key() != r.Key {
			return fmt.Errorf("case %s cannot be read: %w", r.Key, err)
		}
		h = &held{CaseLine: lineOf(&c), packed: s2.Encode(nil, r.Value)}
	}
	b.mu.Lock()
	if before := b.cases[r.Key]; before != nil && (h == nil || before.ID != h.ID) {
		delete(b.ids, before.ID)
	}
	if h == nil {
		delete(b.cases, r.Key)
	} else {
		h.Status = b.statuses[r.Key].Status
		b.cases[r.Key], b.ids[h.ID] = h, r.Key
	}
	b.mu.Unlock()
	b.tell(r.Key)
	return nil
}

func (b *Book) operator(r Record) error {
	var op schemas.Operator
	if r.Value == nil {
		return nil
	}
	if err := json.Unmarshal(r.Value, &op); err != nil {
		return fmt.Errorf("an operator record cannot be read: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.acts[op.ID]; !ok && op.ID != "" {
		if len(b.order) >= keptActs {
			delete(b.acts, b.order[0])
			b.order = b.order[1:]
		}
		b.acts[op.ID], b.order = op, append(b.order, op.ID)
	}
	if op.Refused != "" || op.Awaits {
		return nil
	}
	key := op.Entity.Key()
	switch op.Act {
	case "snooze":
		b.snoozes[key] = Snooze{op.Entity, op.Time, op.Until, op.Actor, op.Why}
	case "unsnooze":
		delete(b.snoozes, key)
	case "allow":
		b.allows[key] = append(withoutAllow(b.allows[key], op.Item), Allow{Entity: op.Entity, Detector: op.Item, Since: op.Time, Until: op.Until, By: op.Actor, Why: op.Why, From: "allow"})
	case "disallow":
		if b.allows[key] = withoutAllow(b.allows[key], op.Item); len(b.allows[key]) == 0 {
			delete(b.allows, key)
		}
	}
	return nil
}

func withoutAllow(all []Allow, detector string) []Allow {
	return slices.DeleteFunc(slices.Clone(all), func(a Allow) bool { return a.Detector == detector })
}

// tell hands the change of an entity on.
func (b *Book) tell(key string) {
	if !b.isReady.Load() {
		return // what is there at the beginning is no news
	}
	e, err := schemas.ParseEntity(key)
	if err != nil {
		return
	}
	c := Change{Entity: e}
	b.mu.RLock()
	c.Status = b.statuses[key].Status
	if h := b.cases[key]; h != nil {
		c.Case, c.Stage, c.Version = h.ID, h.Stage, h.Version
	}
	b.mu.RUnlock()
	b.changes.add(c)
}

// Status gives an entity's standing; ok is false, and it active, where nothing was ever
// decided about it.
func (b *Book) Status(e schemas.Entity) (s schemas.Status, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if s, ok = b.statuses[e.Key()]; !ok {
		return schemas.Status{Entity: e, Status: "active"}, false
	}
	return s, true
}

// CaseOf gives an entity's newest case.
func (b *Book) CaseOf(e schemas.Entity) (schemas.Case, bool) {
	b.mu.RLock()
	h := b.cases[e.Key()]
	b.mu.RUnlock()
	return h.open()
}

// Case gives a case that is its entity's newest.
func (b *Book) Case(id string) (schemas.Case, bool) {
	b.mu.RLock()
	h := b.cases[b.ids[id]]
	b.mu.RUnlock()
	return h.open()
}

func (h *held) open() (c schemas.Case, ok bool) {
	if h == nil {
		return c, false
	}
	v, err := s2.Decode(nil, h.packed)
	if err != nil || json.Unmarshal(v, &c) != nil {
		return c, false // it was packed by us and read before
	}
	return c, true
}

// lines gives the cases that a filter lets through, in no order.
func (b *Book) lines(keep func(*CaseLine) bool) []CaseLine {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []CaseLine
	for _, h := range b.cases {
		if keep(&h.CaseLine) {
			out = append(out, h.CaseLine)
		}
	}
	return out
}

// standing gives the statuses that a filter lets through, in no order.
func (b *Book) standing(keep func(*schemas.Status) bool) []schemas.Status {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []schemas.Status
	for _, s := range b.statuses {
		if keep(&s) {
			out = append(out, s)
		}
	}
	return out
}

// act gives a newer operator record by its id.
func (b *Book) act(id string) (schemas.Operator, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	op, ok := b.acts[id]
	return op, ok
}

// expected lists the snoozes and people's allow entries that hold at now.
func (b *Book) expected(now time.Time) (snoozes []Snooze, allows []Allow) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, z := range b.snoozes {
		if z.Until.IsZero() || z.Until.After(now) {
			snoozes = append(snoozes, z)
		}
	}
	for _, all := range b.allows {
		for _, a := range all {
			if a.Until.IsZero() || a.Until.After(now) {
				allows = append(allows, a)
			}
		}
	}
	return snoozes, allows
}

// syncFor bounds the wait for the copy after an act.
const syncFor = 5 * time.Second

// seen waits until the copy has what an act on e has changed. A copy that lags longer is
// shown as it is.
func (b *Book) seen(ctx context.Context, e schemas.Entity) {
	ctx, cancel := context.WithTimeout(ctx, syncFor)
	defer cancel()
	_ = b.feed.Sync(ctx, e)
}

// has waits a moment until the copy is as new as an act on an entity: the lane writes the
// status, the case and the act to three topics, in no order.
func (b *Book) has(ctx context.Context, op *schemas.Operator) {
	after := schemas.Status{Episode: op.Episode, Step: op.Step}
	until(ctx, func() bool {
		st, _ := b.Status(op.Entity)
		c, _ := b.CaseOf(op.Entity)
		return !after.Newer(st) && c.Version >= op.Version
	})
}

// until waits until holds says so, or for syncFor.
func until(ctx context.Context, holds func() bool) {
	ctx, cancel := context.WithTimeout(ctx, syncFor)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}
