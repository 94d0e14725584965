package app

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/api"
)

// Over real lanes somebody signs in to the console, suspends an account by its form,
// releases it by that of the case, and undoes that. The audit store is away all the while.
func TestConsoleOnARunningInstance(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"}
	a, _ := launch(t, cfg, Options{Roles: []Role{RoleRespond, RoleServe}})
	password, err := a.AddUser(t.Context(), "ada", api.RoleAnalyst, "a test")
	if err != nil {
		t.Fatal(err)
	}
	open := opener(t, a)
	if page := open("POST", "/signin", url.Values{"name": {"ada"}, "password": {password}}); !strings.Contains(page, "No case is open.") {
		t.Fatalf("after signing in: %s", page)
	}
	page := open("POST", "/entity/account:acct-1", url.Values{"act": {"suspend"}, "why": {"a leaked key"}, "force": {"true"}, "key": {"k1"}})
	if !strings.Contains(page, "Suspended: account:acct-1 was active and is suspended now.") {
		t.Fatalf("suspend: %s", page)
	}
	found := regexp.MustCompile(`href="(/case/case_[a-z0-9]+)"`).FindStringSubmatch(open("GET", "/queue", nil))
	if found == nil {
		t.Fatal("the queue has no case")
	}
	page = open("GET", found[1], nil)
	version := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(page)
	if version == nil || !strings.Contains(page, "a leaked key") || !strings.Contains(page, "by ada") {
		t.Fatalf("the case: %s", page)
	}
	page = open("POST", found[1], url.Values{"act": {"release"}, "why": {"a new key"}, "version": {version[1]}, "key": {"k2"}})
	if !strings.Contains(page, "Released: account:acct-1 was suspended and is active now.") {
		t.Fatalf("release: %s", page)
	}
	page = open("POST", "/undo", url.Values{"entity": {"account:acct-1"}, "act": {"suspend"}, "why": {"undone"}, "force": {"true"}, "key": {"k3"}, "back": {found[1]}})
	if !strings.Contains(page, "Suspended: account:acct-1 was active and is suspended now.") {
		t.Fatalf("undo: %s", page)
	}
	if page := open("GET", "/policies", nil); !strings.Contains(page, "account-certain") || !strings.Contains(page, "<code>certain</code>") {
		t.Errorf("a policy without its condition: %s", page)
	}
	if page := open("GET", a.CustomerLink("acct-1", strings.TrimPrefix(found[1], "/case/"), time.Now()), nil); !strings.Contains(page, "Your account acct-1") || strings.Contains(page, "a leaked key") {
		t.Fatalf("the customer's page: %s", page)
	}
}

// opener is a browser at a running instance: it opens pages, which must be there.
func opener(t *testing.T, a *App) func(method, path string, form url.Values) string {
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	return func(method, path string, form url.Values) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, a.Endpoints().API+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %v %s", method, path, resp.StatusCode, err, b)
		}
		return string(b)
	}
}

// What the filters of Explore mean is SQL that the engine takes, with the period before too.
func TestConsoleExploresTheEngine(t *testing.T) {
	needEngine(t)
	a, _ := launch(t, testConfig(t, t.TempDir()), Options{Roles: []Role{RoleRecord, RoleServe}})
	password, err := a.AddUser(t.Context(), "ada", api.RoleAnalyst, "a test")
	if err != nil {
		t.Fatal(err)
	}
	open := opener(t, a)
	open("POST", "/signin", url.Values{"name": {"ada"}, "password": {password}})
	for _, from := range []string{"events", "signals", "decisions"} {
		for _, days := range []string{"7", "30"} {
			page := ""
			within(t, time.Minute, "no answer of "+from, func() bool {
				page = open("GET", "/explore?go=1&compare=before&from="+from+"&days="+days, nil)
				return strings.Contains(page, `<section id="answer">`) || strings.Contains(page, "Code: ")
			})
			if strings.Contains(page, "flash bad") || !strings.Contains(page, "AS n_before") || !strings.Contains(page, `class="legend usual"`) {
				t.Errorf("%s of %s days: %s", from, days, page[strings.Index(page, "<main"):])
			}
		}
	}
}
