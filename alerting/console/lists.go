package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// policiesData is what the page of policies shows.
type policiesData struct {
	All  api.Page[api.Policy]
	Days int
}

func (c *Console) policiesPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	d := policiesData{Days: dayChoices[r.URL.Query().Get("days")]}
	if d.Days == 0 {
		d.Days = 30
	}
	var err error
	if d.All, err = c.service.Policies(r.Context(), p, api.PoliciesIn{Since: c.now().Add(-time.Duration(d.Days) * 24 * time.Hour)}); err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "policies", Title: c.text.say("nav.policies"), Who: p, Data: d})
}

// expectedData is what the page of snoozes, allowances and the brake shows.
type expectedData struct {
	api.Expected
	Brake               api.Brake
	MayEnd, MayDisallow bool
	MayBrake            bool
}

func (c *Console) expectedPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	d := expectedData{MayEnd: p.MayAct("unsnooze"), MayDisallow: p.May(api.RightPolicy), MayBrake: p.May(api.RightBrake)}
	var err error
	if d.Expected, err = c.service.Expected(r.Context(), p); err != nil {
		return err
	}
	var away []string
	if d.Brake, err = c.service.Brake(r.Context(), p); err != nil {
		away = append(away, "brake")
	}
	return c.show(w, r, http.StatusOK, view{Page: "expected", Title: c.text.say("nav.expected"), Who: p, Data: d, Away: away})
}

// systemData is what the page of the system shows.
type systemData struct {
	About              api.About
	Brake              api.Brake
	Receipts           api.Page[api.Receipt]
	Lag                []lag
	MayBrake, MayRetry bool
}

type lag struct {
	Role string
	N    int64
}

func (c *Console) systemPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	d := systemData{MayBrake: p.May(api.RightBrake), MayRetry: p.May(api.RightRetry)}
	get := parts{ctx: r.Context()}
	get.get("about", func(ctx context.Context) (err error) { d.About, err = c.service.About(ctx, p); return err })
	get.get("brake", func(ctx context.Context) (err error) { d.Brake, err = c.service.Brake(ctx, p); return err })
	get.get("receivers", func(ctx context.Context) (err error) { d.Receipts, err = c.service.Undelivered(ctx, p); return err })
	away, err := get.wait()
	if err != nil {
		return err
	}
	for role, n := range d.About.Lag {
		d.Lag = append(d.Lag, lag{role, n})
	}
	slices.SortFunc(d.Lag, func(a, b lag) int { return cmp.Compare(a.Role, b.Role) })
	return c.show(w, r, http.StatusOK, view{Page: "system", Title: c.text.say("nav.system"), Who: p, Data: d, Away: away})
}

func (c *Console) brakeAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	_, err := c.service.ReleaseBrake(r.Context(), p, strings.TrimSpace(r.PostFormValue("why")), r.PostFormValue("key"))
	return c.after(w, r, local(r.PostFormValue("back"), "/system"), c.text.say("brake.released"), err)
}

func (c *Console) retryAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	n, err := c.service.Retry(r.Context(), p, api.RetryIn{Entity: r.PostFormValue("entity"), Why: strings.TrimSpace(r.PostFormValue("why"))})
	return c.after(w, r, "/system", c.text.count("system.retried", int64(n)), err)
}

// operatorsData is what the operators' audit shows.
type operatorsData struct {
	In    api.OperatorsIn
	Items []operatorLine
	Next  string
	Days  int
}

type operatorLine struct {
	api.Entry
	Op schemas.Operator
}

func (c *Console) operatorsIn(r *http.Request, limit int) (api.OperatorsIn, int) {
	q := r.URL.Query()
	days := dayChoices[q.Get("days")]
	if days == 0 {
		days = 90
	}
	return api.OperatorsIn{Actor: strings.TrimSpace(q.Get("actor")), Act: q.Get("act"), Entity: strings.TrimSpace(q.Get("entity")), Refused: q.Get("refused"),
		Since: c.now().Add(-time.Duration(days) * 24 * time.Hour).Truncate(time.Hour), Cursor: q.Get("cursor"), Limit: limit}, days
}

func (c *Console) operators(r *http.Request, p api.Principal, limit int) (d operatorsData, err error) {
	d.In, d.Days = c.operatorsIn(r, limit)
	all, err := c.service.Operators(r.Context(), p, d.In)
	if err != nil {
		return d, err
	}
	for _, e := range all.Items {
		l := operatorLine{Entry: e}
		_ = unmarshal(e.Body, &l.Op) // what cannot be read is shown by its sentence
		d.Items = append(d.Items, l)
	}
	if all.Next != "" {
		q := r.URL.Query()
		q.Set("cursor", all.Next)
		d.Next = "/operators?" + q.Encode()
	}
	return d, nil
}

