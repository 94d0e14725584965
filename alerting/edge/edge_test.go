package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"holdfast/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// topic is a status topic in memory, which can be away.
type topic struct {
	mu           sync.Mutex
	installation string
	log          []Change
	read         int
	away         bool
	wake         chan struct{}
}

func newTopic() *topic { return &topic{installation: "one", wake: make(chan struct{}, 1)} }

func (f *topic) say(key, status string, episode, step int) {
	entity, err := schemas.ParseEntity(key)
	if err != nil {
		panic(err)
	}
	f.put(Change{Key: key, Status: &schemas.Status{Entity: entity, Status: status, Episode: episode, Step: step,
		Since: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC), Reason: "mail went out from a place that is new to this account"}})
}

func (f *topic) put(c Change) {
	f.mu.Lock()
	f.log = append(f.log, c)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *topic) set(away bool) {
	f.mu.Lock()
	f.away = away
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

var errAway = errors.New("no broker answers")

func (f *topic) Open(_ context.Context, at map[int32]int64, installation string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return false, errAway
	}
	f.read = 0
	if installation == f.installation {
		f.read = int(at[0])
	}
	return installation != f.installation, nil
}

func (f *topic) Next(ctx context.Context) (Batch, error) {
	for {
		f.mu.Lock()
		away, b := f.away, Batch{Changes: f.log[min(f.read, len(f.log)):], Installation: f.installation, AtEnd: true}
		f.read = len(f.log)
		b.Next = map[int32]int64{0: int64(f.read)}
		f.mu.Unlock()
		if away {
			return Batch{}, errAway
		}
		if len(b.Changes) > 0 {
			return b, nil
		}
		select {
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		case <-f.wake:
		case <-time.After(20 * time.Millisecond):
			return b, nil
		}
	}
}

// running starts an edge over a topic, and stops it at the test's end or by stop.
func running(t testing.TB, f Feed, cfg Config) (e *Edge, stop func()) {
	t.Helper()
	if cfg.File == "" {
		cfg.File = filepath.Join(t.TempDir(), "edge.db")
	}
	e, err := New(cfg, Deps{Feed: f})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx)
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			<-done
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return e, stop
}

