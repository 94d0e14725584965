package respond

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/alerting/casework"
	"holdfast/schemas"
)

// said is the row of what a person says.
func (w *work) said(r *schemas.Request) schemas.Row {
	return schemas.Row{At: r.Time, Found: r.Time, Basis: schemas.BasisSaid, Cause: r.ID, By: clip(r.Actor, 256)}
}

// say writes a change of the case down, with who made it and what it is.
func (w *work) say(c *schemas.Case, r *schemas.Request, what string) {
	c.By, c.Why = clip(r.Actor, 256), clip(what, schemas.MaxText)
	w.emitCase()
}

// adopt gives an entity that was stopped by an earlier version, or whose status was taken
// over, the case and the hold that its standing speaks of.
func (w *work) adopt() {
	now := &w.st.Standing
	if w.trial != "" || now.rank() < schemas.VerdictThrottle.Rank() {
		return
	}
	f := casework.InForce(w.st.Case)
	if f.Why != nil {
		return
	}
	v := now.Verdict
	if v.Rank() < schemas.VerdictThrottle.Rank() {
		v = schemas.VerdictThrottle
	}
	if !casework.IsOpen(w.st.Case) {
		d := schemas.Decision{ID: now.Decision, Time: w.now, Entity: w.entity, Episode: now.Episode}
		if w.entity.Kind == schemas.KindAccount {
			d.Account = w.entity.ID
		}
		w.st.Case = casework.Open(&d)
		w.st.Case.Decisions = []string{now.Decision}
	}
	c := w.st.Case
	c.Protected = w.st.protected()
	casework.Contain(c, schemas.Hold{Verdict: v, Owner: casework.OwnerPolicy + "earlier", Since: c.Opened, Why: "stopped before holds were kept", Decision: now.Decision})
	casework.Enter(c, schemas.StageContained, c.Opened)
	c.Contained = c.Opened
}

// due moves the case on to a time that has come.
func (w *work) due(at time.Time) {
	c := w.st.Case
	if c == nil {
		return
	}
	p := casework.Pass(c, at)
	if next := c.Next; !p.Any() {
		if casework.Settle(c); !c.Next.Equal(next) { // the clock waits for what is no more
			w.emitCase()
		}
		return
	}
	c.By = ""
	switch {
	case p.Holds && len(c.Holds) == 0 && w.st.Standing.rank() >= schemas.VerdictThrottle.Rank():
		c.Why = "what held it has ended"
		d := w.automatic(policyExpiry, schemas.VerdictRelease, at, c.Why)
		d.NoticeReason = "The limit on your account has ended."
		w.end(d)
		return
	case p.Holds:
		c.Why = "one of the holds has ended"
		w.restate(at, policyExpiry, c.Why)
		return
	case p.Ramp && c.Ramp == nil:
		c.Why = "probation has ended"
		w.restate(at, policyProbation, c.Why)
		return
	case p.Ramp:
		c.Why = fmt.Sprintf("the limit of probation has risen to %d %%", c.Ramp.Share)
		w.restate(at, policyProbation, c.Why)
		return
	case p.Expired != nil:
		c.Why = fmt.Sprintf("nobody approved %s by %s in time", p.Expired.Request.Act, p.Expired.Request.Actor)
	}
	w.emitCase()
}

// judgeCase takes a verdict over that comes with another act.
func (w *work) judgeCase(r *schemas.Request) string {
	if r.Verdict == "" || w.st.Case == nil {
		return ""
	}
	return w.setVerdict(r)
}

func (w *work) setVerdict(r *schemas.Request) string {
	c := w.st.Case
	if r.Verdict == schemas.CaseUndetermined {
		c.Verdict, c.Reason = "", ""
		return ""
	}
	reasons := schemas.CaseReasons(r.Verdict)
	if reasons == nil {
		return fmt.Sprintf("verdict %q is unknown: use compromised, expected, false_alarm or undetermined", r.Verdict)
	}
	reason := r.Reason
	if reason == "" && slices.Contains(reasons, "other") {
		reason = "other"
	} else if reason == "" {
		reason = "unknown"
	}
	if !slices.Contains(reasons, reason) {
		return fmt.Sprintf("reason %q does not go with %s: use one of %s", r.Reason, r.Verdict, strings.Join(reasons, ", "))
	}
	c.Verdict, c.Reason = r.Verdict, reason
	return ""
}

func (w *work) verdict(r *schemas.Request) string {
	if r.Verdict == "" {
		return "say which verdict: compromised, expected, false_alarm or undetermined"
	}
	if why := w.setVerdict(r); why != "" {
		return why
	}
	w.say(w.st.Case, r, fmt.Sprintf("verdict %s: %s", r.Verdict, r.Why))
	return ""
}

// confirm says that a person agrees with what was found: the verdict is compromised, unless
// there is one.
func (w *work) confirm(r *schemas.Request) string {
	c := w.st.Case
	if !casework.IsOpen(c) {
		return "it is " + w.st.Standing.word() + ": there is nothing to confirm"
	}
	if c.Verdict == "" {
		c.Verdict, c.Reason = schemas.CaseCompromised, "unknown"
	}
	w.say(c, r, "confirmed: "+r.Why)
	return ""
}

