package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// incidentWorld is a world whose lane is the real one for incidents, and whose past gives
// what the test put there.
type incidentWorld struct {
	*world
	mu     sync.Mutex
	fold   *respond.Fold
	offset int64
	past   incidentPast
}

type incidentPast struct {
	scope schemas.Scope
	away  error
}

func (w *incidentWorld) Scope(_ context.Context, e schemas.Entity, from, to time.Time, by, _ string) (*schemas.Scope, error) {
	s := w.past.scope
	s.Run, s.Entity, s.From, s.To, s.By = "run_1", e, from, to, by
	return &s, w.past.away
}

func (w *incidentWorld) CampaignProgress(_ context.Context, c *schemas.Campaign, limit int) (*schemas.Progress, error) {
	return &schemas.Progress{All: int64(len(c.Credentials)), Items: make([]schemas.Renewal, min(limit, len(c.Credentials)))}, w.past.away
}

func (w *incidentWorld) CheckIndicator(indicator string) error {
	if strings.Contains(indicator, " ") {
		return errors.New("no indicator")
	}
	return nil
}

func (w *incidentWorld) Hunt(_ context.Context, indicators []string, from, to time.Time) (*schemas.Hunt, error) {
	h := &schemas.Hunt{Query: "retro_hunt", Version: 1, From: from, To: to}
	for _, x := range indicators {
		h.Hits = append(h.Hits, schemas.Hit{Indicator: x, Kind: "key", Events: 3})
	}
	return h, w.past.away
}

