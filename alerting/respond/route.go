package respond

import (
	"fmt"
	"slices"

	"holdfast/alerting/casework"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// route says what becomes of a policy's verdict. Only an automatic stop that would
// change something passes the gate: it is proposed, and the entity throttled until
// the answer. For each stop the throttle and the stop are both decided, whichever
// policy was first, so that the set of decisions does not depend on the order.
func (j *judgement) route() {
	d := j.decision(j.policy.Verdict)
	j.st.markDone(doneOf(&d))
	if j.policy.Alone && j.view.env.Alone && d.Credential != "" {
		d.Verdict = schemas.VerdictRevoke
		d.Reason = fmt.Sprintf("credential %s alone: %s", d.Credential, d.Reason)
	}
	protected := d.Proposed.Stops() && j.st.protected() && (j.mode == schemas.ModeLive || j.trial != "")
	if protected {
		d.Verdict = schemas.VerdictReview
		d.Reason = "protected, so a person decides: " + d.Reason
	}
	shared := j.shared(&d)
	if j.mode != schemas.ModeLive {
		j.decide(d, nil)
		return
	}
	j.st.Top = max(j.st.Top, d.Episode)
	f := j.findings(&d)
	switch {
	case protected:
		j.enact(d, note{}, f)
	case shared:
		j.enact(d, note{gravity: gravest}, f) // asked once: nothing graver can come
	case !d.Proposed.Stops():
		j.enact(d, note{gravity: j.view.env.Severity}, f)
	default:
		j.stop(d, f)
	}
}

// gravest is the rank of the highest severity.
var gravest = policy.SeverityRank(schemas.SeverityCritical)

// shared turns a block of an address that no policy blocks into a review, and tells the
// person who is asked what such an address means.
func (j *judgement) shared(d *schemas.Decision) bool {
	if j.entity.Kind != schemas.KindIP || d.Proposed.Rank() < schemas.VerdictReview.Rank() {
		return false
	}
	what := j.set.SharedAddress(j.entity.ID)
	if what == "" {
		return false
	}
	d.Verdict = schemas.VerdictReview
	d.Reason = fmt.Sprintf("%s, so a person decides: a proxy hides its clients; where this is one of yours, have it pass their addresses on: %s", what, d.Reason)
	return true
}

// stop carries an automatic stop on: to the gate, unless the entity is stopped
// already or its proposal is on the way.
func (w *work) stop(d schemas.Decision, f *findings) {
	if w.entity.Kind != schemas.KindIP {
		t := d
		t.ID = schemas.OfTrial(schemas.DecisionID(d.Policy, d.Entity, schemas.VerdictThrottle, d.Mode, d.Episode), d.Trial)
		t.Verdict, t.Proposed = schemas.VerdictThrottle, schemas.VerdictThrottle
		if !w.st.isDone(doneOf(&t)) {
			w.st.markDone(doneOf(&t))
			w.enact(t, note{pending: true}, f)
		}
	}
	switch {
	case w.st.Standing.rank() >= d.Verdict.Rank() && !w.revokesMore(&d):
		w.enact(d, note{}, f)
	case len(w.st.Pending) >= maxPending:
		d.Verdict = schemas.VerdictReview
		w.enact(d, note{}, f)
	default:
		w.st.Pending = append(w.st.Pending, pending{d, *f})
		if len(w.st.Pending) == 1 {
			w.propose(d)
		}
	}
}

// The policies of decisions that follow from a case.
const (
	policyBeyond    = policy.NameBeyond // a stop after a revocation that did not end it
	policyRelapse   = policy.NameRelapse
	policyWayBack   = policy.NameWayBack
	policyProbation = policy.NameProbation
	policyExpiry    = policy.NameExpiry
)

// widen suspends an account of which a policy has revoked one credential, once its signals
// speak of more than that. What follows from a case depends on what was in force, so that
// (b) of the package comment does not speak of it.
func (j *judgement) widen() {
	c := j.st.Case
	owner := casework.OwnerPolicy + j.policy.Name
	if j.mode != schemas.ModeLive || j.trial != "" || !j.policy.Alone || !casework.IsOpen(c) || j.view.env.Alone ||
		!slices.ContainsFunc(c.Holds, func(h schemas.Hold) bool { return h.Owner == owner && h.Verdict == schemas.VerdictRevoke }) ||
		!j.enough() || !j.holds() {
		return
	}
	d := j.decision(schemas.VerdictSuspend)
	d.Policy, d.PolicyVersion = policyBeyond, 1
	d.ID = schemas.DecisionID(d.Policy, d.Entity, d.Verdict, d.Mode, d.Episode)
	if j.st.isDone(doneOf(&d)) {
		return
	}
	j.st.markDone(doneOf(&d))
	d.Reason = "not that credential alone: " + d.Reason
	j.stop(d, j.findings(&d))
}

// propose asks the gate.
func (w *work) propose(d schemas.Decision) {
	p := schemas.Proposal{ID: ProposalID(d.ID), Time: d.Time, Entity: d.Entity, Decision: d.ID, Verdict: d.Verdict, Arrival: d.Arrival}
	w.emit(schemas.TopicProposals, schemas.KindProposal, p.ID, gateKey, p)
}

// gateKey is the key of all proposals: the gate is one lane's one entity.
const gateKey = "gate"

// ProposalID derives a proposal's id from its decision's.
func ProposalID(decision string) string { return schemas.DeriveID("prop", decision) }