func (c *Console) operatorsPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	d, err := c.operators(r, p, 100)
	if err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "operators", Title: c.text.say("nav.operators"), Who: p, Data: d})
}

func (c *Console) operatorsCSV(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	d, err := c.operators(r, p, 1000)
	if err != nil {
		return err
	}
	out := newCSV(w, "operators")
	out.line("time_utc", "actor", "act", "entity", "why", "before", "after", "refused", "second", "address", "case", "item", "id")
	for _, l := range d.Items {
		o := l.Op
		out.line(utc(l.At), o.Actor, o.Act, l.Entity, o.Why, o.Before, o.After, o.Refused, o.Second, o.Address, o.Case, o.Item, o.ID)
	}
	return out.done()
}

// linksData is what is joined with what, and by what.
type linksData struct {
	Entity string
	Groups []linkGroup
	Tried  int
	Graph  *graph
	May    bool // open them as an incident
}

// linkGroup is what several entities have in common.
type linkGroup struct {
	Kind, Value string
	URL         string
	Members     []linkMember
}

// Cause is what an incident of them would be caused by: its kind and its value.
func (g linkGroup) Cause() [2]string {
	switch g.Kind {
	case schemas.TraceAddress:
		return [2]string{schemas.CauseAddress, g.Value}
	case schemas.TraceEmployee:
		return [2]string{schemas.CauseEmployee, g.Value}
	}
	return [2]string{schemas.CauseOther, g.Value}
}

type linkMember struct {
	Entity schemas.Entity
	Case   string
	Status string
	Last   time.Time
	Said   string
}

// Bounds of a page of links.
const (
	maxLinkCases   = 300
	maxLinkSources = 12
	maxLinkMembers = 60
)

func (c *Console) linksPage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	name := strings.TrimSpace(r.URL.Query().Get("entity"))
	d := linksData{Entity: name, May: p.May(api.RightIncident)}
	var away []string
	var err error
	if name == "" {
		d.Groups, d.Tried, err = c.sharedTraces(r.Context(), p)
	} else {
		d.Groups, away, err = c.linksOf(r.Context(), p, name)
	}
	if err != nil {
		return err
	}
	slices.SortStableFunc(d.Groups, func(a, b linkGroup) int { return cmp.Compare(len(b.Members), len(a.Members)) })
	d.Graph = drawGraph(d.Groups)
	return c.show(w, r, http.StatusOK, view{Page: "links", Title: c.text.say("nav.links"), Who: p, Data: d, Away: away})
}

// sharedTraces joins the cases that are not closed by what was used in several of them.
func (c *Console) sharedTraces(ctx context.Context, p api.Principal) ([]linkGroup, int, error) {
	groups := map[string]*linkGroup{}
	var order []string
	in, tried := api.CasesIn{Limit: 100, Sort: "opened"}, 0
	for tried < maxLinkCases {
		page, err := c.service.Cases(ctx, p, in)
		if err != nil {
			return nil, tried, err
		}
		for _, l := range page.Items {
			tried++
			k, ok := c.service.Book().Case(l.ID)
			if !ok {
				continue
			}
			for _, t := range k.Entry {
				if t.Kind == schemas.TraceUser {
					continue
				}
				key := t.Kind + "\x00" + t.Value
				g := groups[key]
				if g == nil {
					g = &linkGroup{Kind: t.Kind, Value: t.Value, URL: traceURL(t.Kind, t.Value)}
					groups[key] = g
					order = append(order, key)
				}
				if len(g.Members) < maxLinkMembers {
					g.Members = append(g.Members, linkMember{Entity: l.Entity, Case: l.ID, Status: l.Status, Last: t.At, Said: l.Text})
				}
			}
		}
		if in.Cursor = page.Next; in.Cursor == "" {
			break
		}
	}
	var out []linkGroup
	for _, key := range order {
		if len(groups[key].Members) > 1 {
			out = append(out, *groups[key])
		}
	}
	return out, tried, nil
}

