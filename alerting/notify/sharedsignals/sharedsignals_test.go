package sharedsignals_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post/posttest"
	"holdfast/alerting/notify/sharedsignals"
	"holdfast/schemas"
)

const (
	issuer   = "https://holdfast.platform.example/"
	audience = "https://idp.example/ssf"
)

func keyFile(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func config(t *testing.T, url string, key any) sharedsignals.Config {
	t.Helper()
	return sharedsignals.Config{
		Name: "idp", URL: url, Issuer: issuer, Audience: audience, KeyFile: keyFile(t, key), KeyID: "k1", TokenFile: posttest.Secret(t, "letmein"), Timeout: 5 * time.Second,
	}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// receiver takes tokens as RFC 8935 says, and verifies them by another library than the one
// that signs.
type receiver struct {
	t      *testing.T
	public any
	got    []map[string]any
	jti    map[string]int
	answer []func(http.ResponseWriter) bool
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	refuse := func(status int, err, why string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"err":%q,"description":%q}`, err, why)
	}
	if len(r.answer) > 0 {
		f := r.answer[0]
		r.answer = r.answer[1:]
		if f(w) {
			return
		}
	}
	body, _ := io.ReadAll(q.Body)
	switch {
	case q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/secevent+jwt" || !strings.Contains(q.Header.Get("Accept"), "application/json"):
		refuse(400, "invalid_request", "not a SET")
	case q.Header.Get("Authorization") != "Bearer letmein":
		refuse(400, "authentication_failed", "who are you")
	default:
		token, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256", "RS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithIssuedAt(), jwt.WithStrictDecoding()).
			Parse(string(body), func(tok *jwt.Token) (any, error) {
				if tok.Header["typ"] != "secevent+jwt" || tok.Header["kid"] != "k1" {
					return nil, fmt.Errorf("header %v", tok.Header)
				}
				return r.public, nil
			})
		if err != nil {
			r.t.Errorf("the token does not verify: %v", err)
			refuse(400, "invalid_request", err.Error())
			return
		}
		c := token.Claims.(jwt.MapClaims)
		for _, never := range []string{"sub", "exp", "nbf"} {
			if _, ok := c[never]; ok {
				r.t.Errorf("it has %s", never)
			}
		}
		r.jti[c["jti"].(string)]++
		r.got = append(r.got, c)
		w.WriteHeader(http.StatusAccepted)
	}
}

func start(t *testing.T, key *ecdsa.PrivateKey) (*receiver, string) {
	t.Helper()
	r := &receiver{t: t, public: &key.PublicKey, jti: map[string]int{}}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return r, s.URL
}

func message(what notify.What, change ...func(*notify.Occasion)) notify.Message {
	at := time.Date(2026, 3, 12, 20, 24, 49, 0, time.UTC)
	o := notify.Occasion{
		What: what, Case: "case_1", Cause: "dec_1", Time: at, Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, Account: "acct-1", Credential: "key_1",
		Reason: "We saw mail that does not look like yours.", Why: "4312 recipients in 5m, threshold 400", Policy: "account-unknown-source",
	}
	for _, f := range change {
		f(&o)
	}
	return notify.Message{ID: "ntc_1" + string(what), Time: at.Add(time.Second), Occasion: o}
}

// Each occasion gives the events that the profiles name for it, with the attributes and the
// subject of the specifications' examples, one event a token.
func TestEventsAreThoseOfTheProfiles(t *testing.T) {
	const (
		risc = "https://schemas.openid.net/secevent/risc/event-type/"
		caep = "https://schemas.openid.net/secevent/caep/event-type/"
	)
	employee := func(o *notify.Occasion) {
		o.Entity, o.Account, o.Credential = schemas.Entity{Kind: schemas.KindEmployee, ID: "jo"}, "", ""
	}
	person := func(o *notify.Occasion) { o.By, o.Credential = "ann", "" }
	disabled := map[string]any{"reason": "hijacking"}
	at := float64(1773347089)
	compromised := map[string]any{"credential_type": "password", "event_timestamp": at, "reason_admin": map[string]any{"en": "credential key_1 is used by somebody else"}}
	revoked := func(by string, told bool) map[string]any {
		out := map[string]any{"event_timestamp": at, "initiating_entity": by}
		if told {
			out["reason_user"] = map[string]any{"en": "We saw mail that does not look like yours."}
		}
		return out
	}
	none := map[string]any{}
	for name, x := range map[string]struct {
		m    notify.Message
		want []map[string]any
	}{
		"stopped": {message(notify.Stopped), []map[string]any{
			{risc + "account-disabled": disabled}, {caep + "session-revoked": revoked("policy", true)}, {risc + "credential-compromise": compromised}, {risc + "account-credential-change-required": none},
		}},
		"relapsed": {message(notify.Relapsed, func(o *notify.Occasion) { o.Credential = "" }), []map[string]any{
			{risc + "account-disabled": disabled}, {caep + "session-revoked": revoked("policy", true)}, {risc + "account-credential-change-required": none},
		}},
		"by a person": {message(notify.Stopped, person), []map[string]any{{risc + "account-disabled": none}, {caep + "session-revoked": revoked("admin", true)}}},
		"an employee": {message(notify.Stopped, employee), []map[string]any{
			{risc + "account-disabled": disabled}, {caep + "session-revoked": revoked("policy", false)}, {risc + "account-credential-change-required": none},
		}},
		"revoked":   {message(notify.Revoked), []map[string]any{{risc + "credential-compromise": compromised}, {risc + "account-credential-change-required": none}}},
		"released":  {message(notify.Released), []map[string]any{{risc + "account-enabled": none}}},
		"probation": {message(notify.Probation), []map[string]any{{risc + "account-enabled": none}}},
		"slowed":    {message(notify.Slowed), nil},
	} {
		t.Run(name, func(t *testing.T) {
			key := ecKey(t)
			r, url := start(t, key)
			s, err := sharedsignals.New(config(t, url, key), sharedsignals.Deps{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Send(t.Context(), x.m); err != nil {
				t.Fatal(err)
			}
			var got []map[string]any
			for _, c := range r.got {
				got = append(got, c["events"].(map[string]any))
				id := x.m.Occasion.Entity.ID
				if d := cmp.Diff(map[string]any{"format": "iss_sub", "iss": issuer, "sub": id}, c["sub_id"]); d != "" || c["txn"] != "case_1" || c["iat"] != at+1 {
					t.Errorf("%s %v", d, c)
				}
				if all := fmt.Sprint(c); strings.Contains(all, "4312") || strings.Contains(all, "account-unknown-source") {
					t.Errorf("evidence leaves: %s", all)
				}
			}
			if d := cmp.Diff(x.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Tokens that come again have the same jti; what can be put right is tried again.
func TestTriesAndRefusals(t *testing.T) {
	key := ecKey(t)
	r, url := start(t, key)
	cfg := config(t, url, key)
	cfg.Subject, cfg.Events = sharedsignals.SubjectOpaque, []string{sharedsignals.AccountDisabled, sharedsignals.SessionRevoked}
	s, err := sharedsignals.New(cfg, sharedsignals.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	say := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	take := func(http.ResponseWriter) bool { return false }
	m := message(notify.Stopped)
	r.answer = append(r.answer, take, say(503, ""))
	retry, err := s.Send(t.Context(), m)
	if after, ok := errorAfter(err); err == nil || !retry || !ok || after != 7*time.Second {
		t.Fatalf("retry %v, %v", retry, err)
	}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(r.jti) != 2 || len(r.got) != 3 {
		t.Errorf("jti %v", r.jti)
	}
	if d := cmp.Diff(map[string]any{"format": "opaque", "id": "acct-1"}, r.got[0]["sub_id"]); d != "" {
		t.Error(d)
	}
	for body, want := range map[string]bool{
		`{"err":"invalid_request","description":"x"}`: false, `{"err":"invalid_issuer"}`: false, `{"err":"invalid_audience"}`: false, "": false,
		`{"err":"invalid_key"}`: true, `{"err":"authentication_failed","description":"` + strings.Repeat("x", 500) + `"}`: true, `{"err":"access_denied"}`: true,
	} {
		r.answer = append(r.answer, say(400, body))
		if retry, err := s.Send(t.Context(), m); err == nil || retry != want {
			t.Errorf("%s: retry %v, %v", body, retry, err)
		}
	}
}

func errorAfter(err error) (time.Duration, bool) {
	for e := err; e != nil; {
		if a, ok := e.(interface{ RetryAfter() time.Duration }); ok {
			return a.RetryAfter(), true
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			return 0, false
		}
		e = u.Unwrap()
	}
	return 0, false
}

func TestKeys(t *testing.T) {
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sharedsignals.New(config(t, "http://127.0.0.1:1/", strong), sharedsignals.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(message(notify.Released), sharedsignals.AccountEnabled)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return &strong.PublicKey, nil }); err != nil {
		t.Error(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bad := config(t, "http://127.0.0.1:1/", p384)
	if _, err := sharedsignals.New(bad, sharedsignals.Deps{}); err == nil || !strings.Contains(err.Error(), "P-256") {
		t.Errorf("P-384: %v", err)
	}
	for what, change := range map[string]func(*sharedsignals.Config){
		"no TLS": func(c *sharedsignals.Config) { c.URL = "http://idp.example/" }, "no address": func(c *sharedsignals.Config) { c.URL = "idp" },
		"issuer": func(c *sharedsignals.Config) { c.Issuer = "me" }, "audience": func(c *sharedsignals.Config) { c.Audience = "" },
		"subject": func(c *sharedsignals.Config) { c.Subject = "phone" }, "events": func(c *sharedsignals.Config) { c.Events = []string{"account-purged"} },
		"PEM": func(c *sharedsignals.Config) { c.KeyFile = posttest.Secret(t, "no") }, "key_file": func(c *sharedsignals.Config) { c.KeyFile = "" },
	} {
		c := config(t, "http://127.0.0.1:1/", strong)
		change(&c)
		if _, err := sharedsignals.New(c, sharedsignals.Deps{}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
