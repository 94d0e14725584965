package enforce

import (
	"context"
	"slices"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// take makes durable what follows from items, and has it carried out. It returns false
// where ctx ended before.
func (e *Enforcer) take(ctx context.Context, items []Item) bool {
	var letters []notify.Letter
	var changed []*entity
	e.mu.Lock()
	for _, it := range items {
		if it.Record == nil {
			changed = append(changed, e.retry(it.Retry)...)
			continue
		}
		e.deps.Metrics.decision(it.Record)
		x, l := e.plan(it)
		letters = append(letters, l...)
		if x != nil && !slices.Contains(changed, x) {
			changed = append(changed, x)
		}
	}
	e.mu.Unlock()
	if len(letters) > 0 && !e.write(ctx, "letters", func(ctx context.Context) error { return e.deps.Sink.Letters(ctx, letters) }) {
		return false
	}
	if !e.save(ctx, changed...) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range changed {
		for _, t := range x.tasks {
			if r := t.receipt(); r.Waits() && !r.Held || len(r.Owed) > 0 {
				t.line.arrive(t)
			}
		}
	}
	return true
}

// arrive schedules a task to which something was added. One that waits for its next try
// goes at once: what is new may be taken where the old was not.
func (l *line) arrive(t *task) {
	if t.receipt().Failing == nil {
		l.schedule(t, time.Time{})
		return
	}
	l.schedule(t, l.e.now())
}

// plan says what a decision asks for: an entity whose status has to be told, and messages
// to people. The lock is held.
func (e *Enforcer) plan(it Item) (*entity, []notify.Letter) {
	r := it.Record
	if r.Mode != schemas.ModeLive {
		return nil, nil
	}
	old := e.tooOld(r)
	var x *entity
	if changes(r) || e.lowers(r) {
		x = e.want(it, old)
	}
	switch {
	case old && r.Verdict.Stops():
		return x, e.letters(r, notify.AudienceOperator, notify.IsHeld(r, e.cfg.AgeLimit))
	case old:
		return x, nil
	}
	var out []notify.Letter
	if e.tellsOperators(r) {
		out = e.letters(r, notify.AudienceOperator, notify.FromDecision(r, e.names, false))
	}
	if tellsCustomer(r) && (len(e.lines) == 0 || x != nil && e.everywhere(x, r.ID)) { // nobody will confirm it
		out = append(out, e.letters(r, notify.AudienceCustomer, notify.FromDecision(r, nil, false))...)
	}
	if tellsSystems(r) && (len(e.lines) == 0 || x != nil && e.everywhere(x, r.ID)) {
		out = append(out, e.letters(r, notify.AudienceSystem, notify.FromDecision(r, nil, false))...)
	}
	return x, out
}

// want takes a change in for every receiver that is not known to have confirmed it.
func (e *Enforcer) want(it Item, hold bool) *entity {
	r, key := it.Record, it.Record.Entity.Key()
	x := e.entities[key]
	if x != nil && x.Last.Decision == r.ID {
		if w := x.Change(r.ID); w != nil && len(w.Record.Contacts) == 0 {
			w.Record.Contacts = r.Contacts // it was taken from a status alone
		}
		return nil
	}
	if x == nil {
		x = e.track(&entity{partition: it.Partition})
		x.Last, _ = e.rested.get(key)
	}
	if !x.want(r, e.now().UTC()) {
		return nil
	}
	e.entities[key] = x
	w := x.Change(r.ID)
	for _, t := range x.tasks {
		rc := t.receipt()
		if !e.takes(t.line.name, rc, r.Status) {
			continue
		}
		if rc.Held {
			for _, d := range slices.Clone(rc.Pending) {
				t.line.supersede(t, d, r.ID)
			}
		}
		rc.Pending = append(rc.Pending, r.ID)
		if rc.Held = hold; hold {
			rc.Owed = append(rc.Owed, e.action(w, t.line.name, OutcomeHeld, 0, "its cause arrived more than "+e.cfg.AgeLimit.String()+" ago: a person decides"))
		}
		t.count()
	}
	x.trim(e.names)
	return x
}

// retry has an entity told now that waits for its next try, or for a person.
func (e *Enforcer) retry(id schemas.Entity) []*entity {
	x := e.entities[id.Key()]
	if x == nil {
		return nil
	}
	for _, t := range x.tasks {
		r := t.receipt()
		r.Held = false
		if r.Failing != nil {
			r.Failing.Refused = false
		}
		t.fails, t.least = 0, e.now()
		if r.Waits() {
			t.line.schedule(t, e.now())
		}
	}
	return []*entity{x}
}

// changes reports whether receivers have something to do: the status that was published
// with the decision is one that they carry out. A step of probation's ramp is one too,
// whatever its verdict. A review is theirs only where it ends something, see lowers.
func changes(r *decision.Record) bool {
	return r.Status != nil && (r.Verdict == schemas.VerdictRelease || r.Status.Binds() || r.Verdict.Rank() < schemas.VerdictReview.Rank())
}

// decides reports whether the decision stops, slows down or releases somebody.
func decides(r *decision.Record) bool {
	return r.Status != nil && (r.Verdict.Rank() >= schemas.VerdictThrottle.Rank() || r.Verdict == schemas.VerdictRelease)
}

// lowers reports whether a review takes the place of what is in force: the platform knows
// no review, so that ends there. The lock is held.
func (e *Enforcer) lowers(r *decision.Record) bool {
	x := e.entities[r.Entity.Key()]
	return r.Status != nil && x != nil && x.Last.binds()
}

func (e *Enforcer) tellsOperators(r *decision.Record) bool {
	switch {
	case notify.Restates(r):
		return notify.Closes(r)
	case r.Braked, r.Page, r.Verdict == schemas.VerdictReview && r.Proposed.Stops():
		return true
	case r.Verdict == schemas.VerdictReview:
		return e.cfg.NotifyReviews
	}
	return decides(r) && !r.Pending
}

// tellsCustomer reports whether something changes for the account's people. A throttle
// that only bridges the time until an answer, or the brake, is not told.
func tellsCustomer(r *decision.Record) bool {
	if r.Entity.Kind != schemas.KindAccount || r.Status == nil {
		return false
	}
	if r.Again {
		return notify.Closes(r)
	}
	return r.Verdict.Stops() || r.Verdict == schemas.VerdictRelease || r.Verdict == schemas.VerdictThrottle && !r.Pending && !r.Braked
}

// tellsSystems reports whether other systems are told that something is in force.
func tellsSystems(r *decision.Record) bool {
	return r.Status != nil && !r.Again && (r.Verdict.Stops() || r.Verdict == schemas.VerdictRelease)
}

// tooOld reports whether a person must be asked: what caused an automatic decision that
// takes something away arrived so long ago that the entity may be another's by now.
func (e *Enforcer) tooOld(r *decision.Record) bool {
	return e.cfg.AgeLimit > 0 && r.Automatic() && r.Status != nil && r.Verdict.Rank() >= schemas.VerdictThrottle.Rank() && e.now().Sub(r.Arrival) > e.cfg.AgeLimit
}
