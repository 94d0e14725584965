package respond

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/casework"
	"holdfast/alerting/decision"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

func (j *judgement) decisionID(proposed schemas.Verdict) string {
	return schemas.OfTrial(schemas.DecisionID(j.policy.Name, j.entity, proposed, j.mode, j.episode), j.trial)
}

// maxNamed bounds the signals that a decision names.
const maxNamed = 32

// decision writes the policy's verdict down, with the evidence of its window.
func (j *judgement) decision(v schemas.Verdict) schemas.Decision {
	gravest := slices.Clone(j.view.window)
	slices.SortFunc(gravest, func(a, b *kept) int { return byStrength(b, a) })
	d := schemas.Decision{
		ID: j.decisionID(v), Time: fromMilli(j.at), Entity: j.entity, Verdict: v, Proposed: v,
		Policy: j.policy.Name, PolicyVersion: j.policy.Version, Mode: j.mode, Trial: j.trial, Episode: j.episode,
		Score: j.view.env.Risk, Arrival: fromMilli(j.signal.Arrival), Credential: oneOf(gravest, func(k *kept) string { return k.Credential }),
	}
	if d.Account = j.entity.ID; j.entity.Kind != schemas.KindAccount {
		d.Account = oneOf(gravest, func(k *kept) string { return k.Account })
	}
	j.name(&d, gravest[:min(len(gravest), maxNamed)])
	families := familiesOf(gravest)
	d.Reason = j.policy.Reason(policy.ReasonData{Entity: j.entity.Key(), Account: d.Account, Policy: j.policy.Name, Families: families, Evidence: sentences(d.Seen), Risk: d.Score})
	d.NoticeReason = j.policy.NoticeReason(policy.NoticeData{Account: d.Account, Families: families})
	return d
}

