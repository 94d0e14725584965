package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"holdfast/alerting/console"
	"holdfast/schemas"
)

func (w *world) idOf(e schemas.Entity) string { c, _ := w.service.Book().CaseOf(e); return c.ID }

func (w *world) customer(of string) string {
	return console.CustomerPath(w.key, of, w.idOf(account(of)), time.Now().Add(time.Hour))
}

func (b *tab) html() string {
	b.t.Helper()
	var s string
	b.do(chromedp.OuterHTML("html", &s, chromedp.ByQuery))
	return s
}

func (b *tab) attribute(sel, name string, out *string) {
	b.t.Helper()
	var ok bool
	b.do(chromedp.AttributeValue(sel, name, out, &ok, chromedp.ByQuery))
	if !ok {
		b.t.Fatalf("%s has no %s", sel, name)
	}
}

// openDetails opens the fold that a form is in, as a click on its summary does.
func openDetails(form string) chromedp.Action {
	return chromedp.Evaluate("document.querySelector("+strconv.Quote(form)+").closest('details').querySelector('summary').click()", nil)
}

// Whatever an event held, in any field of any page: it is text.
func TestXSS(t *testing.T) {
	w := newWorld(t)
	c := w.addHostile()
	b := w.open(t, "adm", look{})
	for _, p := range append(w.pages(), aPage{"x", "/case/" + c.ID + "?events=yes"}, aPage{"x", "/entity/" + url.PathEscape(c.Entity.Key())}, aPage{"x", "/queue?q=" + url.QueryEscape(hostile)},
		aPage{"x", "/links?entity=" + url.QueryEscape(c.Entity.Key())}, aPage{"x", "/explore?mode=sql&sql=" + url.QueryEscape(hostile)}, aPage{"x", "/operators?actor=" + url.QueryEscape(hostile)},
		aPage{"x", console.CustomerPath(w.key, c.Entity.ID, c.ID, time.Now().Add(time.Hour))}, aPage{"x", "/queue?stage=" + url.QueryEscape(hostile)}, aPage{"x", "/nothing/" + url.PathEscape(hostile)}) {
		b.to(p.path)
		var title string
		var bad bool
		b.do(chromedp.Title(&title), chromedp.Evaluate(`[...document.querySelectorAll("*")].filter(x => !x.closest(".plot")).some(x => [...x.attributes].some(a => /^on/i.test(a.name) || /^\s*javascript:/i.test(a.value) || a.name === "style")) || [...document.scripts].some(s => !s.src) || document.querySelectorAll("style,img[src=x]").length > 0`, &bad))
		if title == "xss" || bad {
			t.Errorf("%s: something of an event became markup", p.path)
		}
	}
}

// A form of another site does nothing, whoever is signed in.
func TestCSRF(t *testing.T) {
	w := newWorld(t)
	c := signIn(t, w.server.URL, "adm")
	id := w.idOf(account("acct-0007"))
	for _, head := range []map[string]string{{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site", "Origin": "http://other.127.0.0.1"}} {
		for _, path := range []string{"/case/" + id, "/undo", "/queue/next", "/bulk", "/brake", "/people", "/me", "/signout", "/signin", "/welcome", "/views", "/retry", w.customer("acct-0007"), "/entity/account:acct-0044"} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+path, strings.NewReader(url.Values{"act": {"release"}, "why": {"x"}, "do": {"person"}, "text": {"x"}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for k, v := range head {
				r.Header.Set(k, v)
			}
			if resp := send(t, c, r); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%v %s: %d", head, path, resp.StatusCode)
			}
		}
	}
	if w.mu.Lock(); len(w.asked) > 0 {
		t.Errorf("another site asked for %+v", w.asked)
	}
	w.mu.Unlock()
}

// After signing in one stays on this server.
func TestOpenRedirect(t *testing.T) {
	w := newWorld(t)
	for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "javascript:alert(1)", "http:/evil.example", "/%09/evil.example/..//evil.example", "///evil.example", "@evil.example", "/\n//evil.example", ""} {
		r := post(t, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, w.server.URL+"/signin", url.Values{"name": {"ada"}, "password": {password}, "next": {next}})
		u, err := url.Parse(r.Header.Get("Location"))
		if err != nil || r.StatusCode != http.StatusSeeOther || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(r.Header.Get("Location"), "//") {
			t.Errorf("next=%q goes to %q", next, r.Header.Get("Location"))
		}
	}
	r := post(t, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, w.server.URL+"/signin", url.Values{"name": {"ada"}, "password": {password}, "next": {"/case/x?events=yes"}})
	if r.Header.Get("Location") != "/case/x?events=yes" {
		t.Errorf("a page of our own: %q", r.Header.Get("Location"))
	}
}

