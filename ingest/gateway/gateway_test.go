package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret  = "correct horse battery staple"
	login   = `{"id":"e%d","type":"login","account":"a","time":"2026-03-02T11:00:08Z","user":"u","outcome":"success"}` + "\n"
	connect = `{"id":"c%d","type":"connection","ip":"192.0.2.1","time":"2026-03-02T11:00:08Z","state":"open"}` + "\n"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func tokens() []Token {
	return []Token{
		{Name: "all", SHA256: digest(secret)},
		{Name: "logins", SHA256: digest(secret + "2"), Types: []schemas.EventType{schemas.TypeLogin}, Origin: schemas.OriginImport},
	}
}

func handler(t testing.TB, cfg Config, deps Deps) *Gateway {
	t.Helper()
	cfg.Tokens = tokens()
	deps.Now = func() time.Time { return intaketest.Now }
	g, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func post(g http.Handler, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, Path, body)
	r.Header.Set("Authorization", "Bearer "+secret)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

// reply is any answer, of a success or a problem.
type reply struct {
	Status       int       `json:"status"`
	Title        string    `json:"title"`
	Detail       string    `json:"detail"`
	Accepted     int       `json:"accepted"`
	RefusedCount int       `json:"refused_count"`
	Refused      []refusal `json:"refused"`
}

func parse(t testing.TB, w *httptest.ResponseRecorder) (r reply) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatalf("answer %q: %v", w.Body, err)
	}
	if problem := w.Code >= 400; problem != (w.Header().Get("Content-Type") == "application/problem+json") || problem && (r.Status != w.Code || r.Title == "" || r.Detail == "") {
		t.Errorf("status %d with %s: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	return r
}

func zipped(data []byte) *bytes.Buffer {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return &b
}

func TestAcceptsAndRefusesLineByLine(t *testing.T) {
	b := &intaketest.Broker{Lanes: 3}
	reg := prometheus.NewRegistry()
	g := handler(t, Config{}, Deps{Writer: intaketest.Producer(t, b, intake.Config{}), Metrics: intake.NewMetrics(reg)})
	body := fmt.Sprintf(login, 1) + "\n  \r\n{\"id\":\"bad\",\"type\":\"login\"}\n" + strings.TrimSuffix(fmt.Sprintf(login, 2), "\n")
	for _, in := range []struct {
		name    string
		body    io.Reader
		headers []string
	}{
		{"plain", strings.NewReader(body), []string{"Content-Type", "application/x-ndjson; charset=utf-8"}},
		{"gzip", zipped([]byte(body)), []string{"Content-Encoding", "gzip"}},
	} {
		w := post(g, in.body, in.headers...)
		want := reply{Accepted: 2, RefusedCount: 1, Refused: []refusal{{Line: 4, ID: "bad", Reason: schemas.ReasonMissing, Field: "time"}}}
		got := parse(t, w)
		if len(got.Refused) == 1 {
			if !strings.Contains(got.Refused[0].Error, `record "bad": field "time"`) {
				t.Errorf("%s: error %q", in.name, got.Refused[0].Error)
			}
			got.Refused[0].Error = ""
		}
		if diff := cmp.Diff(want, got); diff != "" || w.Code != http.StatusOK {
			t.Errorf("%s: status %d (-want +got):\n%s", in.name, w.Code, diff)
		}
	}
	if n := len(b.All(schemas.TopicEvents)); n != 4 {
		t.Errorf("%d records stand, want 4", n)
	}
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP holdfast_intake_accepted_total Records that were checked and acknowledged by the broker.
# TYPE holdfast_intake_accepted_total counter
holdfast_intake_accepted_total{source="http:all"} 4
# HELP holdfast_intake_refused_total Records that were refused, by reason.
# TYPE holdfast_intake_refused_total counter
holdfast_intake_refused_total{reason="missing_field",source="http:all"} 2
`), "holdfast_intake_accepted_total", "holdfast_intake_refused_total")
	if err != nil {
		t.Error(err)
	}
}

func TestTokenLimitsTypesAndOrigin(t *testing.T) {
	b := &intaketest.Broker{Lanes: 1}
	g := handler(t, Config{}, Deps{Writer: intaketest.Producer(t, b, intake.Config{})})
	w := post(g, strings.NewReader(fmt.Sprintf(login, 1)+fmt.Sprintf(connect, 2)), "Authorization", "bearer "+secret+"2")
	if r := parse(t, w); w.Code != http.StatusOK || r.Accepted != 1 || len(r.Refused) != 1 || r.Refused[0].Reason != schemas.ReasonNotAllowed {
		t.Errorf("status %d: %+v", w.Code, r)
	}
	if w := post(g, strings.NewReader(fmt.Sprintf(connect, 2)), "Authorization", "Bearer "+secret+"2"); w.Code != http.StatusForbidden || parse(t, w).RefusedCount != 1 {
		t.Errorf("nothing but a type that is not allowed gives %d: %s", w.Code, w.Body)
	}
	all := b.All(schemas.TopicEvents)
	if len(all) != 1 || intaketest.Header(&all[0], "source") != "http:logins" || intaketest.Header(&all[0], "origin") != "import" {
		t.Errorf("records %+v", all)
	}
}

func TestProblems(t *testing.T) {
	b := &intaketest.Broker{Lanes: 1}
	writer := intaketest.Producer(t, b, intake.Config{})
	one := fmt.Sprintf(login, 1)
	half := zipped(bytes.Repeat([]byte(one), 100)).Bytes()
	cases := []struct {
		name    string
		cfg     Config
		body    string
		headers []string
		status  int
	}{
		{"no token", Config{}, one, []string{"Authorization", ""}, 401},
		{"basic", Config{}, one, []string{"Authorization", "Basic " + secret}, 401},
		{"unknown token", Config{}, one, []string{"Authorization", "Bearer x" + secret}, 401},
		{"part of a token", Config{}, one, []string{"Authorization", "Bearer " + secret[:8]}, 401},
		{"media type", Config{}, one, []string{"Content-Type", "text/html"}, 415},
		{"encoding", Config{}, one, []string{"Content-Encoding", "br"}, 415},
		{"nothing but refused", Config{}, "{}\n", nil, 422},
		{"not gzip", Config{}, one, []string{"Content-Encoding", "gzip"}, 400},
		{"half of gzip", Config{}, string(half[:len(half)/2]), []string{"Content-Encoding", "gzip"}, 400},
		{"body too large", Config{MaxBody: 200}, strings.Repeat(one, 10), nil, 413},
		{"decompressed too large", Config{MaxDecompressed: 1000}, string(half), []string{"Content-Encoding", "gzip"}, 413},
		{"too many lines", Config{MaxLines: 3}, strings.Repeat(one, 4), nil, 413},
		{"not too many lines", Config{MaxLines: 3}, strings.Repeat(one, 3), nil, 200},
		{"empty", Config{}, "", nil, 200},
		{"byte order mark", Config{}, "\ufeff" + one, nil, 200},
		{"byte order mark in gzip", Config{}, zipped([]byte("\ufeff" + one)).String(), []string{"Content-Encoding", "gzip"}, 200},
		{"byte order mark alone", Config{}, "\ufeff", nil, 200},
		{"two byte order marks", Config{}, "\ufeff\ufeff" + one, nil, 422},
		{"UTF-16", Config{}, "\xff\xfe{\x00}\x00", nil, 415},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := post(handler(t, c.cfg, Deps{Writer: writer}), io.MultiReader(strings.NewReader(c.body)), c.headers...)
			if parse(t, w); w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("the answer does not say how to authenticate")
			}
		})
	}
	w := httptest.NewRecorder()
	handler(t, Config{}, Deps{Writer: writer}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, Path, nil))
	if parse(t, w); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET gives %d", w.Code)
	}
}

// writerFunc is a Writer by one function.
type writerFunc func(context.Context, *intake.Receipt) error

func (f writerFunc) Send(ctx context.Context, r *intake.Receipt, _ schemas.Topic, _ kafka.Record) error {
	return f(ctx, r)
}

// What the broker did not acknowledge is never said to be accepted.
func TestAnswersOnlyAfterAcknowledgement(t *testing.T) {
	for name, writer := range map[string]writerFunc{
		"not taken":          func(context.Context, *intake.Receipt) error { return intake.ErrClosed },
		"failed":             func(_ context.Context, r *intake.Receipt) error { r.Add(); r.Settle(errors.New("gone")); return nil },
		"never acknowledged": func(_ context.Context, r *intake.Receipt) error { r.Add(); return nil },
	} {
		g := handler(t, Config{Timeout: 50 * time.Millisecond}, Deps{Writer: writer})
		w := post(g, strings.NewReader(fmt.Sprintf(login, 1)))
		if r := parse(t, w); w.Code != http.StatusServiceUnavailable || r.Accepted != 0 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: status %d, %s", name, w.Code, w.Body)
		}
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	g := handler(t, Config{MaxConcurrent: 1}, Deps{Writer: writerFunc(func(context.Context, *intake.Receipt) error {
		entered <- struct{}{}
		<-leave
		return nil
	})})
	first := make(chan int)
	go func() { first <- post(g, strings.NewReader(fmt.Sprintf(login, 1))).Code }()
	<-entered
	if w := post(g, strings.NewReader(fmt.Sprintf(login, 2))); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("a request too many gives %d", w.Code)
	}
	close(leave)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first request gives %d", code)
	}
}

func TestRefusedListIsBounded(t *testing.T) {
	b := &intaketest.Broker{Lanes: 1}
	g := handler(t, Config{MaxRefused: 5}, Deps{Writer: intaketest.Producer(t, b, intake.Config{})})
	if r := parse(t, post(g, strings.NewReader(strings.Repeat("{}\n", 50)))); r.RefusedCount != 50 || len(r.Refused) != 5 {
		t.Errorf("%d counted, %d listed", r.RefusedCount, len(r.Refused))
	}
}

func TestHostileFile(t *testing.T) {
	h := intaketest.NewHostile(1, 100_000)
	b := &intaketest.Broker{Lanes: 4}
	g := handler(t, Config{MaxBody: 1 << 30, MaxDecompressed: 1 << 30}, Deps{Writer: intaketest.Producer(t, b, intake.Config{})})
	r := parse(t, post(g, zipped(h.Data), "Content-Encoding", "gzip"))
	if r.Accepted != len(h.Good) || r.RefusedCount != h.Bad {
		t.Errorf("%d accepted and %d refused, want %d and %d", r.Accepted, r.RefusedCount, len(h.Good), h.Bad)
	}
	for _, rec := range b.All(schemas.TopicEvents) {
		id := intaketest.Header(&rec, "id")
		if h.Good[id] != string(rec.Value) {
			t.Fatalf("%s stands as %.200s", id, rec.Value)
		}
		delete(h.Good, id)
	}
	if len(h.Good) > 0 {
		t.Errorf("%d good records do not stand", len(h.Good))
	}
}

func TestSecretFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Tokens: []Token{{Name: "file", SecretFile: path}}}, Deps{Writer: writerFunc(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if w := post(g, http.NoBody); w.Code != http.StatusOK {
		t.Errorf("the token of the file gives %d", w.Code)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Tokens: []Token{{Name: "file", SecretFile: path}}}, Deps{}); err == nil {
		t.Error("a token of 5 bytes is taken")
	}
}

func TestValidateTellsEveryMistake(t *testing.T) {
	cfg := Config{MaxBody: -1, Tokens: []Token{
		{Name: "a", SHA256: "zz"}, {Name: "a", SecretFile: "x", SHA256: digest("")}, {SHA256: digest(""), Types: []schemas.EventType{"sned"}, Origin: "replay"},
	}}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no mistake found")
	}
	for _, part := range []string{"max_body", "sha256: write 64", "appears twice", "exactly one", "name: write", "sned", "replay"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in:\n%v", part, err)
		}
	}
}

// FuzzBody: whatever is sent, lines add up, and the answer can be read.
func FuzzBody(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(login, 1)+"{}\n"), false)
	f.Add(zipped([]byte(fmt.Sprintf(login, 1))).Bytes(), true)
	f.Add([]byte("\x1f\x8b\x08\x00"), true)
	g := handler(f, Config{MaxDecompressed: 1 << 20, MaxLines: 1000}, Deps{Writer: writerFunc(func(context.Context, *intake.Receipt) error { return nil })})
	f.Fuzz(func(t *testing.T, data []byte, packed bool) {
		encoding := "identity"
		if packed {
			encoding = "gzip"
		}
		w := post(g, bytes.NewReader(data), "Content-Encoding", encoding)
		var r reply
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatalf("answer %q: %v", w.Body, err)
		}
		if packed || w.Code == http.StatusRequestEntityTooLarge {
			return
		}
		lines := 0
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			if len(bytes.TrimSpace(line)) > 0 {
				lines++
			}
		}
		if r.Accepted+r.RefusedCount != lines {
			t.Fatalf("%d accepted and %d refused of %d lines", r.Accepted, r.RefusedCount, lines)
		}
	})
}

// A token is bound to accounts and to a rate. What began to come is taken whole; then the
// sender is told when to come again, and others are not held up.
func TestTokensAreBound(t *testing.T) {
	cfg := Config{Tokens: []Token{
		{Name: "partner", SHA256: digest(secret), Limits: intake.Limits{AccountPrefix: "eu-", Trust: schemas.TrustEvidence, Rate: 2, Burst: 4}},
		{Name: "other", SHA256: digest(secret + "2")},
	}}
	b := &intaketest.Broker{Lanes: 1}
	now := intaketest.Now
	g, err := New(cfg, Deps{Writer: intaketest.Producer(t, b, intake.Config{}), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	line := func(n int, account string) string {
		return strings.Replace(fmt.Sprintf(login, n), `"a"`, `"`+account+`"`, 1)
	}
	w := post(g, strings.NewReader(line(1, "eu-1")+line(2, "us-1")))
	if !strings.Contains(w.Body.String(), `"accepted":1,"refused_count":1`) || !strings.Contains(w.Body.String(), "account_not_allowed") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post(g, strings.NewReader(line(3, "us-1"))); w.Code != http.StatusForbidden {
		t.Errorf("another's account alone: %d %s", w.Code, w.Body)
	}
	body := ""
	for n := range 10 {
		body += line(10+n, "eu-1")
	}
	if w := post(g, strings.NewReader(body)); w.Code != http.StatusOK {
		t.Errorf("a body beyond the rate: %d %s", w.Code, w.Body)
	}
	if w := post(g, strings.NewReader(line(30, "eu-1"))); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "5" {
		t.Errorf("too early: %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if w := post(g, strings.NewReader(line(31, "us-1")), "Authorization", "Bearer "+secret+"2"); w.Code != http.StatusOK {
		t.Errorf("another token: %d %s", w.Code, w.Body)
	}
	now = now.Add(5 * time.Second)
	if w := post(g, strings.NewReader(line(30, "eu-1"))); w.Code != http.StatusOK {
		t.Errorf("in time: %d %s", w.Code, w.Body)
	}
	for _, r := range b.Log(schemas.TopicEvents, 0) {
		source, trust := "", ""
		for _, h := range r.Headers {
			switch h.Key {
			case schemas.HeaderSource:
				source = string(h.Value)
			case schemas.HeaderTrust:
				trust = string(h.Value)
			}
		}
		if (source == "http:partner") != (trust == "evidence") {
			t.Errorf("a record of %s has trust %q", source, trust)
		}
	}
}
