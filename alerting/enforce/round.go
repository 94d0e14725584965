package enforce

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// An older change is tried before the newer ones of its entity for so long from the first
// failure on, and for so many rounds at least. After that only the newest is.
const (
	grace       = 30 * time.Second
	graceRounds = 6
)

// call is one change that is to be told.
type call struct {
	decision string
	change   notify.Change
}

// round tells the receiver what the entity's task has pending, oldest first. Where the
// older one fails the newer goes at once: a stop never waits for a throttle that the
// receiver does not take.
func (l *line) round(ctx context.Context, t *task) {
	if !l.e.pay(ctx, t) {
		return
	}
	calls, newest := l.begin(t)
	if !l.e.pay(ctx, t) { // what was superseded
		return
	}
	if len(calls) == 0 && newest != nil {
		l.reconcile(ctx, t, *newest)
	}
	for _, c := range calls {
		if !l.pending(t, c.decision) {
			continue
		}
		retry, err := l.try(ctx, t, c)
		if ctx.Err() != nil && err != nil {
			return // nothing is known of it: the next owner tells it again
		}
		wait := l.outcome(t, c.decision, retry, err)
		if !l.e.pay(ctx, t) {
			return
		}
		if wait {
			break
		}
	}
	l.end(t)
}

// begin settles what is not worth telling any more and returns the calls to make; where
// there are none, the one by which a reconcile repeats the status that stands.
func (l *line) begin(t *task) (calls []call, newest *call) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	r, now := t.receipt(), l.e.now()
	if r.Held {
		return nil, nil
	}
	for len(r.Pending) > 1 && (len(r.Pending) > maxChanges || r.Tries[r.Pending[0]] > 0 && (t.ent.Last.active() || t.fails >= graceRounds && now.Sub(t.first) > grace)) {
		l.supersede(t, r.Pending[0], t.ent.Last.Decision)
	}
	for _, d := range r.Pending {
		if w := t.ent.Change(d); w != nil {
			calls = append(calls, call{d, l.e.changeOf(w, l.name)})
		} else {
			r.settle(d) // it cannot be: what is pending is kept
		}
	}
	if w := t.ent.Change(t.ent.Last.Decision); len(calls) == 0 && t.keeps() {
		newest = &call{w.Record.ID, l.e.changeOf(w, l.name)}
	}
	return calls, newest
}

func (e *Enforcer) changeOf(w *Wanted, target string) notify.Change {
	r := w.Record
	c := schemas.ChangeOf(r.Status)
	c.ID, c.Time, c.Entity, c.Account, c.Verdict, c.Decision, c.Reason, c.By = actionID(r.ID, target), r.Time, r.Entity, r.Account, r.Verdict, r.ID, r.NoticeReason, r.By
	return c
}

func (l *line) pending(t *task, decision string) bool {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	_, ok := index(t.receipt().Pending, decision)
	return ok
}

func index(list []string, s string) (int, bool) {
	for i, x := range list {
		if x == s {
			return i, true
		}
	}
	return 0, false
}

// try makes one call in the slot that the round has.
func (l *line) try(ctx context.Context, t *task, c call) (bool, error) {
	l.e.mu.Lock()
	if r := t.receipt(); r.Waits() {
		if r.Tries == nil {
			r.Tries = map[string]int{}
		}
		r.Tries[c.decision]++
		r.Stopped = r.Stopped || stops(c.change.Status)
	}
	l.e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, l.e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	retry, err := l.p.Change(ctx, c.change)
	l.e.deps.Metrics.call(l.name, time.Since(began))
	return retry, err
}

func stops(status string) bool {
	return status == schemas.StatusSuspended || status == schemas.StatusBlocked
}

// outcome takes in how a call ended; wait says that the receiver asked for a pause.
func (l *line) outcome(t *task, decision string, retry bool, err error) (wait bool) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	defer t.count()
	now := l.e.now()
	switch {
	case err == nil:
		l.confirmed(t, decision, now)
	case !retry:
		l.refused(t, decision, err, now)
	default:
		wait = l.failing(t, decision, err, now)
	}
	return wait
}

