package respond

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/casework"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// probation is how long a released entity counts as being on probation.
const probation = 7 * 24 * time.Hour

// operatorPolicy stands where a person decided.
const operatorPolicy = policy.NameOperator

// act is one thing that may be asked for.
type act struct {
	do func(*work, *schemas.Request) string // why it is refused, or nothing
	// two says that a protected account needs two people for it.
	two bool
	// customer says that the account's people may ask for it through their own page.
	customer bool
	// needs says that it is about a case.
	needs bool
	// incident says that it is about an incident, and about nothing else.
	incident bool
}

// acts are what a person may ask for.
var acts = map[string]act{
	"suspend":   {do: func(w *work, r *schemas.Request) string { return w.stopByHand(r, schemas.VerdictSuspend) }, two: true},
	"throttle":  {do: func(w *work, r *schemas.Request) string { return w.stopByHand(r, schemas.VerdictThrottle) }, two: true},
	"revoke":    {do: func(w *work, r *schemas.Request) string { return w.stopByHand(r, schemas.VerdictRevoke) }, two: true},
	"block":     {do: func(w *work, r *schemas.Request) string { return w.stopByHand(r, schemas.VerdictBlock) }},
	"release":   {do: (*work).release, two: true},
	"dismiss":   {do: (*work).dismiss},
	"snooze":    {do: (*work).snooze},
	"unsnooze":  {do: (*work).unsnooze},
	"allow":     {do: (*work).allow},
	"disallow":  {do: (*work).disallow},
	"protect":   {do: func(w *work, r *schemas.Request) string { return w.protect(r, true) }},
	"unprotect": {do: func(w *work, r *schemas.Request) string { return w.protect(r, false) }, two: true},
	"confirm":   {do: (*work).confirm, needs: true},
	"assign":    {do: (*work).assign, needs: true},
	"watch":     {do: (*work).watch, needs: true},
	"unwatch":   {do: (*work).unwatch, needs: true},
	"note":      {do: (*work).note, needs: true, customer: true},
	"ticket":    {do: (*work).ticket, needs: true},
	"tick":      {do: (*work).tick, needs: true, customer: true},
	"waive":     {do: (*work).waive, needs: true, two: true},
	"keep":      {do: (*work).keep, needs: true, two: true},
	"ours":      {do: func(w *work, r *schemas.Request) string { return w.whose(r, true) }, needs: true, two: true},
	"theirs":    {do: func(w *work, r *schemas.Request) string { return w.whose(r, false) }, needs: true},
	"verdict":   {do: (*work).verdict, needs: true},
	"merge":     {do: (*work).merge, needs: true},
	"link":      {do: (*work).link, needs: true},
	"split":     {do: (*work).split, needs: true},
	"reopen":    {do: (*work).reopen, needs: true},
	"close":     {do: (*work).close, needs: true},
	"join":      {do: (*work).join, needs: true},
	"decline":   {do: (*work).decline, needs: true},

	"incident_open":     {do: (*work).incidentOpen, incident: true},
	"incident_join":     {do: (*work).incidentJoin, incident: true},
	"incident_leave":    {do: (*work).incidentLeave, incident: true},
	"incident_note":     {do: (*work).incidentNote, incident: true},
	"incident_assign":   {do: (*work).incidentAssign, incident: true},
	"incident_campaign": {do: (*work).incidentCampaign, incident: true},
	"incident_scope":    {do: (*work).incidentScope, incident: true},
	"incident_hunt":     {do: (*work).incidentHunt, incident: true},
	"incident_close":    {do: (*work).incidentClose, incident: true},
	"incident_reopen":   {do: (*work).incidentReopen, incident: true},
}

// What was asked for before is looked up among the acts, so approve cannot stand in their
// own list.
func init() { acts["approve"] = act{do: (*work).approve, needs: true} }