func (w *work) assign(r *schemas.Request) string {
	c, to := w.st.Case, clip(strings.TrimSpace(r.Item), 256)
	if c.Owner == to {
		return "it is assigned so already"
	}
	if c.Owner = to; to == "" {
		w.say(c, r, "assigned to nobody: "+r.Why)
		return ""
	}
	w.say(c, r, "assigned to "+to+": "+r.Why)
	return ""
}

func (w *work) watch(r *schemas.Request) string {
	c, who := w.st.Case, clip(cmp.Or(r.Item, r.Actor), 256)
	if slices.Contains(c.Watchers, who) {
		return who + " watches it already"
	}
	if len(c.Watchers) >= casework.MaxWatchers {
		return fmt.Sprintf("it has %d watchers, as many as there can be", len(c.Watchers))
	}
	c.Watchers = append(c.Watchers, who)
	w.say(c, r, who+" watches it")
	return ""
}

func (w *work) unwatch(r *schemas.Request) string {
	c, who := w.st.Case, clip(cmp.Or(r.Item, r.Actor), 256)
	i := slices.Index(c.Watchers, who)
	if i < 0 {
		return who + " does not watch it"
	}
	c.Watchers = slices.Delete(c.Watchers, i, i+1)
	w.say(c, r, who+" watches it no longer")
	return ""
}

func (w *work) note(r *schemas.Request) string {
	c := w.st.Case
	text := strings.TrimSpace(r.Text)
	switch {
	case text == "":
		return "the note is empty"
	case len(text) > casework.MaxNote:
		return fmt.Sprintf("the note has %d bytes: keep to %d", len(text), casework.MaxNote)
	case len(c.Notes) >= casework.MaxNotes:
		return fmt.Sprintf("the case has %d notes, as many as there can be", len(c.Notes))
	}
	c.Notes = append(c.Notes, schemas.Note{Text: text, By: clip(r.Actor, 256), At: r.Time})
	w.say(c, r, "a note")
	return ""
}

func (w *work) ticket(r *schemas.Request) string {
	c, id := w.st.Case, clip(strings.TrimSpace(r.Item), maxID)
	switch {
	case id == "":
		return "say which ticket"
	case slices.Contains(c.Tickets, id):
		return "the case names ticket " + id + " already"
	case len(c.Tickets) >= casework.MaxTickets:
		return fmt.Sprintf("the case has %d tickets, as many as there can be", len(c.Tickets))
	}
	c.Tickets = append(c.Tickets, id)
	w.say(c, r, "ticket "+id)
	return ""
}

// prove ticks a step.
func (w *work) prove(r *schemas.Request, what, text string) string {
	c := w.st.Case
	if why := casework.Tick(c, r.Item, what, schemas.Proof{Text: clip(text, casework.MaxNote), Row: w.said(r)}); why != "" {
		return why
	}
	c.By, c.Why = clip(r.Actor, 256), "step "+clip(r.Item, maxID)+": "+casework.FindStep(c, r.Item).Proof.What
	casework.Conclude(c, w.st.Inventory)
	w.advance(c, r.Time, true)
	return ""
}

func (w *work) tick(r *schemas.Request) string {
	if r.From == schemas.FromCustomer {
		if r.Item == schemas.StepSessions {
			return "that the sessions have ended is not the customer's to say"
		}
		if casework.Foe(w.st.Case, r.Address) {
			return "it comes from an address of the case: a person has to look"
		}
	}
	return w.prove(r, "", r.Text)
}

func (w *work) waive(r *schemas.Request) string {
	return w.prove(r, schemas.ProofWaived, r.Why)
}

func (w *work) keep(r *schemas.Request) string { return w.prove(r, schemas.ProofKept, r.Why) }

// whose says whose an address of the case is; the proofs are found again.
func (w *work) whose(r *schemas.Request, ours bool) string {
	c := w.st.Case
	if why := casework.Whose(c, clip(r.Item, 64), ours, w.said(r)); why != "" {
		return why
	}
	casework.Conclude(c, w.st.Inventory)
	c.By, c.Why = clip(r.Actor, 256), clip(r.Item, 64)+" is theirs: "+clip(r.Why, schemas.MaxText)
	if ours {
		c.Why = clip(r.Item, 64) + " is the customer's own: " + clip(r.Why, schemas.MaxText)
	}
	w.advance(c, r.Time, true)
	return ""
}

// merge makes this case part of another entity's. What is contained stays; the case leaves
// the queue, and the other one names it.
func (w *work) merge(r *schemas.Request) string {
	c := w.st.Case
	switch {
	case r.Other.IsZero() || r.Other == w.entity:
		return "say which entity's case it belongs to: another one's"
	case r.Item == "":
		return "say which case it belongs to"
	case c.Merged == r.Item:
		return "it is merged into that case already"
	}
	c.Merged = clip(r.Item, maxID)
	w.say(c, r, "merged into "+c.Merged+" of "+r.Other.Key()+": "+r.Why)
	link := schemas.Request{
		ID: schemas.DeriveID("req", r.ID, "link"), Time: r.Time, Entity: r.Other, Act: "link", Actor: clip(r.Actor, 256), From: schemas.FromHoldfast,
		Why: clip(r.Why, schemas.MaxText), Item: c.ID, Other: w.entity,
	}
	w.emit(schemas.TopicInbox, schemas.KindRequest, link.ID, r.Other.Key(), link)
	return ""
}

