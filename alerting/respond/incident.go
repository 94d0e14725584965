package respond

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/casework"
	"holdfast/schemas"
)

// The results of a scope and of a hunt as they are handed in, in bytes at most, and a
// member's reason.
const (
	maxScope     = 256 << 10
	maxHunt      = 64 << 10
	maxMemberWhy = 256
)

// sayIncident writes a change of the incident down.
func (w *work) sayIncident(r *schemas.Request, what string) string {
	x := w.st.Incident
	x.Version++
	x.By, x.Why = clip(r.Actor, 256), clip(what, schemas.MaxText)
	if x.Time.Before(r.Time) {
		x.Time = r.Time
	}
	w.emit(schemas.TopicCases, schemas.KindOfIncident, x.ID, w.entity.Key(), x)
	w.emit(schemas.TopicIncidents, schemas.KindOfIncident, x.ID, w.entity.Key(), x)
	return ""
}

// incidentOpen opens an incident: Item is its cause, Text its title.
func (w *work) incidentOpen(r *schemas.Request) string {
	cause, err := schemas.ParseCause(clip(r.Item, maxID))
	title := clip(strings.TrimSpace(r.Text), 256)
	switch {
	case w.st.Incident != nil:
		return "there is such an incident already"
	case err != nil:
		return err.Error()
	case title == "":
		return "the incident has no title"
	}
	w.st.Incident = &schemas.Incident{ID: w.entity.ID, Entity: w.entity, Cause: cause, Title: title, State: schemas.IncidentOpen, Opened: r.Time}
	return w.sayIncident(r, "opened: "+r.Why)
}

func memberOf(x *schemas.Incident, e schemas.Entity) int {
	return slices.IndexFunc(x.Members, func(m schemas.Member) bool { return m.Entity == e })
}

// incidentJoin adds an entity's case, and tells the entity's lane.
func (w *work) incidentJoin(r *schemas.Request) string {
	x := w.st.Incident
	e, err := schemas.ParseEntity(clip(r.Item, 4*maxID))
	switch {
	case err != nil:
		return err.Error()
	case e.Kind == schemas.KindIncident:
		return "an incident is no part of another one"
	case memberOf(x, e) >= 0:
		return e.Key() + " belongs to it already"
	case len(x.Members) >= schemas.MaxMembers:
		return fmt.Sprintf("the incident has %d entities, as many as there can be", len(x.Members))
	}
	x.Members = append(x.Members, schemas.Member{Entity: e, Why: clip(r.Why, maxMemberWhy), By: clip(r.Actor, 256), At: r.Time})
	w.tellMember(r, e, x.ID)
	return w.sayIncident(r, e.Key()+" belongs to it: "+r.Why)
}

func (w *work) incidentLeave(r *schemas.Request) string {
	x := w.st.Incident
	e, err := schemas.ParseEntity(clip(r.Item, 4*maxID))
	if err != nil {
		return err.Error()
	}
	i := memberOf(x, e)
	if i < 0 {
		return e.Key() + " does not belong to it"
	}
	x.Members = slices.Delete(x.Members, i, i+1)
	w.tellMember(r, e, "")
	return w.sayIncident(r, e.Key()+" belongs to it no longer: "+r.Why)
}

// tellMember has an entity's lane write down in its case which incident that is part of.
func (w *work) tellMember(r *schemas.Request, e schemas.Entity, incident string) {
	join := schemas.Request{
		ID: schemas.DeriveID("req", r.ID, "join"), Time: r.Time, Entity: e, Act: "join", Actor: clip(r.Actor, 256), From: schemas.FromHoldfast,
		Why: clip(r.Why, schemas.MaxText), Item: incident,
	}
	if incident == "" {
		join.Text = w.entity.ID // only from this one
	}
	w.emit(schemas.TopicInbox, schemas.KindRequest, join.ID, e.Key(), join)
}

func (w *work) incidentNote(r *schemas.Request) string {
	x, text := w.st.Incident, strings.TrimSpace(r.Text)
	switch {
	case text == "":
		return "the note is empty"
	case len(text) > casework.MaxNote:
		return fmt.Sprintf("the note has %d bytes: keep to %d", len(text), casework.MaxNote)
	case len(x.Notes) >= casework.MaxNotes:
		return fmt.Sprintf("the incident has %d notes, as many as there can be", len(x.Notes))
	}
	x.Notes = append(x.Notes, schemas.Note{Text: text, By: clip(r.Actor, 256), At: r.Time})
	return w.sayIncident(r, "a note")
}

func (w *work) incidentAssign(r *schemas.Request) string {
	x, to := w.st.Incident, clip(strings.TrimSpace(r.Item), 256)
	if x.Owner == to {
		return "it is assigned so already"
	}
	if x.Owner = to; to == "" {
		return w.sayIncident(r, "assigned to nobody: "+r.Why)
	}
	return w.sayIncident(r, "assigned to "+to+": "+r.Why)
}

// everybody is the Item of a campaign that asks for everybody's credentials.
const everybody = "everybody"

