package respond

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/alerting/casework"
	"holdfast/schemas"
)

// openCase returns the case that a decision belongs to: the entity's, which it opens again
// where that was released or closed not long ago, or a new one. It is nil for a decision
// that asks nothing of anybody.
func (w *work) openCase(d *schemas.Decision) *schemas.Case {
	if d.Verdict.Rank() == 0 {
		return w.st.Case
	}
	c := w.st.Case
	switch {
	case casework.IsOpen(c) && c.Stage != schemas.StageProbation:
	case casework.Returns(c, d.Time) && d.Verdict.Rank() >= schemas.VerdictThrottle.Rank():
		c.Relapses++
		c.Verdict, c.Reason, c.Ramp = "", "", nil
		casework.Enter(c, schemas.StageOpen, d.Time)
		if len(c.Steps) > 0 {
			w.wayBack(c, d.Time)
		}
	case c != nil && c.Stage == schemas.StageProbation:
		// A review during probation is the case's own.
	default:
		c = casework.Open(d)
		w.st.Case = c
		c.Protected = w.st.protected()
	}
	return c
}

// findings are what a case learns from the signals behind a decision, and how its policy
// wants it held.
type findings struct {
	Window schemas.Window  `json:"window,omitzero"`
	Traces []schemas.Trace `json:"traces,omitempty"`
	Usual  int64           `json:"usual,omitzero"`
	Until  time.Time       `json:"until,omitzero"`
	Stays  bool            `json:"stays,omitzero"`
}

// contain adds a decision to its case, and what it holds.
func (w *work) contain(d *schemas.Decision, f *findings) {
	c := w.openCase(d)
	if c == nil {
		return
	}
	before := c.Window
	casework.Decided(c, d, f.Window)
	seen := c.Window != before
	if c.Stage != schemas.StageProbation || d.Verdict.Rank() >= schemas.VerdictThrottle.Rank() {
		for _, t := range f.Traces { // who is asked about during probation is no intruder yet
			seen = casework.See(c, t) || seen
		}
	}
	c.Usual = max(c.Usual, f.Usual)
	if c.Account == "" {
		c.Account = d.Account
	}
	c.By, c.Why = d.By, d.Reason
	if d.Verdict.Rank() < schemas.VerdictThrottle.Rank() {
		if seen {
			w.review(c, d.Time)
		}
		return
	}
	h := schemas.Hold{Verdict: d.Verdict, Owner: owner(d), Since: d.Time, Until: f.Until, Why: d.Reason, Decision: d.ID, Stays: f.Stays}
	if d.Verdict == schemas.VerdictRevoke {
		h.Object = d.Credential
	}
	force := casework.InForce(c)
	stops := d.Verdict.Stops() && d.Verdict.Rank() > force.Rank()
	casework.Contain(c, h)
	if c.Stage == schemas.StageOpen || c.Stage == schemas.StageProbation {
		casework.Enter(c, schemas.StageContained, d.Time)
		c.Contained = d.Time
	}
	switch {
	case stops: // also where one credential was revoked, and the account went on since
		w.wayBack(c, d.Time)
	case seen:
		w.review(c, d.Time)
	}
}

// review finds again what was made inside the window, and what proves a step, once the case
// knows more of the window or of how they came in.
func (w *work) review(c *schemas.Case, at time.Time) {
	if len(c.Steps) == 0 || c.Stage == schemas.StageProbation || c.Stage == schemas.StageClosed {
		return
	}
	casework.Changed(c, w.st.Inventory)
	casework.Derive(c, w.st.Inventory)
	casework.Conclude(c, w.st.Inventory)
	w.settle(c, at)
}

// wayBack begins the way back from a stop.
func (w *work) wayBack(c *schemas.Case, at time.Time) {
	casework.Stopped(c, at)
	casework.Changed(c, w.st.Inventory)
	casework.Derive(c, w.st.Inventory)
	casework.Conclude(c, w.st.Inventory)
	casework.Enter(c, schemas.StageContained, at)
	w.settle(c, at)
}

func owner(d *schemas.Decision) string {
	switch {
	case d.By != "":
		return casework.OwnerPerson + d.By
	case d.Braked:
		return casework.OwnerBrake
	}
	return casework.OwnerPolicy + d.Policy
}

