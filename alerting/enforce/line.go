package enforce

import (
	"container/heap"
	"context"
	"time"
)

// line tells one receiver: at most Config.Concurrency calls at once, one entity's one
// after another. Fields are guarded by the Enforcer's lock.
type line struct {
	e     *Enforcer
	p     Platform
	name  string
	slots chan struct{}
	wake  chan struct{}

	fresh  []*task // never tried, in the order in which they came
	later  tasks   // by when they are due
	turn   int
	waits  map[*task]struct{} // those with something pending that is not held
	outage outage
	missed int       // calls that failed since one succeeded
	woken  time.Time // when all were last tried at once
	probed time.Time
	alarms alarms
}

// task is one entity on one line.
type task struct {
	line  *line
	ent   *entity
	due   time.Time
	index int // in later; -1: not there
	queue queue

	fails int       // rounds that failed since one succeeded, in this process
	first time.Time // when the first of those was
	least time.Time // the receiver asked not to be called before
	again bool      // something changed while it was under way
}

// queue says where a task is.
type queue byte

const (
	idle queue = iota
	inFresh
	inLater
	underway
)

func newLine(e *Enforcer, p Platform) *line {
	return &line{e: e, p: p, name: p.Name(), waits: map[*task]struct{}{}, slots: make(chan struct{}, e.cfg.Concurrency), wake: make(chan struct{}, 1)}
}

func (t *task) receipt() *Receipt { return t.ent.receipt(t.line.name) }

// keeps reports whether the receiver has to keep the status that stands: it is looked at from
// time to time.
func (t *task) keeps() bool {
	w := t.ent.Change(t.ent.Last.Decision)
	return w != nil && t.ent.Last.binds() && t.line.e.takes(t.line.name, t.receipt(), w.Record.Status)
}

// count keeps line.waits true. It is called whenever a receipt's Pending or Held changes.
func (t *task) count() {
	r := t.receipt()
	_, counted := t.line.waits[t]
	switch waits := r.Waits() && !r.Held; {
	case waits && !counted:
		t.line.waits[t] = struct{}{}
	case !waits && counted:
		delete(t.line.waits, t)
		t.line.e.made()
	}
}

// schedule has the task called: at once and before repeated tries where due is zero.
func (l *line) schedule(t *task, due time.Time) {
	t.count()
	switch t.queue {
	case underway:
		t.again = true
		return
	case inFresh:
		return
	case inLater:
		heap.Remove(&l.later, t.index)
	}
	t.due = due
	if due.IsZero() {
		t.queue = inFresh
		l.fresh = append(l.fresh, t)
	} else {
		t.queue = inLater
		heap.Push(&l.later, t)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// resume schedules what an earlier owner left. A try that was put off for long is made
// soon: the outage may be over.
func (l *line) resume(t *task) {
	r := t.receipt()
	now := l.e.now()
	switch {
	case len(r.Owed) > 0:
		l.schedule(t, time.Time{})
	case r.Held && r.Waits():
		t.count()
	case r.Waits() && (r.Failing == nil || !r.Failing.Refused):
		l.schedule(t, time.Time{})
	case r.Waits():
		l.schedule(t, r.Failing.Next)
	case t.keeps() && l.e.cfg.Reconcile > 0:
		at := now
		if r.Confirmed != nil {
			at = r.Confirmed.At
		}
		l.schedule(t, l.reconcileAt(t, at))
	}
}

// run starts calls until ctx ends.
func (l *line) run(ctx context.Context) {
	for {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		t := l.next(ctx)
		if t == nil {
			return
		}
		l.e.work.Go(func() {
			defer func() { <-l.slots }()
			l.round(ctx, t)
		})
	}
}

// next waits for a task that is due.
func (l *line) next(ctx context.Context) *task {
	for {
		t, wait := l.pick()
		if t != nil {
			return t
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// retryShare is how often a repeated try goes before first ones: each fourth time.
const retryShare = 4

// pick takes the task whose turn it is, or says how long there is none.
func (l *line) pick() (*task, time.Duration) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	now := l.e.now()
	due := len(l.later) > 0 && !l.later[0].due.After(now)
	l.turn++
	var t *task
	switch {
	case len(l.fresh) > 0 && (!due || l.turn%retryShare != 0):
		t = l.fresh[0]
		l.fresh = l.fresh[1:]
	case due:
		t = heap.Pop(&l.later).(*task)
	case len(l.later) > 0:
		return nil, max(l.later[0].due.Sub(now), time.Millisecond)
	default:
		return nil, time.Hour
	}
	t.queue, t.again = underway, false
	return t, 0
}

// tasks is a heap of tasks by when they are due.
type tasks []*task

func (h tasks) Len() int           { return len(h) }
func (h tasks) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h tasks) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *tasks) Push(x any) {
	t := x.(*task)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *tasks) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