func familiesOf(signals []*kept) []string {
	var out []string
	for _, k := range signals {
		if f := string(k.Family); !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}

// oneOf returns the value that all signals which have one agree on, else none.
func oneOf(signals []*kept, of func(*kept) string) string {
	var out string
	for _, k := range signals {
		switch v := of(k); {
		case v == "" || v == out:
		case out == "":
			out = v
		default:
			return ""
		}
	}
	return out
}

// note is what enforcement is told beside a decision.
type note struct {
	page    bool // the brake has just tripped
	pending bool // the gate is being asked for the stop itself
	again   bool // nobody outside is told of it
	gravity int  // severity of the gravest signal behind it
}

// enact makes a live decision: where it raises the entity's standing, the status
// is published with it; where its verdict is in force in its episode already, it
// is recorded as observe, but for a review on something graver than what is being
// reviewed. A standing is never lowered here.
func (w *work) enact(d schemas.Decision, n note, f *findings) {
	rank, now := d.Verdict.Rank(), w.st.Standing
	known := rank <= now.rank() && d.Episode <= now.Episode && !w.revokesMore(&d)
	if rank == 0 {
		w.decide(d, nil)
		return
	}
	w.contain(&d, f)
	held := casework.InForce(w.st.Case)
	switch {
	case held.Verdict.Rank() > now.own(): // beside what is revoked, the account is held back
		n.again = false
		s := w.stand(d)
		w.st.Standing.Gravity = n.gravity
		w.decideRecord(d, &s, n)
	case d.Verdict == schemas.VerdictReview && rank == now.rank() && n.gravity > now.Gravity && d.Episode <= now.Episode:
		w.st.Standing.Gravity = n.gravity
		w.decideNoted(d, n)
	case known:
		d.Reason = fmt.Sprintf("%s already: %s", now.word(), d.Reason)
		d.Verdict = schemas.VerdictObserve
		w.decideNoted(d, n)
	case rank < now.rank():
		if d.Verdict == schemas.VerdictThrottle {
			d.Verdict = schemas.VerdictObserve
		}
		w.decideNoted(d, n)
	default:
		n.again = d.Verdict.Stops() && rank == now.rank() && !w.revokesMore(&d)
		s := w.stand(d)
		w.st.Standing.Gravity = n.gravity
		w.decideRecord(d, &s, n)
	}
	w.emitCase()
}

// revokesMore reports whether a decision revokes a credential that is not revoked yet, on
// an account that is not stopped.
func (w *work) revokesMore(d *schemas.Decision) bool {
	now := &w.st.Standing
	return d.Verdict == schemas.VerdictRevoke && now.rank() <= schemas.VerdictRevoke.Rank() && !slices.Contains(now.Revoked, d.Credential)
}

// stand moves the entity's standing on to what is in force after the decision, and returns
// its status.
func (w *work) stand(d schemas.Decision) schemas.Status {
	now, before := &w.st.Standing, w.st.Standing.rank()
	f := casework.InForce(w.st.Case)
	if d.Episode > now.Episode || now.Status == "" {
		now.Episode, now.Step = max(d.Episode, now.Episode), 0
	} else {
		now.Step++
	}
	now.Verdict, now.Decision, now.Revoked = d.Verdict, d.ID, f.Revoked
	switch {
	case f.Verdict != "":
		now.Status = statusOf(f.Verdict)
	case len(f.Revoked) > 0:
		now.Status = statusRevoked
	default:
		now.Status = statusOf(d.Verdict)
	}
	if d.Verdict.Stops() && before < now.rank() {
		w.st.Stops++
	}
	s := schemas.Status{
		Entity: d.Entity, Status: now.Status, Episode: now.Episode, Step: now.Step, Verdict: d.Verdict,
		Decision: d.ID, Since: d.Time, Reason: d.NoticeReason, By: d.By, Until: f.Until, Revoked: f.Revoked,
	}
	if c := w.st.Case; c != nil {
		s.Case = c.ID
		if c.Ramp != nil && f.Why == nil {
			s.PerDay = c.Ramp.PerDay
		}
	}
	w.emit(schemas.TopicStatus, schemas.KindStatus, schemas.DeriveID("sts", d.ID, now.word()), d.Entity.Key(), s)
	return s
}

func (w *work) decide(d schemas.Decision, s *schemas.Status) { w.decideRecord(d, s, note{}) }

func (w *work) decideNoted(d schemas.Decision, n note) { w.decideRecord(d, nil, n) }

// reviewOnly makes the decision that evidence-only sources alone would have led to a
// question to a person. It touches neither the entity's standing nor the gate.
func reviewOnly(r *decision.Record) {
	if r.Verdict.Rank() < schemas.VerdictReview.Rank() {
		return
	}
	r.Mode, r.Verdict = schemas.ModeLive, schemas.VerdictReview
	r.Reason = clip("by sources that are trusted as evidence only: "+r.Reason, schemas.MaxText)
}

func (w *work) decideRecord(d schemas.Decision, s *schemas.Status, n note) {
	r := decision.Record{Decision: d, Status: s, Severity: policy.SeverityOf(n.gravity), Page: n.page, Pending: n.pending, Again: n.again}
	if w.asks {
		reviewOnly(&r)
		w.emit(schemas.TopicDecisions, schemas.KindDecision, r.ID, r.Entity.Key(), &r)
		return
	}
	if r.Mode == schemas.ModeLive && r.Verdict != schemas.VerdictObserve && w.st.Account != nil {
		r.Contacts, r.Plan = w.st.Account.Contacts, w.st.Account.Plan
	}
	if c := w.st.Case; c != nil && r.Mode == schemas.ModeLive {
		r.Case, r.Stage, r.Relapses = c.ID, c.Stage, c.Relapses
		if s != nil && r.Verdict.Stops() {
			r.Steps = c.Steps
		}
	}
	w.emit(schemas.TopicDecisions, schemas.KindDecision, r.ID, r.Entity.Key(), &r)
}

// emit queues one record; all leave when the whole input has been folded.
func (w *work) emit(t schemas.Topic, k schemas.Kind, id, key string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		w.err = &schemas.Error{Reason: schemas.ReasonBadField, Record: w.in.ID,
			What: fmt.Sprintf("the %s that follows from it cannot be written: %v", k, err), Fix: "send times between the years 2000 and 9999"}
		return
	}
	w.out = append(w.out, schemas.Output{Topic: t, Kind: k, ID: id, Key: strings.Clone(key), Origin: w.in.Origin, Value: b})
}