// The session is always a new one, and ends when it is told to.
func TestSessionFixation(t *testing.T) {
	w := newWorld(t)
	c := signIn(t, w.server.URL, "ada")
	u, _ := url.Parse(w.server.URL)
	before := c.Jar.Cookies(u)
	r := post(t, c, w.server.URL+"/signin", url.Values{"name": {"bob"}, "password": {password}})
	after := c.Jar.Cookies(u)
	if r.StatusCode != http.StatusSeeOther || before[0].Value == after[0].Value {
		t.Error("signing in took over the session that was there")
	}
	planted := &http.Cookie{Name: "holdfast", Value: "hfs_planted"}
	c.Jar.SetCookies(u, []*http.Cookie{planted})
	post(t, c, w.server.URL+"/signin", url.Values{"name": {"bob"}, "password": {password}})
	if c.Jar.Cookies(u)[0].Value == planted.Value {
		t.Error("a planted session was taken")
	}
	old := c.Jar.Cookies(u)
	post(t, c, w.server.URL+"/signout", nil)
	c.Jar.SetCookies(u, old)
	if r := get(t, c, w.server.URL+"/queue"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out the session still works: %d", r.StatusCode)
	}
	if r := post(t, c, w.server.URL+"/signin", url.Values{"name": {"bob"}, "password": {"wrong"}}); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", r.StatusCode)
	}
}

// What a role may not do, its person cannot do by writing the request oneself.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	id := w.idOf(account("acct-0007"))
	why := url.Values{"why": {"x"}, "act": {"release"}, "do": {"add"}, "name": {"eve"}, "role": {"admin"}, "e": {"account:acct-0007"}, "answer": {"approve"}, "query": {"/queue"}}
	for _, x := range []struct {
		who, method, path string
		want              int
	}{
		{"vic", "POST", "/case/" + id, 403}, {"vic", "POST", "/entity/account:acct-0007", 403}, {"vic", "POST", "/bulk", 403}, {"vic", "POST", "/queue/next", 403}, {"vic", "GET", "/explore", 403}, {"vic", "GET", "/explore.csv?mode=sql&sql=SELECT+1", 403},
		{"vic", "GET", "/operators", 403}, {"vic", "GET", "/operators.csv", 403}, {"vic", "GET", "/people", 403}, {"vic", "POST", "/people", 403}, {"vic", "POST", "/brake", 403}, {"vic", "POST", "/retry", 403}, {"vic", "POST", "/views", 403}, {"vic", "GET", "/queue", 200}, {"vic", "GET", "/case/" + id, 200},
		{"ada", "GET", "/operators", 403}, {"ada", "GET", "/people", 403}, {"ada", "POST", "/people", 403}, {"ada", "POST", "/brake", 403}, {"ada", "GET", "/explore", 200},
		{"aud", "POST", "/case/" + id, 403}, {"aud", "GET", "/operators", 200}, {"aud", "GET", "/people", 200}, {"aud", "POST", "/people", 403}, {"aud", "POST", "/entity/account:acct-0007", 403},
		{"lea", "POST", "/people", 403}, {"lea", "GET", "/people", 403}, {"lea", "GET", "/operators", 200},
	} {
		c := signIn(t, w.server.URL, x.who)
		var resp *http.Response
		if x.method == "POST" {
			resp = post(t, c, w.server.URL+x.path, why)
		} else {
			resp = get(t, c, w.server.URL+x.path)
		}
		if resp.StatusCode != x.want {
			t.Errorf("%s %s %s: %d, want %d", x.who, x.method, x.path, resp.StatusCode, x.want)
		}
	}
	w.mu.Lock()
	if len(w.asked) > 0 {
		t.Errorf("somebody without the right asked for %+v", w.asked)
	}
	w.mu.Unlock()
	// A session and a token of somebody else are nobody's to end.
	c := signIn(t, w.server.URL, "ada")
	post(t, c, w.server.URL+"/me", url.Values{"do": {"session"}, "id": {"ses_of_somebody"}})
	if b := bodyOf(t, get(t, c, w.server.URL+"/me")); !strings.Contains(b, "you have no session") {
		t.Error("ending another's session was not refused")
	}
	// Nobody sees anything.
	nobody := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, p := range w.pages() {
		if p.name == "customer" || p.name == "nothing" {
			continue
		}
		if r := get(t, nobody, w.server.URL+p.path); r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(r.Header.Get("Location"), "/signin") {
			t.Errorf("nobody got %s: %d", p.path, r.StatusCode)
		}
	}
}

