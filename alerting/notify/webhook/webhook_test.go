package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
	"holdfast/alerting/notify/webhook"
	"holdfast/schemas"
)

var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

func secretFile(t *testing.T, key []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("whsec_"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func key(b byte) []byte { return []byte(strings.Repeat(string(b), 32)) }

func newHook(t *testing.T, url string, keys ...[]byte) *webhook.Webhook {
	t.Helper()
	cfg := webhook.DefaultConfig()
	cfg.URL = url
	for _, k := range keys {
		cfg.SecretFiles = append(cfg.SecretFiles, secretFile(t, k))
	}
	w, err := webhook.New(cfg, webhook.Deps{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// verify is written from the Standard Webhooks text, apart from the code under test.
func verify(h http.Header, body []byte, key []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, h.Get("Webhook-Id"))
	io.WriteString(mac, ".")
	io.WriteString(mac, h.Get("Webhook-Timestamp"))
	io.WriteString(mac, ".")
	mac.Write(body)
	want := mac.Sum(nil)
	for _, s := range strings.Fields(h.Get("Webhook-Signature")) {
		version, text, _ := strings.Cut(s, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		if version == "v1" && err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

func TestChangeIsSigned(t *testing.T) {
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if !verify(r.Header, body, key('a'), noon) || !verify(r.Header, body, key('b'), noon) {
			t.Error("the signature of one of the two secrets is wrong")
		}
		if verify(r.Header, append(body, ' '), key('a'), noon) || verify(r.Header, body, key('c'), noon) {
			t.Error("a wrong body or secret verifies")
		}
		var c notify.Change
		if err := json.Unmarshal(body, &c); err != nil || c.Status != "suspended" || c.ID != r.Header.Get("Webhook-Id") || c.Step != 1 {
			t.Errorf("change %+v, %v", c, err)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	hook := newHook(t, s.URL, key('a'), key('b'))
	c := notify.Change{ID: "act_1", Entity: schemas.Entity{Kind: "account", ID: "a"}, Status: "suspended", Episode: 3, Step: 1}
	if retry, err := hook.Change(t.Context(), c); retry || err != nil || calls != 1 {
		t.Errorf("retry %v, %v, %d calls", retry, err, calls)
	}
}

func TestMessage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), `"text":"body"`) || r.Header.Get("Webhook-Id") != "ntc_1" {
			t.Errorf("%s, %v", body, err)
		}
	}))
	defer s.Close()
	if retry, err := newHook(t, s.URL, key('a')).Send(t.Context(), notify.Message{ID: "ntc_1", Body: "body"}); retry || err != nil {
		t.Errorf("retry %v, %v", retry, err)
	}
}

func TestStatuses(t *testing.T) {
	status := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		io.WriteString(w, "bad\x00news")
	}))
	defer s.Close()
	hook := newHook(t, s.URL, key('a'))
	for status = 200; status < 600; status++ {
		if status == http.StatusNotModified || status == http.StatusNoContent {
			continue // these have no body
		}
		retry, err := hook.Change(t.Context(), notify.Change{ID: "a"})
		if ok := status < 300; ok != (err == nil) || retry != (!ok && notify.Retry(status)) {
			t.Errorf("%d: retry %v, %v", status, retry, err)
		}
		if err != nil && strings.Contains(err.Error(), "redirects are never followed") != (status/100 == 3) {
			t.Errorf("%d: %q", status, err)
		}
		var failed *post.StatusError
		if err != nil && (!errors.As(err, &failed) || failed.RetryAfter() != 7*time.Second || failed.Gone() != (status == http.StatusGone) || strings.Contains(err.Error(), "\x00")) {
			t.Errorf("%d: %q", status, err)
		}
	}
}

func TestUnreachableMayBeTriedAgainAndHidesTheURL(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	retry, err := newHook(t, s.URL+"/secret-path", key('a')).Change(t.Context(), notify.Change{ID: "a"})
	if !retry || err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("retry %v, %v", retry, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if retry, err := newHook(t, s.URL, key('a')).Change(ctx, notify.Change{ID: "a"}); !retry || err == nil {
		t.Errorf("cancelled: retry %v, %v", retry, err)
	}
}

// The platform is asked with a signature, and an answer that is none is an error.
func TestStatusOfAnEntity(t *testing.T) {
	answer, status := `{"status":"suspended","more":1}`, 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !verify(r.Header, nil, key('a'), noon) || r.Method != http.MethodGet || r.URL.EscapedPath() != "/s/account:a%2Fb%3Fc" {
			t.Errorf("%s %s, or the signature is wrong", r.Method, r.URL.EscapedPath())
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer s.Close()
	cfg := webhook.DefaultConfig()
	cfg.URL, cfg.StatusURL, cfg.SecretFiles = s.URL, s.URL+"/s/{entity}", []string{secretFile(t, key('a'))}
	hook, err := webhook.New(cfg, webhook.Deps{Now: func() time.Time { return noon }})
	if err != nil || !hook.Reports() || newHook(t, s.URL, key('a')).Reports() {
		t.Fatal(err)
	}
	ask := func() (string, error) {
		is, err := hook.Status(t.Context(), schemas.Entity{Kind: "account", ID: "a/b?c"})
		return is.Status, err
	}
	if got, err := ask(); err != nil || got != "suspended" {
		t.Errorf("%q, %v", got, err)
	}
	for _, answer = range []string{"", "{}", "suspended", `{"status":1}`} {
		if got, err := ask(); err == nil {
			t.Errorf("%s was taken for %q", answer, got)
		}
	}
	status = http.StatusNotFound
	if got, err := ask(); err != nil || got != "active" {
		t.Errorf("unknown: %q, %v", got, err)
	}
	status = http.StatusInternalServerError
	if got, err := ask(); err == nil {
		t.Errorf("an error was taken for %q", got)
	}
}

func TestBadConfigs(t *testing.T) {
	good := secretFile(t, key('a'))
	short := secretFile(t, []byte("short"))
	for name, c := range map[string]struct{ url, file string }{
		"no TLS to another host": {"http://example.com/", good},
		"no URL":                 {"example.com", good},
		"user in the URL":        {"https://u:p@example.com/", good},
		"no secret":              {"https://example.com/", ""},
		"missing secret file":    {"https://example.com/", "/nowhere/at/all"},
		"short secret":           {"https://example.com/", short},
	} {
		cfg := webhook.DefaultConfig()
		cfg.URL = c.url
		if c.file != "" {
			cfg.SecretFiles = []string{c.file}
		}
		if _, err := webhook.New(cfg, webhook.Deps{}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