// progress finds out what a change of the account means for its case.
func (w *work) progress() {
	c := w.st.Case
	if c == nil || w.entity.Kind != schemas.KindAccount {
		return
	}
	touched, relapses := false, []casework.Change(nil)
	if casework.Returns(c, w.now) {
		touched, relapses = casework.Changed(c, w.st.Inventory)
	}
	if len(relapses) > 0 && w.in.Origin == schemas.OriginLive {
		w.relapse(c, relapses[0])
		touched = true
	}
	before := states(c)
	casework.Derive(c, nil)
	casework.Conclude(c, w.st.Inventory)
	w.advance(c, w.now, touched || !slices.Equal(before, states(c)))
}

// states are which steps are done, and by what, for comparison.
func states(c *schemas.Case) []string {
	out := make([]string, 0, len(c.Steps))
	for i := range c.Steps {
		s, proof := &c.Steps[i], ""
		if s.Done() {
			proof = s.Proof.Cause
		}
		out = append(out, fmt.Sprint(s.ID, s.Done(), proof, s.Ignored))
	}
	return out
}

// advance moves a case on by what its steps say, and writes it down where it has changed.
func (w *work) advance(c *schemas.Case, at time.Time, changed bool) {
	if w.settle(c, at) && changed && casework.Ready(c) && !c.Protected && w.isLive() && w.lift(c, at) {
		return // the case is written with its release
	}
	if changed {
		w.emitCase()
	}
}

// settle gives a contained case the stage that its steps speak of. It reports whether it is
// one.
func (w *work) settle(c *schemas.Case, at time.Time) bool {
	if c.Stage != schemas.StageContained && c.Stage != schemas.StageRecovering {
		return false
	}
	stage := schemas.StageContained
	for i := range c.Steps {
		if s := &c.Steps[i]; s.Done() && s.Kind != schemas.StepSessions {
			stage = schemas.StageRecovering
		}
	}
	casework.Enter(c, stage, at)
	return true
}

// lift ends what policies hold of an account that has gone the way back to its end. A
// person's hold stays. It reports whether the account was released.
func (w *work) lift(c *schemas.Case, at time.Time) bool {
	if !casework.Lift(c, casework.Automatic) {
		return false
	}
	if len(c.Holds) > 0 {
		c.By, c.Why = "", "the way back is complete; "+c.Holds[0].Owner+" holds it still"
		w.restate(at, policyWayBack, c.Why)
		return true
	}
	d := w.automatic(policyWayBack, schemas.VerdictRelease, at, c.Why)
	d.Reason = "every step of the way back is proven"
	d.NoticeReason = "Every step is done. Your account can send again, at first with a limit that grows from day to day."
	w.end(d)
	return true
}

// relapse is an act of the intruder's after the stop. While the account is stopped its
// steps open again; one that was released is stopped again, if the gate lets it.
func (w *work) relapse(c *schemas.Case, x casework.Change) {
	why := fmt.Sprintf("%s of %s %q on %s from a source of the case (%s)", x.What, strings.ReplaceAll(x.Kind, "_", " "), x.Object,
		fromMilli(x.At).Format("2006-01-02 15:04:05 UTC"), x.Address)
	d := w.automatic(policyRelapse, schemas.VerdictSuspend, fromMilli(x.At), why)
	if len(c.Holds) == 0 { // released, also where a person has opened the case again since
		if w.st.protected() {
			d.Verdict = schemas.VerdictReview
		}
		if w.st.isDone(doneOf(&d)) {
			return
		}
		w.st.markDone(doneOf(&d))
		w.st.Top = max(w.st.Top, d.Episode)
		if d.Verdict == schemas.VerdictReview {
			w.enact(d, note{gravity: gravest}, &findings{})
			return
		}
		w.stop(d, &findings{Window: schemas.Window{From: d.Time, To: d.Time, Confidence: "high"}})
		return
	}
	c.Relapses++
	c.By, c.Why = "", why
	casework.Reopen(c, why)
	casework.Enter(c, schemas.StageContained, fromMilli(x.At))
	d.Verdict, d.Proposed = schemas.VerdictReview, schemas.VerdictReview
	d.ID = schemas.DecisionID(d.Policy, d.Entity, schemas.Verdict("review:"+x.ID), d.Mode, d.Episode)
	casework.Decided(c, &d, schemas.Window{})
	w.decideNoted(d, note{gravity: gravest})
}