// incidentCampaign asks that credentials be renewed: with Item everybody those of all,
// else those that Text lists, one a line; they are added to a list that is there. Changes
// count from Until on, where it is given and not to come: a leak is known later than it is.
func (w *work) incidentCampaign(r *schemas.Request) string {
	x := w.st.Incident
	since := r.Time
	if !r.Until.IsZero() && r.Until.Before(r.Time) {
		since = r.Until
	}
	if r.Item == everybody {
		if x.Campaign != nil {
			return "there is a campaign already"
		}
		x.Campaign = &schemas.Campaign{Everybody: true, Since: since, By: clip(r.Actor, 256), Why: clip(r.Why, schemas.MaxText)}
		return w.sayIncident(r, "asks everybody to renew credentials from before "+since.UTC().Format(time.RFC3339)+": "+r.Why)
	}
	var all []string
	if c := x.Campaign; c != nil {
		if c.Everybody {
			return "the campaign is for everybody's credentials already"
		}
		since, all = c.Since, slices.Clone(c.Credentials)
	}
	before := len(all)
	for line := range strings.Lines(r.Text) {
		if id := strings.TrimSpace(line); id != "" && len(id) <= maxID {
			all = append(all, strings.Clone(id))
		} else if id != "" {
			return fmt.Sprintf("a credential of the list has %d bytes, more than %d", len(id), maxID)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case len(all) == before:
		return "the list names no credential that is new: write one a line, or say everybody"
	case len(all) > schemas.MaxCredentials:
		return fmt.Sprintf("the list has %d credentials, more than %d: open another incident for the rest", len(all), schemas.MaxCredentials)
	}
	x.Campaign = &schemas.Campaign{Since: since, Credentials: all, By: clip(r.Actor, 256), Why: clip(r.Why, schemas.MaxText)}
	return w.sayIncident(r, fmt.Sprintf("asks to renew %d credentials: %s", len(all), r.Why))
}

// incidentScope keeps what a run of the question of scope gave.
func (w *work) incidentScope(r *schemas.Request) string {
	var s schemas.Scope
	if why := result(r.Text, maxScope, &s); why != "" {
		return why
	}
	if s.Entity.IsZero() || s.To.IsZero() || len(s.Covered) > schemas.MaxCovered || len(s.Gaps) > schemas.MaxCovered || len(s.Reached) > schemas.MaxReached {
		return "the result of the scope is not whole"
	}
	s.By = clip(r.Actor, 256)
	w.st.Incident.Scope = &s
	return w.sayIncident(r, fmt.Sprintf("scope of %s from %s to %s: %d customers of %d", clip(s.Entity.Key(), maxID), s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339), s.Customers, s.All))
}

// incidentHunt keeps what a hunt through the past found. Of too many the oldest goes; every
// one of them stays in the journal.
func (w *work) incidentHunt(r *schemas.Request) string {
	var h schemas.Hunt
	if why := result(r.Text, maxHunt, &h); why != "" {
		return why
	}
	if h.Query == "" || len(h.Hits) == 0 || len(h.Hits) > schemas.MaxIndicators || len(h.Accounts) > schemas.MaxMembers {
		return "the result of the hunt is not whole"
	}
	x := w.st.Incident
	h.ID, h.By, h.Why = schemas.DeriveID("hunt", r.ID), clip(r.Actor, 256), clip(r.Why, schemas.MaxText)
	if len(x.Hunts) >= schemas.MaxHunts {
		x.Hunts = slices.Delete(x.Hunts, 0, 1)
	}
	x.Hunts = append(x.Hunts, h)
	hit := 0
	for _, one := range h.Hits {
		if one.Events > 0 {
			hit++
		}
	}
	return w.sayIncident(r, fmt.Sprintf("looked for %d indicators in the past: %d were there, at %d accounts", len(h.Hits), hit, len(h.Accounts)))
}

// result reads what was found for an incident.
func result(text string, most int, into any) string {
	if len(text) > most {
		return fmt.Sprintf("the result has %d bytes, more than %d", len(text), most)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return "the result cannot be read: " + err.Error()
	}
	return ""
}

func (w *work) incidentClose(r *schemas.Request) string {
	x := w.st.Incident
	if x.State == schemas.IncidentClosed {
		return "it is closed already"
	}
	x.State, x.Closed = schemas.IncidentClosed, r.Time
	return w.sayIncident(r, "closed: "+r.Why)
}

func (w *work) incidentReopen(r *schemas.Request) string {
	x := w.st.Incident
	if x.State != schemas.IncidentClosed {
		return "it is open"
	}
	x.State, x.Closed = schemas.IncidentOpen, time.Time{}
	return w.sayIncident(r, "opened again: "+r.Why)
}

// incidentWeight is about how long an incident is when it is written.
func incidentWeight(x *schemas.Incident) int {
	n := 500 + 200*len(x.Members) + 300*len(x.Notes)
	if x.Scope != nil {
		n += 500 + 150*len(x.Scope.Reached) + 100*len(x.Scope.Covered)
	}
	if x.Campaign != nil {
		n += 100 + 40*len(x.Campaign.Credentials)
	}
	for i := range x.Hunts {
		n += 200 + 150*len(x.Hunts[i].Hits) + 20*len(x.Hunts[i].Accounts)
	}
	return n
}
