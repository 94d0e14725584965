package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/schemas"
)

// signIn signs in and gives the cookie.
func (w *world) signIn(l Login, headers ...string) (*httptest.ResponseRecorder, string) {
	r := w.do("POST", "/v1/session", l, headers...)
	for _, c := range r.Result().Cookies() {
		if c.Name == "holdfast" {
			return r, c.Name + "=" + c.Value
		}
	}
	return r, ""
}

// A session's secret is always a new one, whatever the browser brought, and works no more
// once it has ended: by signing out, by a new password, unused, or old.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	w.add("ann", RoleAnalyst)
	login := Login{Name: "ann", Password: goodPasswordText}
	_, planted := w.signIn(login)
	r, cookie := w.signIn(login, "Cookie", planted)
	if r.Code != http.StatusCreated || cookie == planted || cookie == "" {
		t.Fatalf("signed in with a session of another: %d, the same secret %v", r.Code, cookie == planted)
	}
	set := r.Header().Get("Set-Cookie")
	for _, x := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(set, x) {
			t.Errorf("the cookie %q lacks %s", set, x)
		}
	}
	me := func(cookie string) int { return w.do("GET", "/v1/me", nil, "Cookie", cookie).Code }
	if got := me("holdfast=hfs_" + strings.Repeat("A", 43)); got != http.StatusUnauthorized {
		t.Errorf("a session that somebody made up: %d", got)
	}
	if got := me(cookie); got != http.StatusOK {
		t.Fatalf("the session: %d", got)
	}
	if got := w.do("POST", "/v1/me/password", passwords{goodPasswordText, "another good password"}, "Cookie", cookie); got.Code != http.StatusNoContent {
		t.Fatalf("new password: %d %s", got.Code, got.Body)
	}
	if me(cookie) != http.StatusOK || me(planted) != http.StatusUnauthorized {
		t.Errorf("after a new password: the session %d, the other one %d", me(cookie), me(planted))
	}
	if got := w.do("DELETE", "/v1/session", nil, "Cookie", cookie); got.Code != http.StatusNoContent || me(cookie) != http.StatusUnauthorized {
		t.Errorf("signed out: %d, and then %d", got.Code, me(cookie))
	}
	login.Password = "another good password"
	_, cookie = w.signIn(login)
	for range 3 { // it is used: it stays
		if w.pass(7 * time.Hour); me(cookie) != http.StatusOK {
			t.Error("a session in use ended")
		}
	}
	if w.pass(9 * time.Hour); me(cookie) != http.StatusUnauthorized {
		t.Error("a session that nobody used for nine hours still works")
	}
	_, cookie = w.signIn(login)
	for range 7 * 24 / 7 {
		w.pass(7 * time.Hour)
		me(cookie)
	}
	if got := me(cookie); got != http.StatusUnauthorized {
		t.Errorf("a session of a week ago: %d", got)
	}
}

// Another site can make a browser send the cookie; it gets nothing done by it.
func TestOtherSitesDoNothing(t *testing.T) {
	w := newWorld(t)
	w.open("acct-1")
	w.add("ann", RoleAnalyst)
	_, cookie := w.signIn(Login{Name: "ann", Password: goodPasswordText})
	act := func(headers ...string) int {
		return w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: "note", Text: "x"}, append(headers, "Cookie", cookie)...).Code
	}
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		before := w.asks()
		if got := act(h...); got != http.StatusForbidden || w.asks() != before {
			t.Errorf("%v: %d, and %d reached the lane", h, got, w.asks()-before)
		}
		if r, c := w.signIn(Login{Name: "ann", Password: goodPasswordText}, h...); r.Code != http.StatusForbidden || c != "" {
			t.Errorf("%v: another site signed somebody in: %d", h, r.Code)
		}
	}
	if got := act("Sec-Fetch-Site", "same-origin"); got != http.StatusOK {
		t.Errorf("of its own page: %d", got)
	}
	if got := w.do("POST", "/v1/entities/account:acct-1/acts", "act=note", "Content-Type", "application/x-www-form-urlencoded", "Cookie", cookie); got.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d", got.Code)
	}
}

