package respond

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// probation is how long a released entity counts as being on probation.
const probation = 7 * 24 * time.Hour

// operatorPolicy stands where a person decided.
const operatorPolicy = "operator"

// acts are what a person may ask for. Each returns why it is refused, or nothing.
var acts = map[string]func(*work, *schemas.Request) string{
	"suspend":  func(w *work, r *schemas.Request) string { return w.stopByHand(r, schemas.VerdictSuspend) },
	"block":    func(w *work, r *schemas.Request) string { return w.stopByHand(r, schemas.VerdictBlock) },
	"release":  (*work).release,
	"dismiss":  (*work).dismiss,
	"snooze":   (*work).snooze,
	"unsnooze": (*work).unsnooze,
	"confirm":  (*work).confirm,
}

// request folds in a person's wish. Whatever comes of it, an operator record says
// who wanted what and why, and the standing before and after.
func (w *work) request() (bool, error) {
	var r schemas.Request
	if err := json.Unmarshal(w.in.Value, &r); err != nil {
		return false, &schemas.Error{Reason: schemas.ReasonNotJSON, Record: w.in.ID, What: "request cannot be read: " + err.Error()}
	}
	switch {
	case r.Entity != w.entity:
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: r.ID, Field: "entity", What: "is not the record's key"}
	case r.ID == "" || r.Time.IsZero():
		return false, &schemas.Error{Reason: schemas.ReasonMissing, Record: r.ID, What: "the request has no id or no time"}
	case w.st.Known.has(r.ID):
		return false, nil
	}
	w.st.Known.add(r.ID, max(r.Time.UnixMilli(), w.st.Clock))
	op := schemas.Operator{
		ID: schemas.DeriveID("opr", r.ID), Time: r.Time, Actor: clip(r.Actor, 256), Act: clip(r.Act, 64), Entity: w.entity,
		Why: clip(r.Why, schemas.MaxText), Before: w.st.Standing.word(),
	}
	op.Refused = w.carryOut(&r)
	if r.Act == "snooze" && op.Refused == "" {
		op.Until = r.Until
	}
	op.After = w.st.Standing.word()
	op.Address = clip(r.Address, 64)
	w.emit(schemas.TopicOperator, schemas.KindOperator, op.ID, w.entity.Key(), op)
	return true, nil
}

func (w *work) carryOut(r *schemas.Request) string {
	act, ok := acts[r.Act]
	now := w.st.Standing
	switch {
	case !ok:
		return fmt.Sprintf("act %q is unknown: use suspend, block, release, dismiss, snooze, unsnooze or confirm", r.Act)
	case r.Actor == "":
		return "nobody is named as the one who asks"
	case r.Why == "":
		return "no reason is given: say why"
	case r.Episode != nil && *r.Episode != now.Episode, r.Step != nil && *r.Step != now.Step:
		return fmt.Sprintf("it has changed since: it is %s now (episode %d, step %d): look again", now.word(), now.Episode, now.Step)
	}
	return act(w, r)
}

func (w *work) byHand(r *schemas.Request, v schemas.Verdict, episode int, notice string) schemas.Decision {
	d := schemas.Decision{
		ID: schemas.DecisionID(operatorPolicy, w.entity, v, schemas.ModeLive, episode), Time: r.Time, Entity: w.entity,
		Verdict: v, Proposed: v, Policy: operatorPolicy, PolicyVersion: 1, Mode: schemas.ModeLive, Episode: episode,
		Reason: fmt.Sprintf("by %s: %s", clip(r.Actor, 256), clip(r.Why, schemas.MaxText)), NoticeReason: notice, By: clip(r.Actor, 256),
		Arrival: fromMilli(w.in.Arrival), Score: 1,
	}
	if w.entity.Kind == schemas.KindAccount {
		d.Account = w.entity.ID
	}
	return d
}

func (w *work) stopByHand(r *schemas.Request, v schemas.Verdict) string {
	if isIP := w.entity.Kind == schemas.KindIP; isIP != (v == schemas.VerdictBlock) {
		return "addresses are blocked, accounts and employees suspended"
	}
	now := w.st.Standing
	if now.rank() >= v.Rank() {
		return "it is " + now.word() + " already"
	}
	notice := "Our team has stopped this account after looking at its activity."
	if v == schemas.VerdictBlock {
		notice = "Our team has blocked this address after looking at its activity."
	}
	d := w.byHand(r, v, max(now.Episode, w.st.Base, cellOf(r.Time.UnixMilli())), notice)
	w.st.Pending = nil
	w.st.Top = max(w.st.Top, d.Episode)
	w.enact(d, note{})
	return ""
}

func (w *work) release(r *schemas.Request) string {
	if w.st.Standing.rank() == 0 {
		return "it is " + w.st.Standing.word() + ": there is nothing to release it from"
	}
	if w.st.Standing.rank() >= schemas.VerdictThrottle.Rank() {
		w.st.Releases++
		w.st.Probation = r.Time.Add(probation).UnixMilli()
	}
	w.end(r, "Your account has been released.")
	return ""
}

func (w *work) dismiss(r *schemas.Request) string {
	switch rank := w.st.Standing.rank(); {
	case rank == 0:
		return "it is " + w.st.Standing.word() + ": there is nothing to dismiss"
	case rank >= schemas.VerdictSuspend.Rank():
		return "it is " + w.st.Standing.word() + ": release it instead"
	}
	w.end(r, "We have checked your account and found nothing wrong.")
	return ""
}

// end ends the episode: what was known is answered, the next episode has a higher
// number, and the same signals do not stop the entity again.
func (w *work) end(r *schemas.Request, notice string) {
	d := w.byHand(r, schemas.VerdictRelease, w.st.Standing.Episode, notice)
	w.st.Base = max(w.st.Top, w.st.Standing.Episode, cellOf(w.st.Clock)) + 1
	w.st.Pending, w.ended = nil, true
	w.st.Signals = slices.DeleteFunc(w.st.Signals, func(k kept) bool { return !k.History })
	next := d
	next.Episode = w.st.Base
	s := w.stand(next)
	w.decide(d, &s)
	w.closeCase(d, r.Why)
}

// days writes a length of time in days where it is whole ones.
func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

func (w *work) snooze(r *schemas.Request) string {
	if !r.Until.After(r.Time) {
		return "the snooze has no end after now: say until when"
	}
	if most := w.fold.cfg.SnoozeMax; most > 0 && r.Until.Sub(r.Time) > most {
		return fmt.Sprintf("a snooze lasts at most %s (respond.snooze_max): end it sooner", days(most))
	}
	w.st.Snooze = &snooze{Until: r.Until.UnixMilli(), By: clip(r.Actor, 256), Why: clip(r.Why, schemas.MaxText)}
	return ""
}

// unsnooze ends a snooze: signals of later times are answered again.
func (w *work) unsnooze(r *schemas.Request) string {
	if w.st.Snooze == nil || w.st.Snooze.Until <= r.Time.UnixMilli() {
		return "it is not snoozed"
	}
	w.st.Snooze = nil
	return ""
}

// confirm says that a person agrees with what was found. It changes no standing;
// the case remembers who.
func (w *work) confirm(r *schemas.Request) string {
	if w.st.Standing.rank() == 0 {
		return "it is " + w.st.Standing.word() + ": there is nothing to confirm"
	}
	if c := w.st.Case; c != nil {
		c.Time, c.By, c.Why = r.Time, clip(r.Actor, 256), "confirmed: "+clip(r.Why, schemas.MaxText)
		w.emitCase()
	}
	return ""
}