// confirmed settles a change and those before it. The lock is held.
func (l *line) confirmed(t *task, decision string, now time.Time) {
	r := t.receipt()
	w := t.ent.Change(decision)
	at, ok := index(r.Pending, decision)
	if w == nil || !ok {
		return
	}
	for _, older := range append([]string(nil), r.Pending[:at]...) {
		l.supersede(t, older, decision)
	}
	a := l.e.action(w, l.name, OutcomeDone, r.Tries[decision], "")
	s := w.Record.Status
	r.Stopped = stops(s.Status)
	mark := MarkOf(s, now)
	mark.Decision, r.Confirmed = decision, &mark
	r.settle(decision)
	r.Failing = nil
	r.Owed = append(r.Owed, a)
	t.fails, t.least = 0, time.Time{}
	l.succeeded(now)
}

// supersede settles a change that a newer one replaces. The lock is held.
func (l *line) supersede(t *task, decision, by string) {
	r := t.receipt()
	if w := t.ent.Change(decision); w != nil {
		if tellsCustomer(w.Record) && w.Record.Verdict != schemas.VerdictRelease {
			t.ent.Untold = true
		}
		detail := "the newer decision " + by + " goes instead"
		if r.Failing != nil {
			detail += "; before: " + r.Failing.Error
		}
		r.Owed = append(r.Owed, l.e.action(w, l.name, OutcomeSuperseded, r.Tries[decision], detail))
	}
	failing := r.Failing
	r.settle(decision)
	if len(r.Pending) > 0 {
		r.Failing = failing
	}
	t.count()
}

// failing notes a failure that passes. The lock is held.
func (l *line) failing(t *task, decision string, err error, now time.Time) (wait bool) {
	r := t.receipt()
	w := t.ent.Change(decision)
	if w == nil {
		return false
	}
	text := notify.Clip(err.Error(), maxError)
	if r.Failing == nil {
		r.Failing = &Failing{Since: now}
	}
	r.Failing.Attempts++
	r.Failing.Error, r.Failing.Refused = text, false
	if r.Tries[decision] == 1 {
		r.Owed = append(r.Owed, l.e.action(w, l.name, OutcomeFailing, 1, text))
	}
	if t.fails == 0 {
		t.first = now
	}
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) && after.RetryAfter() > 0 {
		t.least, wait = now.Add(after.RetryAfter()), true
	}
	l.failed(err, now)
	return wait
}

// refused notes that the receiver does not take the change as it is. Where a newer one
// waits it goes on; else this is tried again at the reconcile. The lock is held.
func (l *line) refused(t *task, decision string, err error, now time.Time) {
	r := t.receipt()
	w := t.ent.Change(decision)
	if w == nil {
		return
	}
	text := notify.Clip(err.Error(), maxError)
	if r.Failing == nil {
		r.Failing = &Failing{Since: now}
	}
	if !r.Failing.Refused {
		r.Owed = append(r.Owed, l.e.action(w, l.name, OutcomeRefused, r.Tries[decision], text))
	}
	r.Failing.Attempts++
	r.Failing.Error, r.Failing.Refused = text, true
	if decision != t.ent.Last.Decision {
		failing := r.Failing
		r.settle(decision)
		if len(r.Pending) > 0 {
			failing.Refused = false
			r.Failing = failing
		}
	}
	l.e.deps.Metrics.attempt(l.name, "refused")
	l.missed = 0 // somebody answers
}

// maxError bounds what is kept of a receiver's answer.
const maxError = 300

