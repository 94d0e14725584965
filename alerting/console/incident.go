package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// incidentsData is the list of incidents.
type incidentsData struct {
	In    api.IncidentsIn
	Items []api.IncidentLine
	May   bool
}

func incidentURL(id string) string { return "/incident/" + url.PathEscape(id) }

func (c *Console) incidentsPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	q := r.URL.Query()
	d := incidentsData{In: api.IncidentsIn{State: q.Get("state"), Text: strings.TrimSpace(q.Get("q"))}, May: p.May(api.RightIncident)}
	all, err := c.service.Incidents(r.Context(), p, d.In)
	if err != nil {
		return err
	}
	d.Items = all.Items
	return c.show(w, r, http.StatusOK, view{Page: "incidents", Title: c.text.say("nav.incidents"), Who: p, Data: d})
}

// incidentOpen opens an incident and lets those join it that were picked.
func (c *Console) incidentOpen(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	back := local(r.PostFormValue("back"), "/incidents")
	key, why := r.PostFormValue("key"), strings.TrimSpace(r.PostFormValue("why"))
	kind, value := r.PostFormValue("cause"), strings.TrimSpace(r.PostFormValue("value"))
	x, err := c.service.OpenIncident(r.Context(), p, api.NewIncident{Cause: schemas.Cause{Kind: kind, Value: value}.String(), Title: strings.TrimSpace(r.PostFormValue("title")), Why: why, Key: key})
	if err != nil {
		return c.after(w, r, back, "", err)
	}
	var wrong error
	for _, e := range r.PostForm["e"] {
		in := api.IncidentActIn{Act: "join", Item: e, Why: why}
		if key != "" {
			in.Key = key + " " + e
		}
		if _, err := c.service.ActOnIncident(r.Context(), p, x.ID, in); err != nil {
			wrong = cmp.Or(wrong, err)
		}
	}
	return c.after(w, r, incidentURL(x.ID), c.text.say("incident.done.open"), wrong)
}

// incidentData is everything that an incident's page shows.
type incidentData struct {
	X        api.IncidentView
	Members  []incidentMember
	Cause    string // the page of the cause, where it has one
	Asks     bool   // the cause says whose scope it is
	Progress *schemas.Progress
	Hunts    []schemas.Hunt // the newest first
	Names    []string
	May      bool
	Open     bool
	Away     []string
}

type incidentMember struct {
	Member schemas.Member
	Now    api.MemberView
}

// maxRenewals is how many credentials of a campaign a page shows.
const maxRenewals = 200

func (c *Console) incidentPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	x, err := c.service.Incident(r.Context(), p, r.PathValue("id"))
	if err != nil {
		return err
	}
	d := incidentData{X: x, May: p.May(api.RightIncident), Open: x.State == schemas.IncidentOpen}
	for i, m := range x.Members {
		d.Members = append(d.Members, incidentMember{m, x.Standing[i]})
	}
	for i := len(x.Hunts) - 1; i >= 0; i-- {
		d.Hunts = append(d.Hunts, x.Hunts[i])
	}
	switch x.Cause.Kind {
	case schemas.CauseEmployee:
		d.Cause, d.Asks = entityURL(schemas.Entity{Kind: schemas.KindEmployee, ID: x.Cause.Value}), true
	case schemas.CauseAddress:
		d.Cause, d.Asks = entityURL(schemas.Entity{Kind: schemas.KindIP, ID: x.Cause.Value}), true
	}
	get := parts{ctx: r.Context()}
	if x.Campaign != nil {
		get.get("campaign", func(ctx context.Context) error {
			g, err := c.service.Campaign(ctx, p, api.CampaignIn{ID: x.ID, Limit: maxRenewals})
			if err == nil {
				d.Progress = &g
			}
			return err
		})
	}
	names, err := c.service.Names(r.Context(), p)
	if err != nil {
		return err
	}
	d.Names = names.Items
	if d.Away, err = get.wait(); err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "incident", Title: x.Title, Who: p, Data: d, Away: d.Away})
}

// incidentAct carries an act on an incident out, or asks the past, and comes back to it.
func (c *Console) incidentAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	id, act := r.PathValue("id"), r.PostFormValue("act")
	why, key := strings.TrimSpace(r.PostFormValue("why")), r.PostFormValue("key")
	from, err := dayOf(r, "from")
	to, err2 := dayOf(r, "to")
	if err = cmp.Or(err, err2); err != nil {
		return c.after(w, r, incidentURL(id), "", refusal(http.StatusBadRequest, c.text.say("incident.day")))
	}
	if !to.IsZero() {
		to = to.AddDate(0, 0, 1) // the day itself is meant
		if to.After(c.now()) {
			to = time.Time{}
		}
	}
	switch act {
	case "scope":
		_, err = c.service.Scope(r.Context(), p, id, api.ScopeIn{Entity: strings.TrimSpace(r.PostFormValue("entity")), From: from, To: to, Why: why, Key: key})
	case "hunt":
		in := api.HuntIn{From: from, To: to, Why: why, Key: key}
		for line := range strings.Lines(r.PostFormValue("text")) {
			if line = strings.TrimSpace(line); line != "" {
				in.Indicators = append(in.Indicators, line)
			}
		}
		_, err = c.service.Hunt(r.Context(), p, id, in)
	default:
		_, err = c.service.ActOnIncident(r.Context(), p, id, api.IncidentActIn{
			Act: act, Why: why, Item: strings.TrimSpace(r.PostFormValue("item")), Text: strings.TrimSpace(r.PostFormValue("text")), Since: from, Version: versionIn(r), Key: key,
		})
	}
	return c.after(w, r, incidentURL(id), c.text.word("incident.done", act), err)
}

// dayOf reads a day of a form, in UTC; zero where none is given.
func dayOf(r *http.Request, name string) (time.Time, error) {
	text := r.PostFormValue(name)
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, text)
}

// joinIncident lets a case join an incident.
func (c *Console) joinIncident(w http.ResponseWriter, r *http.Request, p api.Principal, id string, in api.ActIn) error {
	_, err := c.service.ActOnIncident(r.Context(), p, strings.TrimSpace(in.Item), api.IncidentActIn{Act: "join", Item: id, Why: in.Why, Key: in.Key})
	return c.after(w, r, caseURL(id), c.text.say("incident.done.join"), err)
}
