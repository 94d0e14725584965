package enforce

import (
	"context"
	"slices"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// The outcomes of actions and notices.
const (
	OutcomeDone       = "done"       // the receiver confirmed
	OutcomeFailing    = "failing"    // it did not, and is told again; for a notice: failed
	OutcomeRefused    = "refused"    // it does not take the change as it is
	OutcomeSuperseded = "superseded" // a newer change went instead
	OutcomeHeld       = "held"       // a person is asked first
	OutcomeSent       = "sent"
	OutcomeFailed     = "failed"
	OutcomeSending    = "sending" // as part of a message about several, which is under way
)

// actionID is the id of one decision's action at one target, and so the idempotency key of
// every attempt at it.
func actionID(decision, target string) string {
	return schemas.DeriveID("act", decision, "platform", target)
}

func (e *Enforcer) action(w *Wanted, target, outcome string, attempts int, detail string) schemas.Action {
	r := w.Record
	return schemas.Action{
		ID: actionID(r.ID, target), Time: e.now().UTC(), Decision: r.ID, Entity: r.Entity, Account: r.Account, Verdict: r.Verdict,
		Channel: "platform", Target: target, Outcome: outcome, Attempts: attempts, Detail: detail,
	}
}

// pay makes durable what the task's receipt owes: the state first, so that what was
// confirmed is never told again, then the journal and the messages that follow. It returns
// false where ctx ended before; then the next owner pays.
func (e *Enforcer) pay(ctx context.Context, t *task) bool {
	e.mu.Lock()
	owed := slices.Clone(t.receipt().Owed)
	e.mu.Unlock()
	if len(owed) == 0 {
		return true
	}
	if !e.save(ctx, t.ent) {
		return false
	}
	letters := e.follow(t, owed)
	if !e.write(ctx, "actions", func(ctx context.Context) error { return e.deps.Sink.Actions(ctx, owed) }) ||
		len(letters) > 0 && !e.write(ctx, "letters", func(ctx context.Context) error { return e.deps.Sink.Letters(ctx, letters) }) {
		return false
	}
	for _, a := range owed {
		e.deps.Metrics.action(a)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := t.receipt()
	r.Owed = r.Owed[len(owed):]
	if len(r.Owed) == 0 {
		r.Owed = nil
	}
	t.ent.trim(e.names)
	e.queueSave(t.ent)
	return true
}

// follow are the messages that follow from outcomes: the account's people are told once
// every receiver has confirmed, and operators where one refuses.
func (e *Enforcer) follow(t *task, owed []schemas.Action) []notify.Letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []notify.Letter
	for _, a := range owed {
		w := t.ent.Change(a.Decision)
		if w == nil {
			continue
		}
		switch a.Outcome {
		case OutcomeDone:
			if !e.everywhere(t.ent, a.Decision) {
				continue
			}
			if tellsSystems(w.Record) {
				out = append(out, e.letters(w.Record, notify.AudienceSystem, notify.FromDecision(w.Record, e.names, true))...)
			}
			if !tellsCustomer(w.Record) {
				continue
			}
			if w.Record.Verdict == schemas.VerdictRelease {
				if t.ent.Untold {
					continue
				}
			} else {
				t.ent.Untold = false
			}
			out = append(out, e.letters(w.Record, notify.AudienceCustomer, notify.FromDecision(w.Record, e.names, true))...)
		case OutcomeRefused:
			e.log.Error("the receiver refuses a change", "receiver", t.line.name, "decision", a.Decision, "error", a.Detail)
			out = append(out, e.letters(w.Record, notify.AudienceOperator, notify.IsRefused(w.Record, t.line.name, a.Detail))...)
		}
	}
	return out
}

// everywhere reports whether no receiver has the decision pending. The lock is held.
func (e *Enforcer) everywhere(x *entity, decision string) bool {
	for _, t := range x.tasks {
		if _, waits := index(t.receipt().Pending, decision); waits {
			return false
		}
	}
	return true
}

// letters are the messages of an occasion to one audience.
func (e *Enforcer) letters(r *decision.Record, audience string, o notify.Occasion) []notify.Letter {
	if e.deps.Desk == nil {
		return nil
	}
	return e.deps.Desk.Letters(&o, audience, r.Contacts, e.now())
}