// A customer's link opens one account's one case, as long as it is good.
func TestCustomerLinks(t *testing.T) {
	w := newWorld(t)
	c := &http.Client{}
	id := w.idOf(account("acct-0007"))
	good := w.customer("acct-0007")
	for name, path := range map[string]string{
		"old": console.CustomerPath(w.key, "acct-0007", id, time.Now().Add(-time.Second)), "of another key": console.CustomerPath([]byte("another key"), "acct-0007", id, time.Now().Add(time.Hour)),
		"another account": console.CustomerPath(w.key, "acct-0021", id, time.Now().Add(time.Hour)), "an employee": console.CustomerPath(w.key, "emp-03", w.idOf(employee("emp-03")), time.Now().Add(time.Hour)),
		"cut": good[:len(good)-2], "changed": strings.Replace(good, good[20:21], map[bool]string{true: "B", false: "A"}[good[20:21] == "A"], 1), "empty": "/c/x", "long": "/c/" + strings.Repeat("A", 4000),
	} {
		if r := get(t, c, w.server.URL+path); r.StatusCode != http.StatusNotFound || strings.Contains(bodyOf(t, r), "acct-0007") && name != "another account" {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	for _, act := range []url.Values{{"do": {"answer"}, "step": {"api_key:nothing"}, "act": {"release"}}} {
		post(t, c, w.server.URL+good, act)
	}
	w.mu.Lock()
	for _, r := range w.asked {
		if r.From != schemas.FromCustomer || r.Act != "tick" && r.Act != "note" {
			t.Errorf("a customer asked for %+v", r)
		}
	}
	w.mu.Unlock()
}

// Files are served by their names, and nothing else is.
func TestAssets(t *testing.T) {
	w := newWorld(t)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/assets/../console.go", "/assets/..%2fconsole.go", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/....//x", "/assets/console.css", "/assets/", "/assets/%00", `/assets/..%5c..%5cx`, "/../templates/case.html", "/templates/case.html"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL, nil)
		r.URL = &url.URL{Scheme: "http", Host: r.URL.Host, Opaque: "//" + r.URL.Host + path}
		if resp := send(t, c, r); resp.StatusCode == http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	r := get(t, c, w.server.URL+"/signin")
	csp := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	n := 0
	own, _ := filepath.Glob("assets/*.mjs")
	for _, f := range own {
		b, _ := os.ReadFile(f)
		n += len(b)
	}
	if n == 0 || n > 60<<10 {
		t.Errorf("our modules have %d bytes", n)
	}
}

// What filters mean is one SELECT whose values are literals.
func TestExploreQuotes(t *testing.T) {
	w := newWorld(t)
	c := signIn(t, w.server.URL, "ada")
	get(t, c, w.server.URL+"/explore?go=1&from=events&by="+url.QueryEscape("account) FROM system.users --")+"&account="+url.QueryEscape(`a' OR 1=1 -- \' UNION`)+"&days=7")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sql) == 0 || strings.Contains(w.sql[0], "system.users") || !strings.Contains(w.sql[0], `account = 'a\' OR 1=1 -- \\\' UNION'`) {
		t.Errorf("asked: %q", w.sql)
	}
}

// The period before stands beside the present one: as long, the same hour of it in each row.
func TestExploreCompares(t *testing.T) {
	w := newWorld(t)
	c := signIn(t, w.server.URL, "ada")
	body := bodyOf(t, get(t, c, w.server.URL+"/explore?go=1&from=events&by=ip&account=acct-0007&days=7&compare=before"))
	w.mu.Lock()
	sql := strings.Join(w.sql, "\n")
	w.mu.Unlock()
	m := regexp.MustCompile(`SELECT ip, countIf\(time >= toDateTime64\('(.{19})', 3, 'UTC'\)\) AS n, countIf\(time < toDateTime64\('(.{19})', 3, 'UTC'\)\) AS n_before, .*\nFROM events_unique\nWHERE time >= toDateTime64\('(.{19})'.* AND account = 'acct-0007'`).FindStringSubmatch(sql)
	if m == nil || m[1] != m[2] {
		t.Fatalf("asked %s", sql)
	}
	begin, _ := time.Parse(time.DateTime, m[1])
	first, _ := time.Parse(time.DateTime, m[3])
	if begin.Sub(first) != 7*24*time.Hour {
		t.Errorf("the period before begins at %s, the present one at %s", first, begin)
	}
	last := w.at(time.Hour).Truncate(time.Hour).Unix()
	if !strings.Contains(body, fmt.Sprintf(`data-x="%d" data-v="%d" data-u="7024.0"`, last, 40+23*23)) || !strings.Contains(body, `<th class="num">The period before</th>`) {
		t.Error("the row of an hour ago lacks the same hour of the week before")
	}
	if m := regexp.MustCompile(`href="(/explore\.csv[^"]*)"`).FindStringSubmatch(body); m == nil {
		t.Error("no export")
	} else if r := get(t, c, w.server.URL+html.UnescapeString(m[1])); r.StatusCode != http.StatusOK || !strings.Contains(bodyOf(t, r), "acct-0007,640") {
		t.Errorf("the export %s: %d", m[1], r.StatusCode)
	}
	if body := bodyOf(t, get(t, c, w.server.URL+"/explore?go=1&from=events&by=ip&days=7")); strings.Contains(body, "legend usual") {
		t.Error("a period before without being asked for")
	}
}