// link names another case that belongs to this one.
func (w *work) link(r *schemas.Request) string {
	c := w.st.Case
	if len(c.Links) >= casework.MaxLinks {
		return fmt.Sprintf("the case has %d links, as many as there can be", len(c.Links))
	}
	if slices.ContainsFunc(c.Links, func(l schemas.Link) bool { return l.Case == r.Item }) {
		return "it is linked to that case already"
	}
	c.Links = append(c.Links, schemas.Link{Case: clip(r.Item, maxID), Why: clip(r.Why, schemas.MaxText), Row: w.said(r)})
	w.say(c, r, "linked to "+clip(r.Item, maxID)+": "+r.Why)
	return ""
}

// unmerge makes a merged case one of its own again.
func (w *work) unmerge(r *schemas.Request) string {
	c := w.st.Case
	was := c.Merged
	c.Merged = ""
	w.say(c, r, "no longer part of "+was+": "+r.Why)
	return ""
}

// close ends what is left of a case: its probation, or a case that contains nothing.
func (w *work) close(r *schemas.Request) string {
	c := w.st.Case
	switch {
	case c.Stage == schemas.StageClosed:
		return "the case is closed already"
	case w.st.Standing.rank() > 0:
		return "it is " + w.st.Standing.word() + ": release or dismiss it first"
	}
	if why := w.judgeCase(r); why != "" {
		return why
	}
	limited := c.Ramp != nil
	casework.Close(c, r.Time)
	c.By, c.Why = clip(r.Actor, 256), "closed: "+clip(r.Why, schemas.MaxText)
	if limited {
		w.restate(r.Time, policyProbation, c.Why)
		return ""
	}
	w.emitCase()
	return ""
}

// split closes the case with what it had before a decision, and goes on with the rest as
// another one: two compromises had been taken for one.
func (w *work) split(r *schemas.Request) string {
	c := w.st.Case
	if c.Merged != "" && r.Item == "" {
		return w.unmerge(r)
	}
	i := slices.Index(c.Decisions, r.Item)
	if i <= 0 {
		return "say from which decision on it is another case: one of " + strings.Join(c.Decisions[min(1, len(c.Decisions)):], ", ")
	}
	old, next := *c, *c
	next.ID = schemas.DeriveID("case", w.entity.Key(), itoa(c.Episode), r.Item)
	next.Version, next.Opened, next.Relapses = 0, r.Time, 0
	next.Decisions = slices.Clone(c.Decisions[i:])
	next.Links = append(slices.Clone(c.Links), schemas.Link{Case: c.ID, Why: clip(r.Why, schemas.MaxText), Row: w.said(r)})
	old.Decisions, old.Holds, old.Steps = slices.Clone(c.Decisions[:i]), nil, nil
	casework.Close(&old, r.Time)
	w.st.Case = &old
	w.say(&old, r, "split: "+next.ID+" goes on with what came later: "+r.Why)
	w.st.Case = &next
	w.say(&next, r, "split from "+old.ID+": "+r.Why)
	return ""
}

// reopen opens a closed case again. It contains nothing.
func (w *work) reopen(r *schemas.Request) string {
	c := w.st.Case
	if c.Stage != schemas.StageClosed {
		return "the case is " + string(c.Stage) + ", not closed"
	}
	c.Merged = ""
	casework.Enter(c, schemas.StageOpen, r.Time)
	w.say(c, r, "opened again: "+r.Why)
	return ""
}

// join makes the case part of an incident, or of none where no id is given.
func (w *work) join(r *schemas.Request) string {
	c, id := w.st.Case, clip(r.Item, maxID)
	switch {
	case c.Incident == id:
		return "it is so already"
	case id == "" && r.From == schemas.FromHoldfast && c.Incident != r.Text:
		return "it is part of another incident by now"
	case id == "":
		c.Incident = ""
		w.say(c, r, "part of no incident any more: "+r.Why)
		return ""
	}
	c.Incident = id
	w.say(c, r, "part of incident "+id+": "+r.Why)
	return ""
}

// protect says whether the account is protected, whatever its snapshots say.
func (w *work) protect(r *schemas.Request, on bool) string {
	if w.entity.Kind != schemas.KindAccount {
		return "only accounts can be protected"
	}
	if w.st.protected() == on {
		return "that is so already"
	}
	w.st.Guard = &guard{On: on, By: clip(r.Actor, 256), Why: clip(r.Why, schemas.MaxText)}
	if c := w.st.Case; casework.IsOpen(c) {
		c.Protected = on
		c.By, c.Why = clip(r.Actor, 256), clip(r.Act+": "+r.Why, schemas.MaxText)
		w.advance(c, r.Time, true) // what only two people could release may be ready
	}
	return ""
}
