// Package enforce carries live decisions out: it tells receivers which status an entity
// has, and people what was decided and done.
//
// An entity's status is desired state. What each receiver (a Platform) confirmed last is
// kept in a State, and as long as that differs from the status that is wanted the receiver
// is told again: after Config.Backoff first, doubling up to Config.MaxBackoff, for ever,
// until it confirms or the status changes. All attempts at one change carry the same id.
// A change that a receiver refuses as it is (400, 422) pages a person and is tried again at
// the reconcile. Of several changes of one entity the older goes first; where it fails the
// newer goes at once, and once the newer is confirmed the older is superseded.
//
// States are durable before the offsets of their decisions are committed, so a receiver
// that hangs or is away stops nothing but itself, a kill loses nothing, and what is known to
// be confirmed is not told again (a kill between a call and its record repeats the call
// under its id). An outcome that changes is an action in the journal: failing (the first
// time), refused, done, superseded, held; never one for each attempt.
//
// An automatic decision whose cause arrived longer ago than Config.AgeLimit is held: a
// person is asked. Messages to people leave by the topic outbox, which a Sender for each
// channel reads, so that a mail server that hangs delays no change and no other channel.
// The account's people are told of a change once the platform has confirmed it; without a
// platform, in words that say no more than that it was decided.
//
// Each receiver has workers of its own (Config.Concurrency); first tries go before
// repeated ones. Entities that wait are bounded by Config.Undelivered; beyond it decisions
// wait in Kafka. Shadow and history decisions are counted and otherwise ignored.
package enforce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast/schemas"
)

// Enforcer carries out the decisions of one assignment of partitions.
type Enforcer struct {
	cfg     Config
	deps    Deps
	now     func() time.Time
	log     *slog.Logger
	offsets *offsets
	names   []string // the platforms', in their order
	lines   []*line
	work    sync.WaitGroup
	fail    context.CancelCauseFunc
	saver   saver

	mu       sync.Mutex
	entities map[string]*entity
	rested   *recent[Mark] // the newest entities with which nothing is left to do
	room     chan struct{}
}

// entity is what is known of one entity, in memory while something is left to do.
type entity struct {
	State
	partition int32
	tasks     []*task // one for each line, in their order
}

// New returns an Enforcer that does nothing until Run.
func New(cfg Config, deps Deps) *Enforcer {
	e := &Enforcer{cfg: cfg, deps: deps, now: deps.Now, log: deps.Logger, rested: newRecent[Mark](), entities: map[string]*entity{}, room: make(chan struct{}, 1), fail: func(error) {}}
	e.offsets, e.saver = newOffsets(), newSaver()
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	for _, p := range deps.Platforms {
		e.names = append(e.names, p.Name())
		e.lines = append(e.lines, newLine(e, p))
	}
	return e
}

// Run carries decisions out until ctx ends, the source fails or another process takes
// over. What was under way then goes on with the next owner.
func (e *Enforcer) Run(ctx context.Context) error {
	if err := e.cfg.Validate(); err != nil {
		return err
	}
	outer := ctx
	ctx, e.fail = context.WithCancelCause(ctx)
	defer e.fail(nil)
	if err := e.load(ctx); err != nil {
		return err
	}
	saved := make(chan struct{})
	go func() { defer close(saved); e.saveLoop(ctx) }()
	begun := e.alarmed() // before a first try may end what an earlier owner paged about
	for _, l := range e.lines {
		e.work.Go(func() { l.run(ctx) })
	}
	e.work.Go(func() { e.every(ctx, e.cfg.CommitEvery, e.commit) })
	e.work.Go(func() { e.watch(ctx, begun) })
	err := e.read(ctx)
	if cause := context.Cause(ctx); cause != nil && outer.Err() == nil {
		err = cause
	} else if ctx.Err() != nil {
		err = nil // being told to stop is no failure
	}
	e.fail(err)
	e.work.Wait()
	<-saved
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	if !errors.Is(err, ErrLost) {
		e.saveQueued(last)
		e.commit(last)
	}
	return err
}

// lastWrite is how long the end may take to write down what was done.
const lastWrite = 5 * time.Second