// Wrong passwords cost time, by name and by address, also when they come at once; the
// answer does not tell whether there is such a person.
func TestWrongPasswordsCostTime(t *testing.T) {
	w := newWorld(t)
	w.add("ann", RoleAnalyst)
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for range 40 {
		wg.Go(func() {
			r := w.do("POST", "/v1/session", Login{Name: "ann", Password: "a wrong password"})
			mu.Lock()
			codes[r.Code]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if codes[http.StatusUnauthorized] > 6 || codes[http.StatusTooManyRequests] < 34 {
		t.Errorf("of 40 at once: %v", codes)
	}
	r, _ := w.signIn(Login{Name: "ann", Password: goodPasswordText})
	if r.Code != http.StatusTooManyRequests || r.Header().Get("Retry-After") == "" {
		t.Errorf("the right one at once behind them: %d, Retry-After %q", r.Code, r.Header().Get("Retry-After"))
	}
	w.pass(31 * time.Second)
	if r, _ := w.signIn(Login{Name: "ann", Password: goodPasswordText}); r.Code != http.StatusCreated {
		t.Errorf("the person is locked out for longer than half a minute: %d", r.Code)
	}
	known, _ := w.signIn(Login{Name: "ann", Password: "a wrong password"})
	nobody, _ := w.signIn(Login{Name: "nobody-there", Password: "a wrong password"})
	if known.Code != nobody.Code || known.Body.String() != nobody.Body.String() {
		t.Errorf("the answers differ: %s, %s", known.Body, nobody.Body)
	}
	codes = map[int]int{}
	for i := range 60 { // one address tries one password with many names
		codes[w.do("POST", "/v1/session", Login{Name: strings.Repeat("x", i+1), Password: "summer"}).Code]++
	}
	if codes[http.StatusUnauthorized] > 11 {
		t.Errorf("one address over many names: %v", codes)
	}
	codes = map[int]int{}
	w.pass(time.Hour + time.Minute)
	for range 60 {
		codes[w.do("GET", "/v1/me", nil, "Authorization", "Bearer hft_guess").Code]++
	}
	if codes[http.StatusUnauthorized] > 11 {
		t.Errorf("guessed tokens: %v", codes)
	}
}

// A one-time link works once, also when two use it at once, and for a day.
func TestOneTimeLinks(t *testing.T) {
	w := newWorld(t)
	admin := w.add("adm", RoleAdmin)
	link := into[OneTime](t, w.do("POST", "/v1/people", NewPerson{Name: "ann", Role: RoleViewer, Why: "w"}, bearerOf(admin)...))
	if got := w.do("POST", "/v1/welcome", NewPassword{link.Link, "short"}); got.Code != http.StatusBadRequest {
		t.Errorf("a short password: %d", got.Code)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for range 8 {
		wg.Go(func() {
			r := w.do("POST", "/v1/welcome", NewPassword{link.Link, goodPasswordText})
			mu.Lock()
			codes[r.Code]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if codes[http.StatusCreated] != 1 {
		t.Errorf("a link was used by eight at once: %v", codes)
	}
	link = into[OneTime](t, w.do("POST", "/v1/people/ann/link", why{"lost"}, bearerOf(admin)...))
	second := into[OneTime](t, w.do("POST", "/v1/people/ann/link", why{"lost again"}, bearerOf(admin)...))
	w.pass(time.Hour)
	if got := w.do("POST", "/v1/welcome", NewPassword{link.Link, goodPasswordText}); got.Code != http.StatusNotFound {
		t.Errorf("a link that another has replaced: %d", got.Code)
	}
	w.pass(24 * time.Hour)
	if got := w.do("POST", "/v1/welcome", NewPassword{second.Link, goodPasswordText}); got.Code != http.StatusNotFound {
		t.Errorf("a link of yesterday: %d", got.Code)
	}
}

// A code of the second factor works once.
func TestSecondFactor(t *testing.T) {
	w := newWorld(t)
	token := w.add("ann", RoleAnalyst)
	made := into[NewCode](t, w.do("POST", "/v1/me/totp", nil, bearerOf(token)...))
	now := func() string {
		c, err := totp.GenerateCode(made.Secret, w.now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if r, _ := w.signIn(Login{Name: "ann", Password: goodPasswordText}); r.Code != http.StatusCreated {
		t.Errorf("before a code of it was shown: %d", r.Code)
	}
	if got := w.do("POST", "/v1/me/totp/confirm", code{now()}, bearerOf(token)...); got.Code != http.StatusNoContent {
		t.Fatalf("confirm: %d %s", got.Code, got.Body)
	}
	if r, _ := w.signIn(Login{Name: "ann", Password: goodPasswordText}); r.Code != http.StatusUnauthorized {
		t.Errorf("without a code: %d", r.Code)
	}
	w.pass(time.Minute)
	c := now()
	if r, _ := w.signIn(Login{Name: "ann", Password: goodPasswordText, Code: c}); r.Code != http.StatusCreated {
		t.Errorf("with a code: %d", r.Code)
	}
	if r, _ := w.signIn(Login{Name: "ann", Password: goodPasswordText, Code: c}); r.Code != http.StatusUnauthorized {
		t.Errorf("with the same code again: %d", r.Code)
	}
}

// A cursor is of one list and one question; whoever changes it is told so.
func TestCursors(t *testing.T) {
	w := newWorld(t)
	token := w.add("ann", RoleViewer)
	for i := range 7 {
		w.open("acct-"+string(rune('a'+i)), func(c *schemas.Case) { c.Due = c.Due.Add(time.Duration(i/2) * time.Minute) })
	}
	seen, next := map[string]bool{}, ""
	for range 10 {
		p := into[Page[CaseLine]](t, w.do("GET", "/v1/cases?limit=3&cursor="+next, nil, bearerOf(token)...))
		for _, l := range p.Items {
			if seen[l.ID] {
				t.Errorf("%s comes twice", l.ID)
			}
			seen[l.ID] = true
		}
		if next = p.Next; next == "" {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d cases by pages, want 7", len(seen))
	}
	cursor := into[Page[CaseLine]](t, w.do("GET", "/v1/cases?limit=3", nil, bearerOf(token)...)).Next
	for i := range len(cursor) {
		b := []byte(cursor)
		if b[i]++; b[i] > 'y' {
			b[i] = 'A'
		}
		if got := w.do("GET", "/v1/cases?limit=3&cursor="+string(b), nil, bearerOf(token)...); got.Code != http.StatusBadRequest && got.Code != http.StatusOK || got.Code == http.StatusOK && i < len(cursor)-1 {
			t.Fatalf("byte %d of a cursor changed: %d", i, got.Code)
		}
	}
	for _, path := range []string{"/v1/cases?stage=open&cursor=", "/v1/entities?cursor=", "/v1/entities/account:a/timeline?cursor="} {
		if got := w.do("GET", path+cursor, nil, bearerOf(token)...); got.Code != http.StatusBadRequest {
			t.Errorf("the cursor at %s: %d", path, got.Code)
		}
	}
	seen, next = map[string]bool{}, ""
	for range 10 {
		p := into[Page[Entry]](t, w.do("GET", "/v1/entities/account:a/timeline?limit=90&cursor="+next, nil, bearerOf(token)...))
		for _, e := range p.Items {
			seen[e.ID] = true
		}
		if next = p.Next; next == "" {
			break
		}
	}
	if len(seen) != 500 {
		t.Errorf("%d entries by pages, want 500", len(seen))
	}
}

// What is too large, of another form or unknown is refused before anything is done.
func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	c := w.open("acct-1")
	token := w.add("ann", RoleLead)
	type T struct {
		method, path string
		body         any
		headers      []string
		want         int
	}
	for _, x := range []T{
		{"POST", "/v1/entities/account:acct-1/acts", `{"act":"note","text":"` + strings.Repeat("x", 70<<10) + `"}`, nil, 413},
		{"POST", "/v1/entities/account:acct-1/acts", `{"act":"note","text":"` + strings.Repeat("x", 9<<10) + `"}`, nil, 400},
		{"POST", "/v1/bulk", `{"act":"note","why":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413},
		{"POST", "/v1/entities/account:acct-1/acts", `{"act":"note"} {}`, nil, 400},
		{"POST", "/v1/entities/account:acct-1/acts", `{"act":"note","act":"suspend"}`, nil, 400},
		{"POST", "/v1/entities/account:acct-1/acts", `{"act":"note","actor":"root"}`, nil, 400},
		{"POST", "/v1/entities/account:acct-1/acts", `[]`, nil, 400},
		{"POST", "/v1/entities/account:acct-1/acts", nil, nil, 400},
		{"POST", "/v1/entities/account:acct-1/acts", `{}`, []string{"Content-Type", "text/plain"}, 415},
		{"POST", "/v1/entities/account:acct-1/acts", `{}`, []string{"Content-Encoding", "gzip"}, 415},
		{"POST", "/v1/entities/nothing:x/acts", ActIn{Act: "note", Text: "x"}, nil, 400},
		{"POST", "/v1/entities/account:acct-1/acts", ActIn{Act: "explode"}, nil, 400},
		{"POST", "/v1/entities/ip:192.0.2.1/acts", ActIn{Act: "suspend", Why: "w"}, nil, 422},
		{"POST", "/v1/entities/account:nobody/acts", ActIn{Act: "note", Text: "x"}, nil, 422},
		{"POST", "/v1/cases/" + c.ID + "/acts", ActIn{Act: "verdict", Verdict: "bad"}, []string{"If-Match", "*"}, 400},
		{"POST", "/v1/cases/" + c.ID + "/acts", ActIn{Act: "snooze", Why: "w"}, []string{"If-Match", "*"}, 400},
		{"GET", "/v1/cases?limit=100000", nil, nil, 400},
		{"GET", "/v1/cases?limit=x", nil, nil, 400},
		{"GET", "/v1/cases?due_before=tomorrow", nil, nil, 400},
		{"GET", "/v1/cases?stage=green", nil, nil, 400},
		{"GET", "/v1/cases?colour=green", nil, nil, 400},
		{"GET", "/v1/cases?sort=due&sort=opened", nil, nil, 400},
		{"GET", "/v1/cases/nothing", nil, nil, 404},
		{"GET", "/v1/entities/account:a/volume?since=2000-01-01T00:00:00Z&step=5m", nil, nil, 400},
		{"GET", "/v1/nothing", nil, nil, 404},
		{"PUT", "/v1/cases", nil, nil, 405},
		{"GET", "/v1/cases/%2e%2e%2fpeople", nil, nil, 404},
		{"POST", "/v1/views", viewBody{Name: "x", Query: "//evil.example"}, nil, 400},
		{"POST", "/v1/views", viewBody{Name: "x", Query: "https://evil.example"}, nil, 400},
	} {
		before := w.asks()
		got := w.do(x.method, x.path, x.body, append(bearerOf(token), x.headers...)...)
		if got.Code != x.want || codeOf(t, got) == "" {
			t.Errorf("%s %s %.60v: %d %s, want %d", x.method, x.path, x.body, got.Code, got.Body, x.want)
		}
		if w.asks() != before {
			t.Errorf("%s %s %.60v reached the lane", x.method, x.path, x.body)
		}
	}
	if got := w.do("PUT", "/v1/cases", nil); got.Header().Get("Allow") != "GET" {
		t.Errorf("Allow: %q", got.Header().Get("Allow"))
	}
}

// Where the log takes no record of an act, the act is not done.
func TestNothingIsDoneUnrecorded(t *testing.T) {
	w := newWorld(t)
	admin := w.add("adm", RoleAdmin)
	w.mu.Lock()
	w.away = http.ErrServerClosed
	w.mu.Unlock()
	if got := w.do("POST", "/v1/people", NewPerson{Name: "ann", Role: RoleViewer, Why: "w"}, bearerOf(admin)...); got.Code != http.StatusServiceUnavailable {
		t.Errorf("a person was added without a record: %d", got.Code)
	}
	if _, ok := w.service.people.viewOf("ann"); ok {
		t.Error("and is known")
	}
}

// Requests from one person or address are bounded.
func TestPace(t *testing.T) {
	w := newWorld(t)
	token := w.add("ann", RoleViewer)
	w.service.pace = newPace(Config{PersonRate: 2, AddressRate: 1000})
	codes := map[int]int{}
	for range 20 {
		codes[w.do("GET", "/v1/me", nil, bearerOf(token)...).Code]++
	}
	if codes[200] != 4 || codes[429] != 16 {
		t.Errorf("of 20 at once by one person: %v", codes)
	}
	w.pass(time.Second)
	if got := w.do("GET", "/v1/me", nil, bearerOf(token)...); got.Code != 200 {
		t.Errorf("a second later: %d", got.Code)
	}
	w.service.pace = newPace(Config{PersonRate: 1000, AddressRate: 2})
	codes = map[int]int{}
	for range 20 {
		codes[w.do("GET", "/v1/openapi.json", nil).Code]++
	}
	if codes[200] != 4 {
		t.Errorf("of 20 at once from one address: %v", codes)
	}
}

// X-Forwarded-For is believed of proxies that are named, of nobody else.
func TestAddresses(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct{ remote, forwarded, want string }{
		{"192.0.2.9:1", "198.51.100.7", "192.0.2.9"},
		{"127.0.0.1:1", "198.51.100.7", "198.51.100.7"},
		{"127.0.0.1:1", "203.0.113.1, 198.51.100.7", "198.51.100.7"},
		{"127.0.0.1:1", "203.0.113.1, 127.0.0.1", "203.0.113.1"},
		{"127.0.0.1:1", "nonsense", "127.0.0.1"},
		{"127.0.0.1:1", "", "127.0.0.1"},
	} {
		h := NewHandler(w.service, HandlerConfig{Proxies: loopback})
		r := httptest.NewRequest(http.MethodGet, "/", bytes.NewReader(nil))
		r.RemoteAddr = x.remote
		if x.forwarded != "" {
			r.Header.Set("X-Forwarded-For", x.forwarded)
		}
		if got := h.Address(r); got != x.want {
			t.Errorf("%s, %q: %s, want %s", x.remote, x.forwarded, got, x.want)
		}
	}
}