func traceURL(kind, value string) string {
	switch kind {
	case schemas.TraceAddress:
		return entityURL(schemas.Entity{Kind: schemas.KindIP, ID: value})
	case schemas.TraceEmployee:
		return entityURL(schemas.Entity{Kind: schemas.KindEmployee, ID: value})
	}
	return ""
}

// linksOf joins an entity with others: an account by the addresses that it was used from
// and the employees of its case, an address or an employee by the accounts themselves.
func (c *Console) linksOf(ctx context.Context, p api.Principal, name string) ([]linkGroup, []string, error) {
	e, err := api.EntityOf(name)
	if err != nil {
		return nil, nil, err
	}
	var hubs []schemas.Entity
	if e.Kind != schemas.KindAccount {
		hubs = append(hubs, e)
	} else {
		if k, ok := c.service.Book().CaseOf(e); ok {
			for _, t := range k.Entry {
				switch t.Kind {
				case schemas.TraceAddress:
					hubs = append(hubs, schemas.Entity{Kind: schemas.KindIP, ID: t.Value})
				case schemas.TraceEmployee:
					hubs = append(hubs, schemas.Entity{Kind: schemas.KindEmployee, ID: t.Value})
				}
			}
		}
		all, err := c.service.Sources(ctx, p, api.SpanIn{Entity: e.Key(), Limit: 50})
		if err != nil && api.AsProblem(err).Code != api.CodeAway {
			return nil, nil, err
		}
		for _, s := range all.Items {
			hubs = append(hubs, schemas.Entity{Kind: schemas.KindIP, ID: s.Address})
		}
	}
	var keep []schemas.Entity
	for _, h := range hubs {
		if len(keep) < maxLinkSources && !slices.Contains(keep, h) {
			if _, err := api.EntityOf(h.Key()); err == nil {
				keep = append(keep, h)
			}
		}
	}
	groups := make([]linkGroup, len(keep))
	get := parts{ctx: ctx}
	for i, h := range keep {
		get.get("touched", func(ctx context.Context) error {
			all, err := c.service.Touched(ctx, p, api.SpanIn{Entity: h.Key(), Limit: maxLinkMembers})
			g := linkGroup{Kind: map[schemas.EntityKind]string{schemas.KindIP: schemas.TraceAddress, schemas.KindEmployee: schemas.TraceEmployee}[h.Kind], Value: h.ID, URL: entityURL(h)}
			for _, t := range all.Items {
				g.Members = append(g.Members, linkMember{Entity: schemas.Entity{Kind: schemas.KindAccount, ID: t.Account}, Case: t.Case, Status: t.Status, Last: t.Last})
			}
			groups[i] = g
			return err
		})
	}
	away, err := get.wait()
	if err != nil {
		return nil, nil, err
	}
	groups = slices.DeleteFunc(groups, func(g linkGroup) bool {
		return len(g.Members) < 2 && e.Kind == schemas.KindAccount || len(g.Members) == 0
	})
	return groups, slices.Compact(away), nil
}

// graph is a small picture of the first groups: what is shared in the middle, who shares it
// around it.
type graph struct {
	Lines []graphLine
	Dots  []graphDot
	H     string
}

type graphLine struct{ X1, Y1, X2, Y2 string }

type graphDot struct{ X, Y, R, Class, Text, TX string }

func drawGraph(groups []linkGroup) *graph {
	const most, rowH = 6, 22.0
	g := &graph{}
	y := 20.0
	where := map[string]float64{}
	for i, x := range groups {
		if i == most {
			break
		}
		hub := 0.0
		var at []float64
		for k, m := range x.Members {
			if k == 10 {
				break
			}
			key := m.Entity.Key()
			if _, ok := where[key]; !ok {
				where[key] = y
				g.Dots = append(g.Dots, graphDot{"420", fixed(y), "5", "leaf", m.Entity.ID, "434"})
				y += rowH
			}
			at = append(at, where[key])
			hub += where[key]
		}
		if len(at) == 0 {
			continue
		}
		hub = hub/float64(len(at)) + float64(i)*18 // hubs of the same members do not lie on each other
		for _, b := range at {
			g.Lines = append(g.Lines, graphLine{"190", fixed(hub), "420", fixed(b)})
		}
		g.Dots = append(g.Dots, graphDot{"190", fixed(hub), "7", "hub", x.Value, "16"})
		y = max(y, hub+rowH)
	}
	if len(g.Dots) == 0 {
		return nil
	}
	g.H = fixed(y + 10)
	return g
}

// savedURL is the address of a saved question.
func savedURL(query string) string { return local(query, "/explore") }