// Acts are the names of what may be asked for, sorted.
func Acts() []string { return slices.Sorted(maps.Keys(acts)) }

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
	case r.From == schemas.FromHoldfast && r.Act == schemas.ActDue:
		// Saying a time twice changes nothing by itself, and another hold may end at the
		// same time.
		w.now = r.Time
		w.adopt()
		w.due(r.Time)
		return true, nil
	case w.st.Known.has(r.ID):
		return false, nil
	}
	w.st.Known.add(r.ID, max(r.Time.UnixMilli(), w.st.Clock))
	w.now = r.Time
	w.adopt()
	op := schemas.Operator{
		ID: schemas.DeriveID("opr", r.ID), Time: r.Time, Actor: clip(r.Actor, 256), Act: clip(r.Act, 64), Entity: w.entity,
		Why: clip(r.Why, schemas.MaxText), Before: w.st.Standing.word(), Item: clip(r.Item, schemas.MaxText), Text: clip(r.Text, casework.MaxNote),
		Second: clip(r.Second, 256), From: clip(r.From, 32),
	}
	if w.entity.Kind == schemas.KindIncident {
		op.Before = ""
		if x := w.st.Incident; x != nil {
			op.Before = x.State
		}
	}
	op.Refused, op.Awaits = w.carryOut(&r)
	if r.From == schemas.FromHoldfast && op.Refused != "" {
		return true, nil // what Holdfast reports to an entity whose case does not wait for it
	}
	if (r.Act == "snooze" || r.Act == "allow") && op.Refused == "" {
		op.Until = r.Until
	}
	if c := w.st.Case; c != nil {
		op.Case, op.Version = c.ID, c.Version
	}
	op.After, op.Episode, op.Step = w.st.Standing.word(), w.st.Standing.Episode, w.st.Standing.Step
	if x := w.st.Incident; x != nil {
		op.After, op.Version = x.State, x.Version
	}
	op.Address = clip(r.Address, 64)
	w.emit(schemas.TopicOperator, schemas.KindOperator, op.ID, w.entity.Key(), op)
	return true, nil
}

func (w *work) carryOut(r *schemas.Request) (refused string, awaits bool) {
	a, ok := acts[r.Act]
	now, c := &w.st.Standing, w.st.Case
	switch {
	case !ok:
		return fmt.Sprintf("act %q is unknown: use %s", r.Act, strings.Join(Acts(), ", ")), false
	case a.incident != (w.entity.Kind == schemas.KindIncident):
		return fmt.Sprintf("%s is no act on %s", r.Act, w.entity.Key()), false
	case a.incident && r.Act != "incident_open" && w.st.Incident == nil:
		return "there is no " + w.entity.Key(), false
	case a.incident && r.Version != nil && *r.Version != w.st.Incident.Version:
		return fmt.Sprintf("it has changed since: the incident is at version %d now: look again", w.st.Incident.Version), false
	case r.Actor == "":
		return "nobody is named as the one who asks", false
	case r.Why == "" && r.From == "":
		return "no reason is given: say why", false
	case r.From == schemas.FromCustomer && !a.customer:
		return fmt.Sprintf("%s is not the customer's to ask for", r.Act), false
	case r.Episode != nil && *r.Episode != now.Episode, r.Step != nil && *r.Step != now.Step:
		return fmt.Sprintf("it has changed since: it is %s now (episode %d, step %d): look again", now.word(), now.Episode, now.Step), false
	case a.needs && c == nil:
		return "there is no case of " + w.entity.Key(), false
	case r.Version != nil && c != nil && *r.Version != c.Version:
		return fmt.Sprintf("it has changed since: the case is at version %d now: look again", c.Version), false
	case a.two && w.st.protected() && r.Second == "" && r.From == "":
		return w.await(r)
	case r.Second != "" && samePerson(r.Second, r.Actor):
		return "the second person must be another one", false
	}
	return a.do(w, r), false
}

// await keeps an act on a protected account until a second person approves it.
func (w *work) await(r *schemas.Request) (refused string, awaits bool) {
	c := w.st.Case
	if c == nil {
		d := w.byHand(r, schemas.VerdictReview, max(w.st.Standing.Episode, w.st.Base, cellOf(r.Time.UnixMilli())), "")
		d.Verdict = schemas.VerdictReview
		c = w.openCase(&d)
	}
	if c.Awaits != nil && c.Awaits.Until.After(r.Time) {
		return fmt.Sprintf("%s by %s waits for a second person already: approve or decline that first", c.Awaits.Request.Act, c.Awaits.Request.Actor), false
	}
	kept := *r
	kept.Version, kept.Episode, kept.Step = nil, nil, nil
	c.Awaits = &schemas.Awaited{Request: kept, Until: r.Time.Add(casework.AwaitFor)}
	w.say(c, r, "asks for "+r.Act+", and the account is protected: a second person has to approve it")
	return "", true
}

// approve carries out what waits for a second person.
func (w *work) approve(r *schemas.Request) string {
	c := w.st.Case
	a := c.Awaits
	switch {
	case a == nil:
		return "nothing waits for a second person"
	case r.Item != "" && r.Item != a.Request.ID:
		return fmt.Sprintf("what waits is request %s: look again", a.Request.ID)
	case !a.Until.After(r.Time):
		return "what waited has expired: ask for it again"
	case samePerson(a.Request.Actor, r.Actor):
		return "the second person must be another one than " + r.Actor
	}
	c.Awaits = nil
	first := a.Request
	first.Second, first.Time = r.Actor, r.Time
	why := acts[first.Act].do(w, &first)
	if why != "" { // it waits no longer
		w.say(c, r, "approves "+first.Act+", which cannot be done any more: "+why)
	}
	return why
}

