package enforce

import (
	"context"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// plan says what a decision asks for and queues it: a change at the platform where
// a standing was published that the platform acts on, a notice to operators, and a
// notice to the account's people where they are slowed down, stopped or released.
func (e *Enforcer) plan(ctx context.Context, j *job) {
	r := j.item.Record
	if r.Mode != schemas.ModeLive {
		return
	}
	if e.tooOld(r) {
		e.hold(ctx, j)
		return
	}
	if e.platform != nil && changes(r) {
		e.change(ctx, j)
	}
	if e.tellsOperators(r) {
		e.notices(ctx, j, notify.AudienceOperator, notify.ForOperator(r))
	}
	if tellsCustomer(r) {
		e.notices(ctx, j, notify.AudienceCustomer, notify.ForCustomer(r))
	}
}

// changes reports whether the platform has something to do.
func changes(r *decision.Record) bool {
	return r.Status != nil && (r.Verdict.Rank() >= schemas.VerdictThrottle.Rank() || r.Verdict == schemas.VerdictRelease)
}

func (e *Enforcer) tellsOperators(r *decision.Record) bool {
	switch {
	case r.Braked, r.Page, r.Verdict == schemas.VerdictReview && r.Proposed.Stops():
		return true
	case r.Verdict == schemas.VerdictReview:
		return e.cfg.NotifyReviews
	}
	return changes(r) && !r.Pending
}

// tellsCustomer reports whether something changes for the account's people. A throttle
// that only bridges the time until an answer, or the brake, is not told.
func tellsCustomer(r *decision.Record) bool {
	if r.Entity.Kind != schemas.KindAccount || r.Status == nil || r.Again {
		return false
	}
	return r.Verdict.Stops() || r.Verdict == schemas.VerdictRelease || r.Verdict == schemas.VerdictThrottle && !r.Pending && !r.Braked
}

// tooOld reports whether a person must be asked: what caused an automatic decision
// arrived so long ago that the entity may be another's by now.
func (e *Enforcer) tooOld(r *decision.Record) bool {
	return e.cfg.AgeLimit > 0 && r.Automatic() && changes(r) && e.now().Sub(r.Arrival) > e.cfg.AgeLimit
}

// hold writes down that the decision was not carried out, and asks a person.
func (e *Enforcer) hold(ctx context.Context, j *job) {
	r := j.item.Record
	if e.platform != nil {
		a := e.action(r)
		if !e.seen.has(a.ID) {
			j.add()
			e.platform.put(ctx, r.Entity.Key(), func(ctx context.Context) {
				a.Time, a.Outcome = e.now().UTC(), OutcomeHeld
				a.Detail = "its cause arrived more than " + e.cfg.AgeLimit.String() + " ago: a person decides"
				j.end(e.writeAction(ctx, a))
			})
		}
	}
	if r.Verdict.Stops() {
		e.notices(ctx, j, notify.AudienceOperator, notify.ForHeld(r, e.cfg.AgeLimit))
	}
}

// The outcomes of actions and notices.
const (
	OutcomeDone   = "done"
	OutcomeSent   = "sent"
	OutcomeFailed = "failed"
	OutcomeHeld   = "held"
)

func (e *Enforcer) action(r *decision.Record) schemas.Action {
	target := e.deps.Platform.Name()
	return schemas.Action{
		ID: schemas.DeriveID("act", r.ID, "platform", target), Decision: r.ID, Entity: r.Entity, Account: r.Account,
		Verdict: r.Verdict, Channel: "platform", Target: target,
	}
}

// change tells the platform. Where that fails for good, operators are told.
func (e *Enforcer) change(ctx context.Context, j *job) {
	r, a := j.item.Record, e.action(j.item.Record)
	if e.seen.has(a.ID) {
		return
	}
	c := notify.Change{
		ID: a.ID, Type: "entity." + r.Status.Status, Time: r.Time, Entity: r.Entity, Account: r.Account, Status: r.Status.Status,
		Verdict: r.Verdict, Decision: r.ID, Reason: r.NoticeReason, Episode: r.Status.Episode, Step: r.Status.Step, By: r.By,
	}
	j.add()
	e.platform.put(ctx, r.Entity.Key(), func(ctx context.Context) {
		if e.seen.has(a.ID) { // the decision stands in the log twice
			j.end(true)
			return
		}
		out := e.call(ctx, e.platform, func(ctx context.Context) (bool, error) { return e.deps.Platform.Change(ctx, c) })
		if out.cut {
			j.end(false)
			return
		}
		a.Time, a.Outcome, a.Attempts = e.now().UTC(), OutcomeDone, out.attempts
		if out.err != nil {
			a.Outcome, a.Detail = OutcomeFailed, notify.Clip(out.err.Error(), schemas.MaxText)
			e.log.Error("a decision could not be carried out", "decision", r.ID, "attempts", out.attempts, "error", out.err)
			e.notices(ctx, j, notify.AudienceOperator, notify.ForFailed(r, out.err))
		}
		j.end(e.writeAction(ctx, a))
	})
}

func (e *Enforcer) writeAction(ctx context.Context, a schemas.Action) bool {
	if !e.write(ctx, "action", func(ctx context.Context) error { return e.deps.Sink.Action(ctx, a) }) {
		return false
	}
	e.seen.add(a.ID)
	e.deps.Metrics.action(a)
	return true
}

// notices queues one text to every receiver of an audience, on every channel.
func (e *Enforcer) notices(ctx context.Context, j *job, audience string, text notify.Text) {
	for i, n := range e.deps.Notifiers {
		for _, to := range receivers(n, audience, j.item.Record) {
			e.notice(ctx, j, e.channels[i], n, notify.Address{Audience: audience, To: to}, text)
		}
	}
}

func receivers(n Notifier, audience string, r *decision.Record) []string {
	var out []string
	for _, a := range n.Audiences() {
		if a.Audience == audience {
			out = append(out, a.To)
		}
	}
	if audience == notify.AudienceCustomer && n.Customers() {
		for _, c := range r.Contacts {
			out = append(out, c.Email)
		}
	}
	return out
}

func (e *Enforcer) notice(ctx context.Context, j *job, c *channel, n Notifier, to notify.Address, text notify.Text) {
	r := j.item.Record
	rec := schemas.Notice{
		ID: schemas.DeriveID("ntc", r.ID, n.Name(), to.To, text.Kind), Decision: r.ID, Entity: r.Entity, Account: r.Account,
		Audience: to.Audience, Channel: n.Name(), To: to.To, Subject: text.Subject, Body: text.Body,
	}
	if e.seen.has(rec.ID) {
		return
	}
	m := notify.Message{ID: rec.ID, Time: r.Time, Address: to, Subject: text.Subject, Body: text.Body, Decision: r.Decision, Page: r.Page}
	j.add()
	c.put(ctx, r.Entity.Key(), func(ctx context.Context) {
		if e.seen.has(rec.ID) {
			j.end(true)
			return
		}
		out := e.call(ctx, c, func(ctx context.Context) (bool, error) { return n.Send(ctx, m) })
		if out.cut {
			j.end(false)
			return
		}
		j.end(e.writeNotice(ctx, rec, out, e.now().UTC()))
	})
}

func (e *Enforcer) writeNotice(ctx context.Context, n schemas.Notice, out outcome, now time.Time) bool {
	n.Time, n.Outcome, n.Attempts = now, OutcomeSent, out.attempts
	if out.err != nil {
		n.Outcome, n.Detail = OutcomeFailed, notify.Clip(out.err.Error(), schemas.MaxText)
		e.log.Error("a notice could not be sent", "decision", n.Decision, "channel", n.Channel, "audience", n.Audience, "error", out.err)
	}
	if !e.write(ctx, "notice", func(ctx context.Context) error { return e.deps.Sink.Notice(ctx, n) }) {
		return false
	}
	e.seen.add(n.ID)
	e.deps.Metrics.notice(n)
	return true
}
