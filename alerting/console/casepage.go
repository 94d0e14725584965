package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// caseData is everything that a case's page shows.
type caseData struct {
	Case     api.CaseView
	Detail   api.CaseDetail
	Reach    *api.Reach
	Timeline api.Page[api.Entry]
	Older    string
	Events   bool
	Chart    *chart
	Names    []string
	Buttons  []offered
	Acts     map[string]*api.ActInfo
	Verdicts []verdictGroup
	Signals  []evidence
	Open     int // steps
	Key      string
	Revoke   []string // credentials that can be taken away
	Lift     string   // what lifts what is in force, in words
	Approves bool
	Customer string // the path of the customer's page
	Incident string // the title of its incident
	Away     []string
}

// evidence is a signal with its share of the decision.
type evidence struct {
	schemas.Signal
	Share float64
}

// timelineKinds are the records that a timeline shows: what a case's or a request's would add
// stands in these already.
var timelineKinds = []string{"signal", "decision", "action", "notice", "operator"}

// parts fetches what a page is made of side by side; a part that is away is named.
type parts struct {
	ctx  context.Context
	wg   sync.WaitGroup
	mu   sync.Mutex
	away []string
	err  error
}

// partTime bounds each question of a page.
const partTime = 20 * time.Second

func (p *parts) get(name string, f func(context.Context) error) {
	p.wg.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, partTime)
		defer cancel()
		err := f(ctx)
		if err == nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if q := api.AsProblem(err); q.Code == api.CodeAway || ctx.Err() != nil && p.ctx.Err() == nil {
			p.away = append(p.away, name)
			return
		}
		p.err = cmp.Or(p.err, err)
	})
}

// wait gives the parts that are away, or the first error.
func (p *parts) wait() ([]string, error) {
	p.wg.Wait()
	slices.Sort(p.away)
	return p.away, p.err
}

func (c *Console) casePage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	id := r.PathValue("id")
	v, err := c.service.Case(r.Context(), p, id)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d := caseData{Case: v, Events: q.Get("events") == "yes", Verdicts: reasons(), Key: newKey(), Approves: p.May(api.RightApprove)}
	d.Buttons, d.Acts = c.offers(v.Acts)
	get := parts{ctx: r.Context()}
	get.get("detail", func(ctx context.Context) (err error) { d.Detail, err = c.service.CaseDetail(ctx, p, id); return err })
	get.get("reach", func(ctx context.Context) error {
		x, err := c.service.CaseReach(ctx, p, id)
		d.Reach = &x
		if err != nil {
			d.Reach = nil
		}
		return err
	})
	in := api.TimelineIn{Entity: v.Entity.Key(), Events: "no", Trials: "no", Kinds: timelineKinds, Cursor: q.Get("cursor"), Limit: 60}
	if d.Events {
		in.Events, in.Kinds = "yes", append([]string{"event"}, timelineKinds...)
	}
	get.get("timeline", func(ctx context.Context) (err error) {
		d.Timeline, err = c.service.Timeline(ctx, p, in)
		return err
	})
	if v.Entity.Kind == schemas.KindAccount {
		get.get("volume", func(ctx context.Context) (err error) {
			d.Chart, err = c.volume(ctx, p, v.Entity, v.Window, cmp.Or(v.Closed, c.now()), v.Usual, q.Get("step"))
			return err
		})
	}
	if v.Incident != "" {
		d.Incident = v.Incident
		if x, ok := c.service.Book().Incident(v.Incident); ok {
			d.Incident = x.Title
		}
	}
	names, err := c.service.Names(r.Context(), p)
	if err != nil {
		return err
	}
	d.Names = names.Items
	if d.Away, err = get.wait(); err != nil {
		return err
	}
	if d.Timeline.Next != "" {
		q.Set("cursor", d.Timeline.Next)
		d.Older = "/case/" + id + "?" + q.Encode() + "#timeline"
	}
	shares := map[string]float64{}
	for _, x := range d.Detail.Decisions {
		for i, s := range x.Signals {
			if i < len(x.Shares) {
				shares[s] = max(shares[s], x.Shares[i])
			}
		}
	}
	for _, s := range d.Detail.Signals {
		d.Signals = append(d.Signals, evidence{s, shares[s.ID]})
	}
	slices.SortStableFunc(d.Signals, func(a, b evidence) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), a.Time.Compare(b.Time))
	})
	for i := range v.Steps {
		if !v.Steps[i].Done() {
			d.Open++
		}
	}
	for _, t := range v.Entry {
		if t.Kind == schemas.TraceCredential && !slices.Contains(v.Status.Revoked, t.Value) {
			d.Revoke = append(d.Revoke, t.Value)
		}
	}
	if v.Entity.Kind == schemas.KindAccount && p.MayAct("note") {
		d.Customer = CustomerPath(c.cfg.Key, v.Entity.ID, v.ID, c.now().Add(customerLink))
	}
	return c.show(w, r, http.StatusOK, view{Page: "case", Title: c.text.say("case.title", v.Entity.ID), Who: p, Data: d, Chart: d.Chart != nil, Away: d.Away})
}

// personal reports whether a hold is a person's.
func personal(owner string) bool { return strings.HasPrefix(owner, "person:") }