// load takes up what earlier owners left. A compacted topic may still hold older records of
// an entity: only the last one counts, and only that may be written again.
func (e *Enforcer) load(ctx context.Context) error {
	changed := map[string]*entity{}
	err := e.deps.Store.Load(ctx, func(partition int32, s *State) {
		e.mu.Lock()
		defer e.mu.Unlock()
		key := s.Entity.Key()
		delete(e.entities, key)
		delete(changed, key)
		owed := e.owedTo(s)
		if s.rests(e.names) && !owed {
			e.rested.put(key, s.Last)
			return
		}
		x := e.track(&entity{State: *s, partition: partition})
		if e.entities[key] = x; owed {
			changed[key] = x
		}
	})
	if err != nil {
		return fmt.Errorf("read what was carried out: %w", err)
	}
	e.queueSave(slices.Collect(maps.Values(changed))...)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.entities {
		for _, t := range x.tasks {
			t.line.resume(t)
		}
	}
	return nil
}

// owedTo makes a state that was written under another configuration one of this: a receiver
// that is new is owed the status that stands, one that is there no more is owed nothing. It
// reports whether something changed.
func (e *Enforcer) owedTo(s *State) (changed bool) {
	for name, r := range s.Receivers {
		if !slices.Contains(e.names, name) && (len(r.Pending) > 0 || len(r.Owed) > 0 || r.Confirmed == nil) {
			changed = true
			if *r = (Receipt{Confirmed: r.Confirmed}); r.Confirmed == nil {
				delete(s.Receivers, name)
			}
		}
	}
	for _, name := range e.names {
		r := s.receipt(name)
		r.Pending = slices.DeleteFunc(r.Pending, func(d string) bool { return s.Change(d) == nil })
		last := s.Change(s.Last.Decision)
		if !r.Waits() && last != nil && e.takes(name, r, last.Record.Status) && s.Last.binds() && (r.Confirmed == nil || r.Confirmed.Decision != s.Last.Decision) {
			r.Pending, r.Asked, changed = []string{s.Last.Decision}, e.now(), true
		}
		if !r.Waits() {
			r.Failing, r.Held = nil, false
		}
		if r.Tries == nil {
			r.Tries = map[string]int{}
		}
	}
	return changed
}

// takes reports whether a status concerns the receiver.
func (e *Enforcer) takes(name string, r *Receipt, s *schemas.Status) bool {
	p, chooses := e.deps.Platforms[slices.Index(e.names, name)].(Chooser)
	return !chooses || p.Takes(s, r.Stopped || r.Waits())
}

func (e *Enforcer) track(x *entity) *entity {
	for _, l := range e.lines {
		x.tasks = append(x.tasks, &task{line: l, ent: x, index: -1})
	}
	return x
}

func (e *Enforcer) read(ctx context.Context) error {
	for {
		if !e.hasRoom(ctx) {
			return nil
		}
		items, err := e.deps.Source.Next(ctx)
		if err != nil {
			return fmt.Errorf("read decisions: %w", err)
		}
		for _, it := range items {
			e.offsets.begin(it.at())
		}
		if !e.take(ctx, items) {
			return nil
		}
		for _, it := range items {
			e.offsets.finish(it.at())
		}
	}
}

// hasRoom waits while too many entities wait for a receiver.
func (e *Enforcer) hasRoom(ctx context.Context) bool {
	for e.undelivered() >= e.cfg.Undelivered {
		select {
		case <-e.room:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// undelivered is how many entities the line waits for that has most of them.
func (e *Enforcer) undelivered() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, l := range e.lines {
		n = max(n, len(l.waits))
	}
	return n
}

// made says that a line waits for fewer entities than before.
func (e *Enforcer) made() {
	select {
	case e.room <- struct{}{}:
	default:
	}
}

// every calls do again and again until ctx ends.
func (e *Enforcer) every(ctx context.Context, d time.Duration, do func(context.Context)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(ctx)
		}
	}
}

// commit tries again at the next tick where it fails: a commit that is late only
// repeats what is known to be done.
func (e *Enforcer) commit(ctx context.Context) {
	for at, offset := range e.offsets.ready() {
		if err := e.deps.Source.Commit(ctx, at.topic, at.partition, offset); err != nil {
			if !errors.Is(err, context.Canceled) {
				e.log.Warn("commit of decisions failed, it is tried again", "topic", at.topic, "partition", at.partition, "offset", offset, "error", err)
			}
			continue
		}
		e.offsets.committed(at, offset)
	}
}

func (it Item) at() (log, int64) { return log{it.Topic, it.Partition}, it.Offset }

// log is one partition of one topic.
type log struct {
	topic     schemas.Topic
	partition int32
}