// automatic is a decision that follows from a case and not from signals.
func (w *work) automatic(policy string, v schemas.Verdict, at time.Time, why string) schemas.Decision {
	d := schemas.Decision{
		Time: at, Entity: w.entity, Verdict: v, Proposed: v, Policy: policy, PolicyVersion: 1, Mode: schemas.ModeLive,
		Episode: max(w.st.Base, w.st.Standing.Episode), Reason: why, Arrival: fromMilli(w.in.Arrival), Score: 1,
		NoticeReason: "We saw a change of your account that did not come from you.",
	}
	if v.Stops() {
		d.Episode = max(w.st.Base, cellOf(at.UnixMilli()))
	}
	if w.entity.Kind == schemas.KindAccount {
		d.Account = w.entity.ID
	}
	d.ID = schemas.DecisionID(policy, w.entity, v, d.Mode, d.Episode)
	return d
}

// restate publishes what is in force after holds have ended or the limit of probation has
// changed. The decision's verdict is the strictest that is left.
func (w *work) restate(at time.Time, policy, why string) {
	c := w.st.Case
	f := casework.InForce(c)
	v := schemas.VerdictRelease
	switch {
	case f.Why != nil:
		v = f.Why.Verdict
	case w.st.Standing.Status == statusReview: // what people are asked stays asked
		v = schemas.VerdictReview
	}
	d := w.automatic(policy, v, at, why)
	d.Episode = max(w.st.Base, w.st.Standing.Episode)
	d.ID = schemas.DecisionID(policy, w.entity, v, d.Mode, d.Episode) + "." + itoa(w.st.Standing.Step+1)
	if v == schemas.VerdictRevoke {
		d.Credential = f.Why.Object
	}
	s := w.stand(d)
	casework.Decided(c, &d, schemas.Window{})
	w.decideRecord(d, &s, note{again: true})
	w.emitCase()
}

// emitCase writes the case down as it is now.
func (w *work) emitCase() {
	c := w.st.Case
	if w.trial != "" || c == nil {
		return
	}
	casework.Settle(c)
	c.Version++
	if c.Time.Before(w.now) {
		c.Time = w.now
	}
	w.emit(schemas.TopicCases, schemas.KindCase, c.ID, w.entity.Key(), c)
	w.emit(schemas.TopicCasebook, schemas.KindCase, c.ID, w.entity.Key(), c)
}

// findings are what the window's signals say of the case.
func (j *judgement) findings(d *schemas.Decision) *findings {
	f := &findings{Stays: j.policy.Stays}
	if j.policy.For > 0 {
		f.Until = d.Time.Add(j.policy.For)
	}
	w := j.view.window
	f.Window = schemas.Window{From: fromMilli(w[0].Time), To: fromMilli(w[len(w)-1].Time), Confidence: "low"}
	switch env := j.view.env; {
	case env.Certain || env.Families >= 3:
		f.Window.Confidence = "high"
	case env.Families == 2:
		f.Window.Confidence = "medium"
	}
	for _, k := range w {
		row := schemas.Row{At: fromMilli(k.Time), Found: fromMilli(k.Arrival), Basis: schemas.BasisInferred, Cause: k.ID}
		for _, t := range [...]schemas.Trace{
			{Kind: schemas.TraceCredential, Value: k.Credential}, {Kind: schemas.TraceAddress, Value: k.Address}, {Kind: schemas.TraceUser, Value: k.User}, {Kind: schemas.TraceEmployee, Value: k.Employee},
		} {
			if t.Value != "" {
				t.Row = row
				f.Traces = append(f.Traces, t)
			}
		}
		f.Usual = max(f.Usual, k.Usual)
	}
	return f
}

// isLive reports whether what is folded happens now: people's requests always do, and have
// no origin.
func (w *work) isLive() bool {
	return w.in.Kind != schemas.KindEvent || w.in.Origin == schemas.OriginLive
}
