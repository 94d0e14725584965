package enforce

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// reconcileAt is when the entity's status at the receiver is looked at next, after at:
// Config.Reconcile later, each entity at another time of that. What is overdue, as after a
// long stop, is spread over the next 24th of it.
func (l *line) reconcileAt(t *task, at time.Time) time.Time {
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.ent.Entity.Key()))
	every, share := l.e.cfg.Reconcile, time.Duration(h.Sum32()%1024)
	due, now := at.Add(every-every/8+share*every/4096), l.e.now()
	if due.Before(now) {
		due = now.Add(share * every / 24 / 1024)
	}
	return due
}

// reconcile holds the status that stands against the receiver's: it asks where the
// receiver can be asked, and tells it again, under the same id, where it cannot. What
// differs is pending again, and an outcome of its own.
func (l *line) reconcile(ctx context.Context, t *task, c call) {
	if reporter, ok := l.p.(Reporter); ok && reporter.Reports() {
		ctx, cancel := context.WithTimeout(ctx, l.e.cfg.Timeout)
		defer cancel()
		is, err := reporter.Status(ctx, c.change.Entity)
		if err != nil {
			l.e.deps.Metrics.reconcile(l.name, "failed")
		} else if what := is.Differs(&c.change); what != "" {
			l.differs(t, c, errors.New(what))
		} else {
			l.e.deps.Metrics.reconcile(l.name, "same")
		}
		return
	}
	if retry, err := l.try(ctx, t, c); err != nil && ctx.Err() == nil {
		if !retry {
			err = fmt.Errorf("refused when it was told again: %w", err)
		}
		l.differs(t, c, err)
		return
	}
	l.e.deps.Metrics.reconcile(l.name, "told")
}

// differs makes a confirmed change pending again.
func (l *line) differs(t *task, c call, err error) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	l.e.deps.Metrics.reconcile(l.name, "differs")
	r := t.receipt()
	w := t.ent.Change(c.decision)
	if w == nil || r.Waits() || t.ent.Last.Decision != c.decision {
		return // it has changed meanwhile
	}
	now := l.e.now()
	w.Since, r.Pending, r.Tries = now, []string{c.decision}, map[string]int{c.decision: 1}
	l.failing(t, c.decision, err, now)
	t.count()
}