// An address behind a NAT64 gateway of the operator's own is looked up by the IPv4 address.
func TestLookupThroughOwnNAT64(t *testing.T) {
	f := newTopic()
	f.say("ip:198.51.100.7", "blocked", 1, 1)
	nat64, err := schemas.ParseNAT64([]string{"2001:db8:64::/96"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.NAT64 = nat64
	e, _ := running(t, f, cfg)
	until(t, "the block", func() bool { return e.Lookup(schemas.Entity{Kind: schemas.KindIP, ID: "198.51.100.7"}).Known })
	for ip, known := range map[string]bool{"2001:db8:64::198.51.100.7": true, "2001:db8:65::198.51.100.7": false} {
		if a := e.Lookup(schemas.Entity{Kind: schemas.KindIP, ID: ip}); a.Known != known {
			t.Errorf("%s: %+v", ip, a)
		}
		if got := e.judge(&question{address: ip}); (got == cfg.Postfix.Blocked) != known {
			t.Errorf("Postfix is told %q of %s", got, ip)
		}
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: it did not come about", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func word(e *Edge, key string) string {
	entity, err := schemas.ParseEntity(key)
	if err != nil {
		panic(err)
	}
	a := e.Lookup(entity)
	return a.Word()
}

func TestLastKnownStatusSurvivesEverythingElse(t *testing.T) {
	cfg := Default()
	cfg.File, cfg.StaleAfter = filepath.Join(t.TempDir(), "edge.db"), time.Millisecond
	f := newTopic()
	f.say("account:acct-1", "suspended", 1, 1)
	f.say("account:acct-2", "throttled", 1, 1)
	f.say("account:acct-2", "active", 1, 2)
	e, stop := running(t, f, cfg)
	until(t, "reading", e.Ready)
	for key, want := range map[string]string{"account:acct-1": "suspended", "account:acct-2": "active", "account:acct-3": "unknown"} {
		if got := word(e, key); got != want {
			t.Errorf("%s is %s, not %s", key, got, want)
		}
	}
	f.set(true)
	until(t, "becoming stale", func() bool { a := e.Lookup(schemas.Entity{Kind: "account", ID: "acct-1"}); return a.Stale && a.Known })
	stop()

	e, stop = running(t, f, cfg) // still away: only the file is there
	if got := word(e, "account:acct-1"); got != "suspended" {
		t.Errorf("after a restart without the log it is %s", got)
	}
	if a := e.Lookup(schemas.Entity{Kind: "account", ID: "acct-1"}); !a.Stale || a.AsOf.IsZero() || a.Reason == "" {
		t.Errorf("the answer does not say how old it is, or why: %+v", a)
	}
	f.say("account:acct-1", "active", 1, 2)
	f.set(false)
	until(t, "hearing of the release", func() bool { return word(e, "account:acct-1") == "active" })
	stop()
}

func TestAnotherLogReplacesTheCopyOnlyWhenItIsRead(t *testing.T) {
	cfg := Default()
	cfg.File = filepath.Join(t.TempDir(), "edge.db")
	f := newTopic()
	f.say("account:acct-1", "suspended", 9, 1)
	f.say("account:acct-2", "suspended", 9, 1)
	e, stop := running(t, f, cfg)
	until(t, "reading", e.Ready)
	stop()
	other := newTopic()
	other.installation = "two"
	other.say("account:acct-2", "throttled", 1, 1)
	e, stop = running(t, other, cfg)
	until(t, "taking the new log over", func() bool { return word(e, "account:acct-1") == "unknown" })
	if got := word(e, "account:acct-2"); got != "throttled" {
		t.Errorf("acct-2 is %s", got)
	}
	stop()
	e, _ = running(t, other, cfg)
	if n := e.table.Len(); n != 1 {
		t.Errorf("the file holds %d entities, not 1", n)
	}
}

// cutOnce breaks off the first reading of its topic behind the first record.
type cutOnce struct {
	*topic
	cuts, opens int
}

func (f *cutOnce) Open(ctx context.Context, at map[int32]int64, installation string) (bool, error) {
	f.opens++
	return f.topic.Open(ctx, at, installation)
}

func (f *cutOnce) Next(ctx context.Context) (Batch, error) {
	if f.opens > 1 {
		return f.topic.Next(ctx)
	}
	if f.cuts++; f.cuts > 1 {
		return Batch{}, errAway
	}
	return Batch{Changes: f.log[:1], Next: map[int32]int64{0: 1}, Installation: f.installation}, nil
}

// A reading of another log that is cut begins again: what that log does not name is
// forgotten all the same.
func TestACutReadingOfAnotherLogBeginsAgain(t *testing.T) {
	cfg := Default()
	cfg.File = filepath.Join(t.TempDir(), "edge.db")
	f := newTopic()
	f.say("account:acct-1", "suspended", 9, 1)
	e, stop := running(t, f, cfg)
	until(t, "reading", e.Ready)
	stop()
	other := newTopic()
	other.installation = "two"
	other.say("account:acct-2", "throttled", 1, 1)
	other.say("account:acct-3", "suspended", 1, 1)
	e, _ = running(t, &cutOnce{topic: other}, cfg)
	until(t, "reading the other log", func() bool { return word(e, "account:acct-3") == "suspended" })
	until(t, "forgetting", func() bool { return word(e, "account:acct-1") == "unknown" })
}

func TestTheFileIsHeldByOneProcess(t *testing.T) {
	cfg := Default()
	cfg.File = filepath.Join(t.TempDir(), "edge.db")
	running(t, newTopic(), cfg)
	if _, err := New(cfg, Deps{Feed: newTopic()}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second edge on one file: %v", err)
	}
}

func get(t *testing.T, h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHTTP(t *testing.T) {
	f := newTopic()
	f.say("account:acct-1", "suspended", 1, 1)
	f.say("account:a/b c", "throttled", 1, 1)
	f.say("ip:2001:db8::/64", "blocked", 1, 1)
	e, _ := running(t, f, Default())
	until(t, "reading", e.Ready)
	h := e.Handler()
	for target, want := range map[string]string{
		"/v1/status/account:acct-1":                         `"status":"suspended"`,
		"/v1/status/account:a%2Fb%20c":                      `"entity":"account:a/b c","status":"throttled"`,
		"/v1/status/ip:2001:db8::9":                         `"entity":"ip:2001:db8::/64","status":"blocked"`,
		"/v1/status/account:nobody":                         `"status":"unknown","known":false`,
		"/v1/status?entity=account:acct-1&entity=account:x": `"results":[{"entity":"account:acct-1"`,
	} {
		w := get(t, h, target)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		var v any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{"/v1/status/acct-1", "/v1/status/ip:nowhere", "/v1/status", "/v1/stopped?kind=x", "/v1/stopped?status=active", "/v1/stopped?format=xml"} {
		if w := get(t, h, target); w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/status", strings.NewReader(`{"entities":["account:acct-1","ip:192.0.2.1"]}`))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var got struct {
		Results []struct{ Entity, Status string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got, json.MatchCaseInsensitiveNames(true)); err != nil || len(got.Results) != 2 || got.Results[1].Status != "unknown" {
		t.Errorf("bulk: %v %s", err, w.Body)
	}
}

func TestListIsCachedByWhoeverPollsIt(t *testing.T) {
	f := newTopic()
	f.say("account:b", "suspended", 1, 1)
	f.say("account:a", "suspended", 1, 1)
	f.say("account:c", "throttled", 1, 1)
	e, _ := running(t, f, Default())
	until(t, "reading", e.Ready)
	h := e.Handler()
	first := get(t, h, "/v1/stopped")
	if first.Body.String() != "a\nb\n" {
		t.Errorf("the list is %q", first.Body)
	}
	etag := first.Header().Get("ETag")
	if w := get(t, h, "/v1/stopped", "If-None-Match", etag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("unchanged: %d", w.Code)
	}
	if w := get(t, h, "/v1/stopped", "If-Modified-Since", first.Header().Get("Last-Modified")); w.Code != http.StatusNotModified {
		t.Errorf("unchanged since: %d", w.Code)
	}
	f.say("account:a", "active", 1, 2)
	until(t, "the release", func() bool { return word(e, "account:a") == "active" })
	if w := get(t, h, "/v1/stopped", "If-None-Match", etag); w.Code != http.StatusOK || w.Body.String() != "b\n" {
		t.Errorf("changed: %d %q", w.Code, w.Body)
	}
	if w := get(t, h, "/v1/stopped?status=throttled,suspended&format=json"); w.Body.String() != `{"kind":"account","ids":["b","c"]}`+"\n" {
		t.Errorf("as JSON: %s", w.Body)
	}
}

func TestTokens(t *testing.T) {
	cfg := Default()
	cfg.Tokens = [][]byte{[]byte("one-token"), []byte("another")}
	e, _ := running(t, newTopic(), cfg)
	h := e.Handler()
	if w := get(t, h, "/v1/status/account:x"); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
	if w := get(t, h, "/v1/status/account:x", "Authorization", "Bearer wrong"); w.Code != http.StatusUnauthorized {
		t.Errorf("with a wrong one: %d", w.Code)
	}
	if w := get(t, h, "/v1/status/account:x", "Authorization", "Bearer another"); w.Code != http.StatusOK {
		t.Errorf("with a right one: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/status/account:x", nil)
	r.SetBasicAuth("rspamd", "one-token")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("with basic authentication: %d", w.Code)
	}
	if w := get(t, h, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("health: %d", w.Code)
	}
}

// events reads server-sent events until n have a name, and returns their ids and data.
func events(t *testing.T, url, last string, n int, ready func()) (ids, data []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/changes", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	named, id := "", ""
	for len(data) < n && in.Scan() {
		switch name, value, _ := strings.Cut(in.Text(), ": "); name {
		case "id":
			id = value
			if ready != nil {
				ready()
				ready = nil
			}
		case "event":
			named = value
		case "data":
			ids, data = append(ids, id), append(data, named+" "+value)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return ids, data
}

func TestStreamOfChanges(t *testing.T) {
	f := newTopic()
	e, _ := running(t, f, Default())
	until(t, "reading", e.Ready)
	s := httptest.NewServer(e.Handler())
	defer s.Close()
	ids, data := events(t, s.URL, "", 2, func() {
		f.say("account:acct-1", "suspended", 1, 1)
		f.say("account:acct-2", "throttled", 1, 1)
	})
	if len(data) != 2 || !strings.Contains(data[0], `"account:acct-1","status":"suspended"`) {
		t.Fatalf("the stream said %q", data)
	}
	_, data = events(t, s.URL, ids[0], 1, nil)
	if len(data) != 1 || !strings.Contains(data[0], "account:acct-2") {
		t.Errorf("coming back it was told %q", data)
	}
	_, data = events(t, s.URL, "other-3", 1, nil)
	if len(data) != 1 || !strings.HasPrefix(data[0], "reset") {
		t.Errorf("of another process's place it was told %q", data)
	}
}

// listening serves a protocol on a loopback port until the test ends.
func listening(t testing.TB, serve func(context.Context, net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestPolicyProtocol(t *testing.T) {
	f := newTopic()
	f.say("account:acct-1", "suspended", 1, 1)
	f.say("account:acct-2", "throttled", 1, 1)
	f.say("account:acct-3", "active", 1, 2)
	f.say("ip:192.0.2.9", "blocked", 1, 1)
	cfg := Default()
	cfg.Postfix.Rate = 8 // a burst of two
	cfg.Postfix.Unknown = "WARN nothing is known of this account"
	cfg.Postfix.Accounts = append(cfg.Postfix.Accounts, Attribute{Name: "sender", Take: "domain", Map: map[string]string{"example.net": "acct-1"}})
	e, _ := running(t, f, cfg)
	until(t, "reading", e.Ready)
	addr := listening(t, e.ServePostfix)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	ask := func(attributes ...string) string {
		t.Helper()
		_, err := io.WriteString(c, "request=smtpd_access_policy\n"+strings.Join(attributes, "\n")+"\n\n")
		if err != nil {
			t.Fatal(err)
		}
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if empty, err := in.ReadString('\n'); err != nil || empty != "\n" {
			t.Fatalf("after %q came %q, %v", line, empty, err)
		}
		return strings.TrimSpace(line)
	}
	rcpt := "protocol_state=RCPT"
	for _, c := range []struct {
		ask  []string
		want string
	}{
		{[]string{rcpt, "sasl_username=acct-1"}, "action=550 5.7.1"},
		{[]string{rcpt, "sasl_username=acct-1", "sasl_username=acct-3"}, "action=550 5.7.1"},
		{[]string{rcpt, "sasl_username=acct-3", "unheard_of=1"}, "action=DUNNO"},
		{[]string{rcpt, "sasl_username=acct-3", "client_address=192.0.2.9"}, "action=550 5.7.1 Mail from this address"},
		{[]string{rcpt, "sasl_username=acct-2"}, "action=DUNNO"},
		{[]string{rcpt, "sasl_username=acct-2"}, "action=DUNNO"},
		{[]string{rcpt, "sasl_username=acct-2"}, "action=450 4.7.1"},
		{[]string{"protocol_state=DATA", "sasl_username=acct-2"}, "action=DUNNO"},
		{[]string{rcpt, "sasl_username="}, "action=WARN nothing is known"},
		{[]string{rcpt, "sasl_username=", "sender=a@Example.NET"}, "action=550 5.7.1"},
		{[]string{rcpt, "sasl_username=nobody"}, "action=WARN nothing is known"},
	} {
		if got := ask(c.ask...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %q, not %q", c.ask, got, c.want)
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1\n\n", "request=other\n\n", "sasl_username=acct-1\n\n", strings.Repeat("a=b\n", 200) + "\n", "a=" + strings.Repeat("x", 9000) + "\n\n"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, bad)
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%.20q was answered %q", bad, b)
		}
		c.Close()
	}
}

func TestLineProtocol(t *testing.T) {
	f := newTopic()
	f.say("account:acct-1", "suspended", 1, 1)
	e, _ := running(t, f, Default())
	until(t, "reading", e.Ready)
	addr := listening(t, e.ServeLine)
	for question, want := range map[string]string{
		"account:acct-1\n": "suspended\n", "acct-1\n": "suspended\n", "acct-1": "suspended\n", "nobody\n": "unknown\n",
		"ip:192.0.2.1\n": "unknown\n", "\n": "", "a\x00b\n": "", strings.Repeat("x", 2000) + "\n": "",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, question)
		_ = c.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c)
		c.Close()
		if string(got) != want {
			t.Errorf("%.20q: %q, not %q", question, got, want)
		}
	}
}

func TestConfigurationMistakesAreAllReported(t *testing.T) {
	cfg := Default()
	cfg.Postfix.Suspended, cfg.Postfix.Unknown, cfg.Postfix.Rate = "550 a\nb", "OK", 0
	cfg.Postfix.Accounts = []Attribute{{Name: "", Take: "half"}}
	err := cfg.Validate()
	for _, want := range []string{"edge.file", "postfix.suspended", "postfix.unknown", "postfix.rate", "accounts[0].take", "accounts[0].attribute"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is said of %s: %v", want, err)
		}
	}
}

// FuzzPolicy asks whatever it likes: the answer is one action, or none.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("request=smtpd_access_policy\nsasl_username=acct-1\n\n"))
	f.Add([]byte("request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=::1\n\nrequest=x\n"))
	cfg := Default()
	e := &Edge{cfg: cfg, now: time.Now, table: NewTable(), limits: newLimits(cfg.Postfix.Rate)}
	e.table.Put("account:acct-1", Standing{Status: "suspended"}, time.Now())
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReaderSize(strings.NewReader(string(b)), maxAttribute)
		var q question
		for range 10 {
			if q.read(in, &cfg.Postfix) != nil {
				return
			}
			if a := e.judge(&q); a == "" || strings.ContainsAny(a, "\r\n") {
				t.Errorf("the action is %q", a)
			}
		}
	})
}
