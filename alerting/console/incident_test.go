package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// askIncident has the lane itself answer, and hands over what it writes. w.mu is held.
func (w *world) askIncident(r schemas.Request) (op schemas.Operator, err error) {
	value, err := json.Marshal(r)
	if err != nil {
		return op, err
	}
	in := schemas.Input{Topic: schemas.TopicInbox, Offset: w.offset, Kind: schemas.KindRequest, ID: r.ID, Origin: schemas.OriginLive, Key: r.Entity.Key(), Value: value}
	w.offset++
	_, err = w.lane.Apply(&in, func(o schemas.Output) {
		if o.Kind == schemas.KindOperator {
			if e := json.Unmarshal(o.Value, &op); e != nil {
				w.t.Error(e)
			}
		}
		w.each(api.Record{Topic: o.Topic, Key: o.Key, ID: o.ID, Value: o.Value})
	})
	return op, err
}

func (w *world) Scope(_ context.Context, e schemas.Entity, from, to time.Time, by, _ string) (*schemas.Scope, error) {
	s := &schemas.Scope{
		Run: "run_01k2", Entity: e, From: from, To: to, Ran: w.now, By: by, Records: 412, Rows: 9120, Bulk: 2, BulkRows: 8800, Blind: 1, BlindRows: 300, Customers: 17, All: 4200, Share: 17. / 4200, Used: 1,
		Digest: strings.Repeat("9f", 32), Covered: []schemas.Range{{Topic: schemas.TopicEvents, Partition: 0, From: 0, To: 910_000}, {Topic: schemas.TopicEvents, Partition: 1, From: 12, To: 877_120}},
		Gaps: []string{"events[1] 0 to 12: expired before it was recorded"},
	}
	for _, a := range []string{"acct-0007", "acct-0021", hostile} {
		s.Reached = append(s.Reached, schemas.Customer{Account: a, First: w.at(45 * time.Minute), Last: w.at(42 * time.Minute), Records: 24, Secret: a != "acct-0021"})
	}
	s.Reached[0].Used, s.Reached[0].From = w.at(24*time.Minute), "203.0.113.77"
	return s, w.gone()
}

func (w *world) CampaignProgress(_ context.Context, c *schemas.Campaign, _ int) (*schemas.Progress, error) {
	p := &schemas.Progress{All: int64(len(c.Credentials)), Renewed: 1, Notified: 1}
	for i, x := range c.Credentials {
		r := schemas.Renewal{Credential: x, Account: "acct-0007", LastUse: w.at(time.Hour), Notified: w.at(time.Minute)}
		if i == len(c.Credentials)-1 {
			r.Change, r.At = "rotated", w.at(2*time.Minute)
		}
		p.Items = append(p.Items, r)
	}
	return p, w.gone()
}

func (w *world) CheckIndicator(x string) error {
	if strings.HasPrefix(x, "nonsense") {
		return errors.New(x + " is no indicator")
	}
	return nil
}

func (w *world) Hunt(_ context.Context, indicators []string, from, to time.Time) (*schemas.Hunt, error) {
	h := &schemas.Hunt{Ran: w.now, Query: "retro_hunt", Version: 1, From: from, To: to, Accounts: []string{"acct-0007", "acct-0021"}}
	for i, x := range indicators {
		h.Hits = append(h.Hits, schemas.Hit{Indicator: x, Kind: "network", Events: int64(640 * (1 - min(i, 1))), Accounts: int64(2 * (1 - min(i, 1)))})
	}
	return h, w.gone()
}

