package edge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

// A revoked credential is refused while the account's others go on, and probation has a
// limit by the day; both outlive a restart of the edge.
func TestRevokedCredentialsAndProbation(t *testing.T) {
	f, cfg := newTopic(), Default()
	cfg.File = t.TempDir() + "/edge.db"
	cfg.Postfix.Accounts, cfg.Postfix.Credential = []Attribute{{Name: "ccert_subject", Take: "whole"}}, "sasl_username"
	put := func(id, status string, revoked []string, perDay int64) {
		e := schemas.Entity{Kind: schemas.KindAccount, ID: id}
		f.put(Change{Key: e.Key(), Status: &schemas.Status{Entity: e, Status: status, Episode: 1, Step: 1, Revoked: revoked, PerDay: perDay}})
	}
	put("acct-1", "revoked", []string{"key-2", "key-7"}, 0)
	put("acct-2", "active", nil, 3)
	put("acct-3", "active", []string{"key-9"}, 0)
	e, stop := running(t, f, cfg)
	until(t, "the statuses to arrive", func() bool { return e.Ready() && e.table.Len() == 3 })
	stop()
	now := time.Date(2026, 11, 3, 23, 0, 0, 0, time.UTC)
	e, err := New(cfg, Deps{Feed: f, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ask := func(account, key, state string) string {
		return e.judge(&question{accounts: []string{account}, key: key, state: state})
	}
	for _, c := range []struct{ account, key, want string }{
		{"acct-1", "key-2", cfg.Postfix.Revoked}, {"acct-1", "key-7", cfg.Postfix.Revoked}, {"acct-1", "key-1", "DUNNO"},
		{"acct-1", "", "DUNNO"}, {"acct-3", "key-9", cfg.Postfix.Revoked}, {"acct-2", "key-2", "DUNNO"},
	} {
		if got := ask(c.account, c.key, "MAIL"); got != c.want {
			t.Errorf("%s with %s: %q, want %q", c.account, c.key, got, c.want)
		}
	}
	var got []string
	for _, state := range []string{"RCPT", "DATA", "RCPT", "RCPT", "RCPT"} {
		got = append(got, ask("acct-2", "", state))
	}
	if want := []string{"DUNNO", "DUNNO", "DUNNO", "DUNNO", cfg.Postfix.Throttled}; !slices.Equal(got, want) {
		t.Errorf("a day of three recipients: %q", got)
	}
	now = now.Add(time.Hour)
	if got := ask("acct-2", "", "RCPT"); got != "DUNNO" {
		t.Errorf("the next day: %q", got)
	}
	for path, want := range map[string]string{
		"/v1/status/account:acct-1":                `"status":"revoked","known":true,"since":"0001-01-01T00:00:00Z","episode":1,"step":1,"revoked":["key-2","key-7"]`,
		"/v1/status/account:acct-2":                `"step":1,"per_day":3`,
		"/v1/stopped?status=revoked":               "acct-1\n",
		"/v1/stopped?status=review":                "list some of",
		"/v1/stopped?status=suspended&format=json": `"ids":[]`,
	} {
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if accounts, ok := e.Suspended(); !ok || len(accounts) != 0 {
		t.Errorf("suspended at a mail server: %v", accounts)
	}
}

func TestDaysAreBounded(t *testing.T) {
	var d days
	now := time.Date(2026, 11, 3, 23, 0, 0, 0, time.UTC)
	for i := range maxLimited + 100 {
		d.allow(fmt.Sprint(i), 5, now)
	}
	if len(d.by) > maxLimited {
		t.Errorf("%d accounts are counted", len(d.by))
	}
}