// Ask has the lane's fold answer, and hands the book what it writes.
func (w *incidentWorld) Ask(ctx context.Context, r schemas.Request) (op schemas.Operator, err error) {
	if r.Entity.Kind != schemas.KindIncident {
		return w.world.Ask(ctx, r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	value, err := json.Marshal(r)
	if err != nil {
		return op, err
	}
	in := schemas.Input{Topic: schemas.TopicInbox, Offset: w.offset, Kind: schemas.KindRequest, ID: r.ID, Origin: schemas.OriginLive, Key: r.Entity.Key(), Value: value}
	w.offset++
	_, err = w.fold.Apply(&in, func(o schemas.Output) {
		if o.Kind == schemas.KindOperator {
			if e := json.Unmarshal(o.Value, &op); e != nil {
				w.t.Error(e)
			}
		}
		if e := w.service.book.Apply(Record{Topic: o.Topic, Key: o.Key, Value: o.Value}); e != nil {
			w.t.Error(e)
		}
	})
	return op, err
}

func newIncidentWorld(t *testing.T) (w *incidentWorld, ann []string) {
	w = &incidentWorld{world: newWorld(t), fold: respond.New(respond.DefaultConfig())}
	w.service.requester, w.service.past = w, w
	return w, bearerOf(w.add("ann", RoleAnalyst))
}

// From opening to closing through HTTP: a case joins, the scope is found and kept, a hunt is
// run, a campaign asked for; everything is in the incident that is read afterwards.
func TestIncidentThroughTheAPI(t *testing.T) {
	w, ann := newIncidentWorld(t)
	c := w.open("acct-1")
	w.past.scope = schemas.Scope{Customers: 7, All: 100, Share: 0.07, Reached: []schemas.Customer{{Account: "acct-1"}}}
	open := NewIncident{Cause: "employee:emp-03", Title: "emp-03 was phished", Why: "reported"}
	x := into[IncidentView](t, w.do("POST", "/v1/incidents", open, append(ann, "Idempotency-Key", "k")...))
	if again := into[IncidentView](t, w.do("POST", "/v1/incidents", open, append(ann, "Idempotency-Key", "k")...)); again.ID != x.ID || again.Version != 1 {
		t.Errorf("the same key opened %s and %s", x.ID, again.ID)
	}
	at := "/v1/incidents/" + x.ID
	do := func(body IncidentActIn) IncidentView {
		t.Helper()
		return into[IncidentView](t, w.do("POST", at+"/acts", body, ann...))
	}
	if v := do(IncidentActIn{Act: "join", Item: c.ID, Why: "read by emp-03"}); len(v.Members) != 1 || v.Standing[0].Case != c.ID || v.Members[0].Entity.ID != "acct-1" {
		t.Errorf("joined by its case's id: %+v", v)
	}
	v := into[IncidentView](t, w.do("POST", at+"/scope", ScopeIn{Why: "customers ask"}, ann...))
	if v.Scope == nil || v.Scope.Customers != 7 || v.Scope.By != "ann" || v.Scope.Entity.Key() != "employee:emp-03" || v.Scope.Run != "run_1" || !v.Scope.To.Equal(w.now()) {
		t.Errorf("the scope is %+v", v.Scope)
	}
	v = into[IncidentView](t, w.do("POST", at+"/hunts", HuntIn{Indicators: []string{"192.0.2.1", "k1"}, Why: "shared by others"}, ann...))
	if len(v.Hunts) != 1 || len(v.Hunts[0].Hits) != 2 || v.Hunts[0].Why != "shared by others" {
		t.Errorf("the hunts are %+v", v.Hunts)
	}
	do(IncidentActIn{Act: "campaign", Text: "k1\nk2\n", Why: "leaked"})
	if p := into[schemas.Progress](t, w.do("GET", at+"/campaign?limit=1", nil, ann...)); p.All != 2 || len(p.Items) != 1 {
		t.Errorf("the campaign: %+v", p)
	}
	do(IncidentActIn{Act: "note", Text: "told the staff"})
	got := w.do("GET", at, nil, ann...)
	if v = into[IncidentView](t, got); got.Header().Get("ETag") != v.ETag() || len(v.Notes) != 1 || v.Campaign == nil {
		t.Errorf("the incident is %+v with ETag %s", v, got.Header().Get("ETag"))
	}
	tag := v.ETag()
	do(IncidentActIn{Act: "assign", Item: "ann"})
	if r := w.do("POST", at+"/acts", IncidentActIn{Act: "close", Why: "done"}, append(ann, "If-Match", tag)...); r.Code != http.StatusConflict && r.Code != http.StatusPreconditionFailed {
		t.Errorf("closed as it was seen before: %d %s", r.Code, r.Body)
	}
	do(IncidentActIn{Act: "close", Why: "done"})
	if p := into[Page[IncidentLine]](t, w.do("GET", "/v1/incidents?state=closed&q=phished", nil, ann...)); len(p.Items) != 1 || p.Items[0].Reached != 7 || p.Items[0].Members != 1 || p.Items[0].Hunts != 1 {
		t.Errorf("the list is %+v", p)
	}
	if p := into[Page[IncidentLine]](t, w.do("GET", "/v1/incidents?state=open", nil, ann...)); len(p.Items) != 0 {
		t.Errorf("open ones: %+v", p)
	}
}

// A scope that is larger than an incident may keep is cut, and says so; what it counts stays.
func TestALargeScopeIsCut(t *testing.T) {
	w, ann := newIncidentWorld(t)
	for range schemas.MaxReached {
		w.past.scope.Reached = append(w.past.scope.Reached, schemas.Customer{Account: strings.Repeat("a", 128), From: strings.Repeat("f", 200), First: w.now(), Last: w.now()})
	}
	w.past.scope.Customers = 12345
	x := into[IncidentView](t, w.do("POST", "/v1/incidents", NewIncident{Cause: "other", Title: "t", Why: "w"}, ann...))
	v := into[IncidentView](t, w.do("POST", "/v1/incidents/"+x.ID+"/scope", ScopeIn{Entity: "employee:emp-1"}, ann...))
	if v.Scope == nil || !v.Scope.Cut || v.Scope.Customers != 12345 || len(v.Scope.Reached) == 0 || len(v.Scope.Reached) >= schemas.MaxReached {
		t.Errorf("cut: %v, %d named", v.Scope != nil && v.Scope.Cut, len(v.Scope.Reached))
	}
}

func TestMistakesOnIncidents(t *testing.T) {
	w, ann := newIncidentWorld(t)
	x := into[IncidentView](t, w.do("POST", "/v1/incidents", NewIncident{Cause: "list", Title: "t", Why: "w"}, ann...))
	at := "/v1/incidents/" + x.ID
	for _, m := range []struct {
		path string
		body any
		want int
	}{
		{"/v1/incidents", NewIncident{Cause: "weather", Title: "t", Why: "w"}, http.StatusBadRequest},
		{"/v1/incidents", NewIncident{Cause: "other", Why: "w"}, http.StatusBadRequest},
		{"/v1/incidents", NewIncident{Cause: "other", Title: "t"}, http.StatusBadRequest},
		{"/v1/incidents/inc_none/acts", IncidentActIn{Act: "note", Text: "x"}, http.StatusNotFound},
		{"/v1/incidents/inc_none/scope", ScopeIn{Entity: "employee:e"}, http.StatusNotFound},
		{at + "/acts", IncidentActIn{Act: "scope", Text: "{}", Why: "w"}, http.StatusBadRequest}, // a result cannot be made up
		{at + "/acts", IncidentActIn{Act: "join", Item: "x:y:z", Why: "w"}, http.StatusBadRequest},
		{at + "/acts", IncidentActIn{Act: "join", Item: "acct-1"}, http.StatusBadRequest},
		{at + "/acts", IncidentActIn{Act: "leave", Item: "acct-1", Why: "w"}, http.StatusUnprocessableEntity},
		{at + "/scope", ScopeIn{}, http.StatusBadRequest}, // the cause is a list
		{at + "/hunts", HuntIn{Why: "w"}, http.StatusBadRequest},
		{at + "/hunts", HuntIn{Indicators: []string{"a b"}, Why: "w"}, http.StatusBadRequest},
		{"/v1/entities/incident:" + x.ID + "/acts", ActIn{Act: "suspend", Why: "w", Force: true}, http.StatusUnprocessableEntity},
	} {
		if r := w.do("POST", m.path, m.body, ann...); r.Code != m.want {
			t.Errorf("%s %+v: %d %s, want %d", m.path, m.body, r.Code, r.Body, m.want)
		}
	}
	if r := w.do("GET", at+"/campaign", nil, ann...); r.Code != http.StatusNotFound {
		t.Errorf("no campaign: %d", r.Code)
	}
	w.past.away = errors.New("no store")
	if r := w.do("POST", at+"/scope", ScopeIn{Entity: "employee:e"}, ann...); r.Code != http.StatusServiceUnavailable {
		t.Errorf("without the store: %d %s", r.Code, r.Body)
	}
	viewer := bearerOf(w.add("vic", RoleViewer))
	if r := w.do("POST", at+"/acts", IncidentActIn{Act: "close", Why: "w"}, viewer...); r.Code != http.StatusForbidden {
		t.Errorf("a viewer closes: %d", r.Code)
	}
	if v := into[IncidentView](t, w.do("GET", at, nil, viewer...)); v.State != schemas.IncidentOpen {
		t.Errorf("%+v", v)
	}
}
