package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/proof"
	"holdfast/schemas"
)

// An employee's access is misused: through the API an incident is opened, a customer's case
// joins it, and whom the employee reached, how far a campaign is and where an address was
// ever seen come from what was recorded.
func TestIncidentOnARunningInstance(t *testing.T) {
	needEngine(t)
	a, _ := launch(t, testConfig(t, t.TempDir()), Options{})
	cfg := a.Config()
	p, err := NewPlayer(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	begin := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	events := traffic.Config{
		Seed: 3, Accounts: 20, Employees: 1, Start: begin, Length: time.Hour,
		Incidents: []traffic.Incident{traffic.Insider(0, 2, 8, begin.Add(10*time.Minute), begin.Add(40*time.Minute))},
	}
	sent, err := p.Play(t.Context(), traffic.Events(events), schemas.OriginLive, nil)
	if err != nil {
		t.Fatal(err)
	}
	me, member := askerOf(t, a), schemas.Entity{Kind: schemas.KindAccount, ID: traffic.AccountID(3)}
	act(t, a, member, "throttle")
	var x api.IncidentView
	if r := me.do("POST", "/v1/incidents", api.NewIncident{Cause: "employee:" + traffic.EmployeeID(0), Title: "misused access", Why: "a customer asked"}, &x); r.StatusCode != http.StatusCreated {
		t.Fatalf("open: %d", r.StatusCode)
	}
	at := "/v1/incidents/" + x.ID
	me.do("POST", at+"/acts", api.IncidentActIn{Act: "join", Item: member.Key(), Why: "was read"}, &x)
	within(t, time.Minute, "the case does not name the incident", func() bool {
		var c api.EntityView
		me.do("GET", "/v1/entities/"+member.Key(), nil, &c)
		var whole struct {
			Incident string `json:"incident"`
		}
		if c.Case == nil {
			return false
		}
		me.do("GET", "/v1/cases/"+c.Case.ID, nil, &whole)
		return whole.Incident == x.ID
	})
	store, err := OpenStore(&cfg, a.log)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	within(t, 2*time.Minute, "the events are not all rows", func() bool {
		var n uint64
		return store.QueryRow(t.Context(), "SELECT count() FROM events").Scan(&n) == nil && n == uint64(sent)
	})
	if r := me.do("POST", at+"/scope", api.ScopeIn{From: begin, Why: "customers ask"}, &x); r.StatusCode != http.StatusOK || x.Scope == nil {
		t.Fatalf("scope: %d %+v", r.StatusCode, x.Scope)
	}
	s := x.Scope
	if s.Customers < 7 || s.All < s.Customers || s.Share <= 0 || len(s.Reached) != int(s.Customers) || s.Digest == "" || s.Run == "" && !strings.Contains(s.NoRun, "log of proof") {
		t.Errorf("the scope is %+v", s)
	}
	if s.Used == 0 || s.Reached[0].Used.IsZero() || s.Reached[0].From == "" {
		t.Errorf("that seen keys were used is not told: %+v", s)
	}
	if r := me.do("POST", at+"/hunts", api.HuntIn{Indicators: []string{s.Reached[0].From, "198.51.100.254", "key:none"}, Why: "whom else"}, &x); r.StatusCode != http.StatusOK || x.Hunts[0].Hits[0].Events == 0 || x.Hunts[0].Hits[2].Events != 0 {
		t.Errorf("the hunt: %d %+v", r.StatusCode, x.Hunts)
	}
	var campaign struct {
		api.IncidentView `json:",inline"`
		Detail           string `json:"detail"`
	}
	if r := me.do("POST", at+"/acts", api.IncidentActIn{Act: "campaign", Item: "everybody", Why: "they may all have been read"}, &campaign); r.StatusCode != http.StatusOK || campaign.Campaign == nil {
		t.Fatalf("the campaign: %d %s %+v", r.StatusCode, campaign.Detail, campaign)
	}
	var progress schemas.Progress
	if r := me.do("GET", at+"/campaign", nil, &progress); r.StatusCode != http.StatusOK || progress.All == 0 || progress.Renewed != 0 {
		t.Errorf("the campaign: %d %+v", r.StatusCode, progress)
	}
}

// Those whose credentials were used come first, each account once with its first use.
func TestScopeOfKeepsTheGraveFirst(t *testing.T) {
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	e := schemas.Entity{Kind: schemas.KindEmployee, ID: "emp-1"}
	s := scopeOf(e, &proof.Scope{
		Accounts: 2, Reached: []proof.Reach{{Account: "a"}, {Account: "b", Secret: true}, {Account: "c", Secret: true}},
		Used: []proof.Use{{Account: "c", Address: "192.0.2.2", First: at.Add(time.Hour)}, {Account: "c", Address: "192.0.2.1", First: at}},
	})
	if len(s.Reached) != 3 || s.Reached[0].Account != "c" || s.Reached[0].From != "192.0.2.1" || s.Reached[1].Account != "b" || s.Used != 1 || s.All != 3 || s.Share != 1 {
		t.Errorf("%+v", s)
	}
	// printf 'a\nb\nc\n' | sha256sum
	if s.Digest != "880553fca8fcea94e325ee2cfb48e5a985cc797f39a14cc6d3cedecfeb2ae4d2" {
		t.Errorf("digest %s", s.Digest)
	}
}
