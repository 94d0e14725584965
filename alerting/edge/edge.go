package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"holdfast/schemas"
)

// Change is one record of the status topic; Status nil says that it was deleted.
type Change struct {
	Key    string
	Status *schemas.Status
}

// Batch is what a Feed read together.
type Batch struct {
	Changes      []Change
	Next         map[int32]int64 // by partition, the offset after what was read
	AtEnd        bool            // nothing more stood in the log then
	Installation string          // of the log
}

// Feed reads the status topic. It is used by one goroutine.
type Feed interface {
	// Open prepares reading on from the given offsets, where the log is still that of
	// the installation; otherwise it reads the log from its beginning, and again is true:
	// what is known is of another log.
	Open(ctx context.Context, at map[int32]int64, installation string) (again bool, err error)
	// Next waits about a second at most. An error says that the log cannot be read now.
	Next(ctx context.Context) (Batch, error)
}

// Deps are an Edge's surroundings. Logger and Metrics may be nil.
type Deps struct {
	Feed    Feed
	Logger  *slog.Logger
	Metrics *Metrics
	Now     func() time.Time // the wall clock, time.Now where nil
}

// Edge follows the status topic and answers.
type Edge struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	now     func() time.Time
	table   *Table
	store   *Store
	changes *changes
	limits  *limits
	days    days
	asOf    atomic.Int64 // Unix milliseconds; 0: never
	lists   lists
	streams atomic.Int64

	at           map[int32]int64
	installation string
	noted        time.Time // when the copy on disk was last written
}

// New opens the copy on disk and reads it: what it holds is answered from then on.
func New(cfg Config, deps Deps) (*Edge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Edge{cfg: cfg, deps: deps, log: deps.Logger, now: deps.Now, table: NewTable(), changes: newChanges(), limits: newLimits(cfg.Postfix.Rate)}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	var err error
	if e.store, err = OpenStore(cfg.File); err != nil {
		return nil, err
	}
	now := e.now()
	var asOf time.Time
	e.at, e.installation, asOf, err = e.store.Load(func(key string, st Standing) { e.table.Put(key, st, now) })
	if err != nil {
		return nil, errors.Join(err, e.store.Close())
	}
	if !asOf.IsZero() {
		e.asOf.Store(asOf.UnixMilli())
	}
	e.log.Info("the edge's copy is read", "file", cfg.File, "entities", e.table.Len(), "as_of", asOf)
	return e, nil
}

// Close ends the use of the copy on disk.
func (e *Edge) Close() error { return e.store.Close() }

// Run follows the log until ctx ends. Where the log cannot be read it goes on trying; the
// answers stay those of the last known status.
func (e *Edge) Run(ctx context.Context) error {
	for away := false; ctx.Err() == nil; {
		err := e.follow(ctx, &away)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop, which is no failure
		}
		if !away {
			e.log.Warn("the status topic cannot be read: answers go on from the copy", "error", err)
			away = true
		}
		e.deps.Metrics.outage()
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
	return nil
}

// noteEvery is how often the copy on disk learns that nothing has changed.
const noteEvery = 10 * time.Second

// retryEvery is how long the edge waits before it looks for the log again.
const retryEvery = time.Second

func (e *Edge) follow(ctx context.Context, away *bool) error {
	again, err := e.deps.Feed.Open(ctx, e.at, e.installation)
	if err != nil {
		return err
	}
	var fresh *renewal
	if again && (len(e.at) > 0 || e.table.Len() > 0) {
		e.log.Warn("the log is not the one that the copy is of: its statuses stay in force until the new one is read to its end")
		fresh = &renewal{seen: map[string]bool{}}
	}
	for {
		b, err := e.deps.Feed.Next(ctx)
		if err != nil {
			return err
		}
		if *away {
			e.log.Info("the status topic can be read again")
			*away = false
		}
		if err := e.take(&b, fresh); err != nil {
			return err
		}
		if b.AtEnd {
			fresh = nil
		}
	}
}