// incident opens an incident with everything that one has, by the service.
func (w *world) incident() string {
	w.t.Helper()
	p := api.Principal{Name: "lea", Role: api.RoleLead}
	ctx := w.t.Context()
	x, err := w.service.OpenIncident(ctx, p, api.NewIncident{Cause: "employee:emp-03", Title: "Access of emp-03 misused", Why: "reported by a customer", Key: "incident"})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(x.Members) > 0 {
		return x.ID
	}
	for _, in := range []api.IncidentActIn{
		{Act: "join", Item: "employee:emp-03", Why: "the cause"}, {Act: "join", Item: "account:acct-0007", Why: "its key was read, and used 20 minutes later"},
		{Act: "note", Text: "HR and the works council know."}, {Act: "campaign", Text: "key-7\nkey-21\nkey-44", Why: "they were on the screen"},
	} {
		if _, err := w.service.ActOnIncident(ctx, p, x.ID, in); err != nil {
			w.t.Fatal(in.Act, err)
		}
	}
	if _, err := w.service.Scope(ctx, p, x.ID, api.ScopeIn{Why: "customers ask"}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.service.Hunt(ctx, p, x.ID, api.HuntIn{Indicators: []string{"203.0.113.0/24", "198.51.100.9"}, Why: "seen elsewhere"}); err != nil {
		w.t.Fatal(err)
	}
	return x.ID
}

// An incident from the links to its end, by the forms of the pages alone.
func TestIncidentByForms(t *testing.T) {
	w := newWorld(t)
	c := signIn(t, w.server.URL, "ada")
	page := bodyOf(t, get(t, c, w.server.URL+"/links"))
	if !strings.Contains(page, "Open together as incident") || !strings.Contains(page, `name="value" value="203.0.113.77"`) {
		t.Fatal("the links offer no incident")
	}
	after := func(c *http.Client, where string, form url.Values) (string, string) {
		t.Helper()
		r := post(t, c, w.server.URL+where, form)
		if r.StatusCode != http.StatusSeeOther {
			t.Fatalf("%v: %d %s", form, r.StatusCode, bodyOf(t, r))
		}
		to := r.Header.Get("Location")
		return to, bodyOf(t, get(t, c, w.server.URL+to))
	}
	where, body := after(c, "/incidents", url.Values{"key": {"k1"}, "cause": {"address"}, "value": {"203.0.113.77"}, "title": {"A botnet"}, "why": {"one address"}, "e": {"account:acct-0007", "account:acct-0021"}})
	if !strings.HasPrefix(where, "/incident/inc_") {
		t.Fatalf("it led to %s", where)
	}
	id := strings.TrimPrefix(where, "/incident/")
	for _, want := range []string{"The incident is open.", "A botnet", "acct-0007", "acct-0021", "203.0.113.77"} {
		if !strings.Contains(body, want) {
			t.Errorf("the incident lacks %q", want)
		}
	}
	act := func(want string, form url.Values) schemas.Incident {
		t.Helper()
		if _, body := after(c, where, form); !strings.Contains(body, want) {
			t.Errorf("%s: the page lacks %q", form.Get("act"), want)
		}
		x, _ := w.service.Book().Incident(id)
		return x
	}
	if x := act("acct-0044", url.Values{"act": {"join"}, "item": {w.idOf(account("acct-0044"))}, "why": {"the same hour"}}); len(x.Members) != 3 {
		t.Errorf("joined: %+v", x.Members)
	}
	if x := act("does not belong", url.Values{"act": {"leave"}, "item": {"account:acct-0044"}, "why": {"an accident"}}); len(x.Members) != 2 {
		t.Errorf("left: %+v", x.Members)
	}
	if x := act("a new note", url.Values{"act": {"note"}, "text": {"a new note"}}); len(x.Notes) != 1 || x.Notes[0].By != "ada" {
		t.Errorf("notes: %+v", x.Notes)
	}
	if x := act("handed over", url.Values{"act": {"assign"}, "item": {"bob"}}); x.Owner != "bob" {
		t.Errorf("owner %q", x.Owner)
	}
	if x := act("1 of 2", url.Values{"act": {"campaign"}, "text": {"key-7\nkey-21"}, "from": {"2026-03-01"}, "why": {"they leaked"}}); x.Campaign == nil || len(x.Campaign.Credentials) != 2 || x.Campaign.Since.Format(time.DateOnly) != "2026-03-01" {
		t.Errorf("campaign: %+v", x.Campaign)
	}
	if x := act("expired before it was recorded", url.Values{"act": {"scope"}, "why": {"customers ask"}}); x.Scope == nil || x.Scope.Entity.Key() != "ip:203.0.113.77" || x.Scope.By != "ada" {
		t.Errorf("scope: %+v", x.Scope)
	}
	if x := act("retro_hunt", url.Values{"act": {"hunt"}, "text": {"203.0.113.0/24\n\nkey:key-7\n"}, "to": {"2026-03-31"}, "why": {"elsewhere"}}); len(x.Hunts) != 1 || len(x.Hunts[0].Hits) != 2 || x.Hunts[0].To.Format(time.DateOnly) != "2026-04-01" {
		t.Errorf("hunts: %+v", x.Hunts)
	}
	act("nonsense is no indicator", url.Values{"act": {"hunt"}, "text": {"nonsense"}, "why": {"elsewhere"}})
	act("A day is written as", url.Values{"act": {"scope"}, "from": {"yesterday"}, "why": {"x"}})
	if x := act("The incident is closed.", url.Values{"act": {"close"}, "why": {"all renewed"}}); x.State != schemas.IncidentClosed {
		t.Errorf("state %s", x.State)
	}
	if _, body := after(c, where, url.Values{"act": {"note"}, "text": {"much later"}, "version": {"1"}}); strings.Contains(body, "much later") {
		t.Error("an act on an older version was carried out")
	}

	w.mu.Lock()
	w.cases[account("acct-0007")].Incident = id
	w.publish(account("acct-0007"))
	w.mu.Unlock()
	if body := bodyOf(t, get(t, c, w.server.URL+"/case/"+w.idOf(account("acct-0007")))); !strings.Contains(body, `href="`+where+`">A botnet</a>`) {
		t.Error("the case does not lead to its incident")
	}
	after(c, "/case/"+w.idOf(account("acct-0044")), url.Values{"act": {"join"}, "item": {id}, "why": {"it belongs there"}})
	if x, _ := w.service.Book().Incident(id); len(x.Members) != 3 {
		t.Errorf("a case joined by its own page: %+v", x.Members)
	}

	v := signIn(t, w.server.URL, "vic")
	if r := post(t, v, w.server.URL+where, url.Values{"act": {"reopen"}, "why": {"x"}}); r.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer: %d", r.StatusCode)
	}
	if body := bodyOf(t, get(t, v, w.server.URL+where)); strings.Contains(body, `value="close"`) || !strings.Contains(body, "acct-0007") {
		t.Error("a viewer is offered acts, or sees nothing")
	}
}