// samePerson reports whether two names are one person's, however they are written.
func samePerson(a, b string) bool {
	return schemas.NormalUser(strings.TrimSpace(a)) == schemas.NormalUser(strings.TrimSpace(b))
}

func (w *work) decline(r *schemas.Request) string {
	c := w.st.Case
	if c.Awaits == nil {
		return "nothing waits for a second person"
	}
	what := c.Awaits.Request.Act
	c.Awaits = nil
	w.say(c, r, "declines "+what)
	return ""
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
		return "addresses are blocked, accounts and employees throttled or suspended"
	}
	now := &w.st.Standing
	d := w.byHand(r, v, max(now.Episode, w.st.Base, cellOf(r.Time.UnixMilli())), "")
	switch {
	case !r.Until.IsZero() && !r.Until.After(r.Time):
		return "its end is not after now: say until when, or leave the end out"
	case v == schemas.VerdictRevoke && w.entity.Kind != schemas.KindAccount:
		return "only an account has credentials that can be revoked"
	case v == schemas.VerdictRevoke && r.Item == "":
		return "say which credential"
	case v == schemas.VerdictRevoke && slices.Contains(now.Revoked, r.Item):
		return fmt.Sprintf("credential %q is revoked already", r.Item)
	case now.own() >= v.Rank() && v != schemas.VerdictRevoke:
		if w.holds(r.Actor, v) {
			return "it is " + now.word() + " already"
		}
		// Whoever stops what a policy has stopped keeps it stopped until a person releases it.
		if c := w.openCase(&d); c != nil {
			casework.Contain(c, schemas.Hold{Verdict: v, Owner: casework.OwnerPerson + d.By, Since: d.Time, Until: r.Until, Why: d.Reason, Decision: d.ID})
			w.say(c, r, "holds it too: "+r.Why)
			return ""
		}
		return "it is " + now.word() + " already"
	}
	d.NoticeReason = "Our team has stopped this account after looking at its activity."
	switch v {
	case schemas.VerdictBlock:
		d.NoticeReason = "Our team has blocked this address after looking at its activity."
	case schemas.VerdictThrottle:
		d.NoticeReason = "Our team has limited this account after looking at its activity."
	case schemas.VerdictRevoke:
		d.NoticeReason = "Our team has revoked one of this account's credentials after looking at its activity."
		d.Credential = clip(r.Item, maxID)
		d.ID = schemas.DecisionID(operatorPolicy, w.entity, v+":"+schemas.Verdict(d.Credential), schemas.ModeLive, d.Episode)
	}
	if d.Episode == now.Episode && now.Status != "" { // the same may have been done in it, and have ended
		d.ID = schemas.DecisionID(operatorPolicy, w.entity, schemas.Verdict("by:"+r.ID), schemas.ModeLive, d.Episode)
	}
	w.st.Pending = nil
	w.st.Top = max(w.st.Top, d.Episode)
	w.enact(d, note{}, &findings{Window: schemas.Window{From: r.Time, To: r.Time, Confidence: "low"}, Until: r.Until})
	return ""
}

// holds reports whether a person has a hold of their own that is as strict.
func (w *work) holds(person string, v schemas.Verdict) bool {
	c := w.st.Case
	return c != nil && slices.ContainsFunc(c.Holds, func(h schemas.Hold) bool {
		return h.Owner == casework.OwnerPerson+clip(person, 256) && h.Object == "" && h.Verdict.Rank() >= v.Rank()
	})
}