// renewal is the reading of another log than the copy's: what it does not name is
// forgotten at its end, and not before.
// Until then the copy counts as of the log before: a reading that is cut begins again.
type renewal struct {
	seen map[string]bool
	at   map[int32]int64
}

// take puts a batch into both copies and tells the streams.
func (e *Edge) take(b *Batch, fresh *renewal) error {
	now := e.now()
	for _, c := range b.Changes {
		if fresh != nil {
			fresh.seen[c.Key] = c.Status != nil
		}
		e.apply(c, now)
	}
	if fresh != nil && b.AtEnd {
		for _, key := range e.table.keys() {
			if !fresh.seen[key] {
				gone := Change{Key: key}
				e.apply(gone, now)
				b.Changes = append(b.Changes, gone)
			}
		}
	}
	var asOf time.Time
	if b.AtEnd {
		asOf = now
		e.asOf.Store(now.UnixMilli())
	}
	e.deps.Metrics.took(len(b.Changes))
	if fresh == nil && len(b.Changes) == 0 && (asOf.IsZero() || now.Sub(e.noted) < noteEvery) {
		return nil
	}
	if fresh != nil {
		fresh.at = merged(fresh.at, b.Next)
	}
	switch write := *b; {
	case fresh != nil && !b.AtEnd:
		write.Next, write.Installation = nil, ""
		b = &write
	case fresh != nil:
		e.at, e.installation, write.Next = fresh.at, b.Installation, fresh.at
		b = &write
	default:
		e.at, e.installation = merged(e.at, b.Next), b.Installation
	}
	e.noted = now
	if err := e.store.Write(b, asOf); err != nil {
		// The copy in memory is right; a restart reads the log again from where the file is.
		e.log.Error("the edge's copy on disk is behind", "error", err)
		e.deps.Metrics.behind()
	}
	return nil
}

func (e *Edge) apply(c Change, now time.Time) {
	if c.Status == nil {
		if e.table.Drop(c.Key, now) {
			e.changes.add(c.Key)
		}
		return
	}
	if e.table.Put(c.Key, standingOf(c.Status), now) {
		e.changes.add(c.Key)
	}
}

func merged(at, next map[int32]int64) map[int32]int64 {
	if at == nil {
		at = map[int32]int64{}
	}
	for p, o := range next {
		at[p] = o
	}
	return at
}

// Lookup answers for an entity. An address is looked up as it is watched: IPv6 by its /64.
func (e *Edge) Lookup(entity schemas.Entity) Answer {
	if entity.Kind == schemas.KindIP && !strings.Contains(entity.ID, "/") {
		if a, err := netip.ParseAddr(entity.ID); err == nil {
			entity = schemas.IPEntity(e.cfg.NAT64.IP(a))
		}
	}
	a := Answer{Entity: entity}
	a.Standing, a.Known = e.table.Get(entity.Key())
	a.AsOf, a.Age, a.Stale = e.freshness()
	return a
}

// freshness is when the copy last held all that the log had.
func (e *Edge) freshness() (asOf time.Time, age time.Duration, stale bool) {
	ms := e.asOf.Load()
	if ms == 0 {
		return time.Time{}, 0, true
	}
	asOf = time.UnixMilli(ms).UTC()
	age = max(0, e.now().Sub(asOf))
	return asOf, age, age > e.cfg.StaleAfter
}

// Ready reports whether the edge has ever held the whole status topic.
func (e *Edge) Ready() bool { return e.asOf.Load() != 0 }

// Suspended returns the accounts that must not send; ok is false until the status topic was
// once read to its end.
func (e *Edge) Suspended() (accounts []string, ok bool) {
	if !e.Ready() {
		return nil, false
	}
	accounts, _ = e.table.Stopped(schemas.KindAccount, statusSuspended)
	return accounts, true
}

// Changed is closed at the next change of any status.
func (e *Edge) Changed() <-chan struct{} {
	_, _, wake, _ := e.changes.since(e.changes.now(), 0)
	return wake
}
