package app

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/config"
)

// asker asks a running instance's API with a token.
type asker struct {
	t     *testing.T
	at    string
	token string
}

// askerOf uses the token of the user who runs the instance.
func askerOf(t *testing.T, a *App) asker {
	t.Helper()
	b, err := os.ReadFile(a.Endpoints().TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	return asker{t, a.Endpoints().API, strings.TrimSpace(string(b))}
}

// do sends a request and reads the answer into out, where it is not nil.
func (a asker) do(method, path string, body, out any, headers ...string) *http.Response {
	a.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			a.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.at+path, in)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			a.t.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, b, err)
		}
	}
	return resp
}

// Through the API a person suspends, everybody sees it at once, and each act is done once
// for its key; nobody else may even look.
func TestAPIOnARunningInstance(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"} // nothing of this needs the audit store
	a, _ := launch(t, cfg, Options{Roles: []Role{RoleRespond, RoleServe}})
	me := askerOf(t, a)
	if !strings.Contains(a.FirstLink(), "/welcome?link=hfl_") {
		t.Errorf("the first admin's link is %q", a.FirstLink())
	}
	if r := (asker{t, me.at, ""}).do("GET", "/v1/entities", nil, nil); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", r.StatusCode)
	}
	var out api.ActOut
	for range 2 {
		r := me.do("POST", "/v1/entities/account:acct-1/acts", api.ActIn{Act: "suspend", Why: "key leaked", Force: true}, &out, "Idempotency-Key", "k1")
		if r.StatusCode != http.StatusOK || out.After != "suspended" || out.Before != "active" || out.Inverse != "release" || !out.Done {
			t.Fatalf("suspend: %d %+v", r.StatusCode, out)
		}
	}
	var view api.EntityView
	if me.do("GET", "/v1/entities/account:acct-1", nil, &view); view.Status.Status != "suspended" || view.Status.By == "" {
		t.Errorf("after the suspension: %+v", view)
	}
	var list api.Page[api.StandingLine]
	if me.do("GET", "/v1/entities?status=suspended", nil, &list); len(list.Items) != 1 || list.Items[0].Entity.ID != "acct-1" {
		t.Errorf("the list has %+v", list)
	}
	var p api.Problem
	if r := me.do("POST", "/v1/entities/account:acct-1/acts", api.ActIn{Act: "suspend", Why: "again", Force: true}, &p); r.StatusCode != http.StatusUnprocessableEntity || p.Code != api.CodeRefused {
		t.Errorf("suspended twice: %d %+v", r.StatusCode, p)
	}
	if r := me.do("GET", "/v1/entities/account:acct-1/timeline", nil, &p); r.StatusCode != http.StatusServiceUnavailable || p.Code != api.CodeAway {
		t.Errorf("a question of history without the audit store: %d %+v", r.StatusCode, p)
	}
}

// What people and their tokens are outlives the process.
func TestPeopleOutliveARestart(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"}
	a, stop := launch(t, cfg, Options{Roles: []Role{RoleRespond, RoleServe}})
	me := askerOf(t, a)
	var link api.OneTime
	if r := me.do("POST", "/v1/people", api.NewPerson{Name: "ada", Role: api.RoleAnalyst, Why: "new"}, &link); r.StatusCode != http.StatusCreated {
		t.Fatalf("add: %d", r.StatusCode)
	}
	var token api.TokenView
	me.do("POST", "/v1/tokens", api.NewToken{Person: "ada", Name: "a script"}, &token)
	stop()
	a, _ = launch(t, cfg, Options{Roles: []Role{RoleRespond, RoleServe}})
	if a.FirstLink() != "" {
		t.Error("somebody is known, and a first admin's link was made")
	}
	var who api.Me
	if r := (asker{t, a.Endpoints().API, token.Secret}).do("GET", "/v1/me", nil, &who); r.StatusCode != http.StatusOK || who.Name != "ada" || who.Role != api.RoleAnalyst {
		t.Errorf("after a restart the token is of %+v (%d)", who, r.StatusCode)
	}
}

// The API's usual address gives way where another process has it, so that several run on
// one machine without a setting; one that was asked for does not.
func TestUsualAddressGivesWay(t *testing.T) {
	usual := config.Default().API.Listen
	if ln, err := net.Listen("tcp", usual); err == nil { // else another process has it
		defer ln.Close()
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	cfg := testConfig(t, t.TempDir())
	for addr, mistakes := range map[string]int{usual: 0, other.Addr().String(): 1} {
		cfg.API.Listen = addr
		if got := Check(&cfg, config.Places{}, nil, CheckOptions{}); len(got) != mistakes {
			t.Errorf("%s: %v, want %d mistakes", addr, got, mistakes)
		}
	}
	cfg.API.Listen = usual
	a, stop := launch(t, cfg, Options{})
	defer stop()
	if at := a.Endpoints().API; at == "" || at == "http://"+usual {
		t.Errorf("the API is at %q", at)
	}
}