// release lifts what is in force: all of it, or one owner's. A person who releases an
// account before the way back is complete waives the open steps, by name.
func (w *work) release(r *schemas.Request) string {
	if w.st.Standing.rank() == 0 {
		return "it is " + w.st.Standing.word() + ": there is nothing to release it from"
	}
	c := w.st.Case
	if c != nil && r.Item != "" && !slices.Contains(owners(c), r.Item) {
		return fmt.Sprintf("%s does not hold it: the owners are %s", r.Item, strings.Join(owners(c), ", "))
	}
	if why := w.judgeCase(r); why != "" {
		return why
	}
	if c != nil && r.Item != "" {
		casework.Lift(c, func(h *schemas.Hold) bool { return h.Owner == r.Item })
		if len(c.Holds) > 0 {
			c.By, c.Why = clip(r.Actor, 256), "lifted what "+r.Item+" held: "+clip(r.Why, schemas.MaxText)
			w.restate(r.Time, operatorPolicy, c.Why)
			return ""
		}
	}
	if w.st.Standing.rank() >= schemas.VerdictThrottle.Rank() {
		w.st.Releases++
		w.st.Probation = r.Time.Add(probation).UnixMilli()
	}
	if c != nil && !released(c) {
		for _, id := range casework.Missing(c, "") {
			casework.Tick(c, id, schemas.ProofWaived, schemas.Proof{Text: "released: " + clip(r.Why, schemas.MaxText), Row: w.said(r)})
		}
	}
	d := w.byHand(r, schemas.VerdictRelease, w.st.Standing.Episode, "Your account has been released.")
	w.end(d)
	return ""
}

func owners(c *schemas.Case) (out []string) {
	for i := range c.Holds {
		out = append(out, c.Holds[i].Owner)
	}
	return out
}

func (w *work) dismiss(r *schemas.Request) string {
	switch rank := w.st.Standing.rank(); {
	case rank == 0:
		return "it is " + w.st.Standing.word() + ": there is nothing to dismiss"
	case rank >= schemas.VerdictRevoke.Rank():
		return "it is " + w.st.Standing.word() + ": release it instead"
	}
	if why := w.judgeCase(r); why != "" {
		return why
	}
	if c := w.st.Case; c != nil && c.Verdict == "" && !released(c) {
		c.Verdict, c.Reason = schemas.CaseFalseAlarm, "other"
	}
	w.end(w.byHand(r, schemas.VerdictRelease, w.st.Standing.Episode, "We have checked your account and found nothing wrong."))
	return ""
}

// end ends the episode: what was known is answered, the next episode has a higher
// number, and the same signals do not stop the entity again.
func (w *work) end(d schemas.Decision) {
	w.st.Base = max(w.st.Top, w.st.Standing.Episode, cellOf(w.st.Clock)) + 1
	w.st.Pending, w.ended = nil, true
	w.st.Signals = slices.DeleteFunc(w.st.Signals, func(k kept) bool { return !k.History })
	if d.By == "" {
		w.st.Releases++
		w.st.Probation = d.Time.Add(probation).UnixMilli()
	}
	if c := w.st.Case; c != nil {
		c.Holds = nil
		casework.Decided(c, &d, schemas.Window{})
		c.By, c.Why = d.By, d.Reason
		if !released(c) { // what was asked during probation leaves that as it is
			casework.Release(c, d.Time)
		}
	}
	next := d
	next.Episode = w.st.Base
	s := w.stand(next)
	w.decide(d, &s)
	w.emitCase()
}

// released reports whether a case contains nothing any more: it is on probation, or over.
func released(c *schemas.Case) bool {
	return c.Stage == schemas.StageProbation || c.Stage == schemas.StageClosed
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

// maxAllows bounds what people allow an entity at once.
const maxAllows = 32

// allow lets the entity raise one detector's signals until the time that is given. One that
// is allowed already gets the new end.
func (w *work) allow(r *schemas.Request) string {
	detector := clip(r.Item, maxID)
	switch most := w.fold.cfg.SnoozeMax; {
	case detector == "":
		return "say which detector's signals are allowed"
	case !r.Until.After(r.Time):
		return "the allowance has no end after now: say until when"
	case most > 0 && r.Until.Sub(r.Time) > most:
		return fmt.Sprintf("an allowance lasts at most %s (respond.snooze_max): end it sooner", days(most))
	}
	w.st.Allows = slices.DeleteFunc(w.st.Allows, func(a allowed) bool { return a.Detector == detector || a.Until <= r.Time.UnixMilli() })
	if len(w.st.Allows) >= maxAllows {
		return fmt.Sprintf("it has %d allowances, as many as there can be: end one first", maxAllows)
	}
	w.st.Allows = append(w.st.Allows, allowed{Detector: detector, Until: r.Until.UnixMilli(), By: clip(r.Actor, 256), Why: clip(r.Why, schemas.MaxText)})
	return ""
}

// disallow ends an allowance: signals of later times are answered again.
func (w *work) disallow(r *schemas.Request) string {
	n := len(w.st.Allows)
	w.st.Allows = slices.DeleteFunc(w.st.Allows, func(a allowed) bool { return a.Detector == clip(r.Item, maxID) && a.Until > r.Time.UnixMilli() })
	if len(w.st.Allows) == n {
		return fmt.Sprintf("no signal of %q is allowed", clip(r.Item, maxID))
	}
	return ""
}