// end schedules the task's next round, saves what was put off, and lets go of an entity
// with which nothing is left to do.
func (l *line) end(t *task) {
	e := l.e
	e.mu.Lock()
	defer e.mu.Unlock()
	r, now := t.receipt(), e.now()
	t.queue = idle
	t.count()
	switch {
	case r.Held:
	case t.again && r.Waits() && r.Failing == nil, len(r.Owed) > 0:
		l.schedule(t, time.Time{})
	case r.Waits():
		pause := l.pause(t)
		if r.Failing != nil && r.Failing.Refused {
			pause = e.cfg.Reconcile
			if pause == 0 {
				pause = e.cfg.MaxBackoff
			}
		} else if t.fails++; t.again {
			pause = min(pause, e.cfg.Backoff)
		}
		due := now.Add(pause)
		if due.Before(t.least) {
			due = t.least
		}
		if r.Failing != nil {
			r.Failing.Next = due
			if pause >= saveFrom {
				e.queueSave(t.ent)
			}
		}
		l.schedule(t, due)
	case t.ent.rests(e.names):
		e.letGo(t.ent)
	case t.keeps() && e.cfg.Reconcile > 0 && r.Confirmed != nil:
		l.schedule(t, l.reconcileAt(t, now))
	}
	l.settleOutage(now)
}

// saveFrom is the pause from which on attempts, error and next try are written down for
// others to read: while tries follow each other closely it would be a record for each.
const saveFrom = 4 * time.Second

func (x *entity) idle() bool {
	for _, t := range x.tasks {
		if t.queue != idle {
			return false
		}
	}
	return true
}

// pause is how long to wait after so many rounds that failed: Config.Backoff, doubled each
// time up to Config.MaxBackoff, give or take a quarter.
func (l *line) pause(t *task) time.Duration {
	d := l.e.cfg.Backoff
	for i := 0; i < t.fails && d < l.e.cfg.MaxBackoff; i++ {
		d *= 2
	}
	d = min(d, l.e.cfg.MaxBackoff)
	return d*3/4 + rand.N(d/2+1) // #nosec G404 -- jitter
}

// succeeded says that the receiver took something: where it took nothing before, all that
// waits is tried now, whatever pause it had. The lock is held.
func (l *line) succeeded(now time.Time) {
	l.e.deps.Metrics.attempt(l.name, "confirmed")
	l.alarms.gone = false
	if l.missed >= awayAfter && now.Sub(l.woken) > wakeEvery {
		l.woken = now
		l.wakeAll(now)
	}
	l.missed = 0
}

// A receiver counts as away after so many failures in a row, and all that waits for it is
// tried at once no more often than that.
const (
	awayAfter = 3
	wakeEvery = 15 * time.Second
)

func (l *line) wakeAll(now time.Time) {
	for _, t := range append(tasks(nil), l.later...) {
		if r := t.receipt(); r.Waits() && r.Failing != nil && !r.Failing.Refused && t.due.After(now) && !t.least.After(now) {
			t.fails = min(t.fails, 1)
			l.schedule(t, now)
		}
	}
}

// failed says that the receiver did not take something. The lock is held.
func (l *line) failed(err error, now time.Time) {
	l.missed++
	l.e.deps.Metrics.attempt(l.name, "failed")
	var gone interface{ Gone() bool }
	if errors.As(err, &gone) && gone.Gone() {
		l.alarms.gone = true
	}
	if l.outage.begins(now) {
		l.e.log.Warn("the receiver does not confirm, it is told again until it does", "receiver", l.name, "undelivered", len(l.waits), "error", err)
	}
}

// settleOutage says that the receiver has confirmed all. The lock is held.
func (l *line) settleOutage(now time.Time) {
	if len(l.waits) == 0 && l.outage.ends(now) {
		l.e.log.Info("the receiver has confirmed everything", "receiver", l.name, "after", now.Sub(l.outage.since).Round(time.Second))
	}
}

// outage tells once when something begins to fail, and when it is over. One that is over
// and comes again within a minute is not told again.
type outage struct {
	on, told    bool
	since, over time.Time
}

func (o *outage) begins(now time.Time) bool {
	if o.on {
		return false
	}
	if o.told = o.over.IsZero() || now.Sub(o.over) > time.Minute; o.told {
		o.since = now
	}
	o.on = true
	return o.told
}

func (o *outage) ends(now time.Time) bool {
	if !o.on {
		return false
	}
	o.on, o.over = false, now
	return o.told
}
