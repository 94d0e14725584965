package api

import (
	"bufio"
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// provider runs a real OpenID provider (zitadel's) that sends people back to an origin, and
// gives its issuer.
func provider(t *testing.T, origin string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "provider")
	build := exec.CommandContext(t.Context(), "go", "-C", filepath.Join("..", "..", ".ci", "oidc"), "build", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("the OpenID provider of .ci/oidc cannot be built: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, binary, origin+callback)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); cancel(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// browser keeps cookies, and goes where it is sent until a page of ours.
type browser struct {
	t      *testing.T
	client *http.Client
	ours   string
	last   string // the address of the callback
}

func newBrowser(t *testing.T, ours string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, ours: ours}
	b.client = &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), ours) {
			if strings.Contains(r.URL.Path, callback) {
				b.last = r.URL.String()
				return nil
			}
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

func (b *browser) get(at string) *http.Response {
	b.t.Helper()
	r, err := b.client.Get(at)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

// signIn goes to the provider and shows it a password.
func (b *browser) signIn(issuer, to string) *http.Response {
	b.t.Helper()
	page := b.get(b.ours + "/v1/oidc/start?to=" + url.QueryEscape(to))
	id := page.Request.URL.Query().Get("authRequestID")
	if page.StatusCode != http.StatusOK || id == "" {
		b.t.Fatalf("the provider's page is %s: %d", page.Request.URL, page.StatusCode)
	}
	r, err := b.client.PostForm(issuer+"login/username", url.Values{"id": {id}, "username": {"test-user@localhost"}, "password": {"verysecure"}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

func TestOIDC(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	issuer := provider(t, server.URL)
	o, err := NewOIDC(OIDCConfig{Issuer: issuer, ClientID: "holdfast", Secret: "a secret of the test", Origin: server.URL, Scopes: []string{"profile", "email"},
		NameClaim: "preferred_username", RoleClaim: "given_name", Roles: map[string]Role{"Test": RoleAnalyst, "Other": RoleAdmin}})
	if err != nil {
		t.Fatal(err)
	}
	w.handler = NewHandler(w.service, HandlerConfig{OIDC: o})

	ann := newBrowser(t, server.URL)
	r := ann.signIn(issuer, "/queue?stage=open")
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/queue?stage=open" {
		t.Fatalf("signed in: %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	if r := ann.get(server.URL + "/v1/me"); r.StatusCode != http.StatusOK {
		t.Fatalf("and then: %d", r.StatusCode)
	}
	who, ok := w.service.people.viewOf("test-user@localhost")
	if !ok || who.Role != RoleAnalyst || !who.OIDC || who.Password {
		t.Errorf("who signed in is %+v", who)
	}
	// The provider's answer works once, and in the browser that asked.
	for name, b := range map[string]*browser{"again": ann, "in another browser": newBrowser(t, server.URL)} {
		if r := b.get(ann.last); r.StatusCode != http.StatusForbidden {
			t.Errorf("the provider's answer %s: %d", name, r.StatusCode)
		}
	}
	// Another person's answer, put into a browser that began a sign-in of its own.
	eve := newBrowser(t, server.URL)
	eve.signIn(issuer, "/")
	victim := newBrowser(t, server.URL)
	victim.get(server.URL + "/v1/oidc/start")
	if r := victim.get(eve.last); r.StatusCode != http.StatusForbidden {
		t.Errorf("somebody was signed in as another: %d", r.StatusCode)
	}
	for _, to := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"} {
		if r := newBrowser(t, server.URL).signIn(issuer, to); r.Header.Get("Location") != "/" {
			t.Errorf("%q leads to %q", to, r.Header.Get("Location"))
		}
	}
	// Roles follow the claims; who is disabled here stays so.
	o.cfg.Roles = map[string]Role{"Test": RoleLead}
	if newBrowser(t, server.URL).signIn(issuer, "/"); roleOf(w, "test-user@localhost") != RoleLead {
		t.Errorf("the role is %s", roleOf(w, "test-user@localhost"))
	}
	yes := true
	if _, err := w.service.ChangePerson(t.Context(), Principal{Name: "root", Role: RoleAdmin}, "test-user@localhost", PersonChange{Disabled: &yes, Why: "left"}); err != nil {
		t.Fatal(err)
	}
	if r := newBrowser(t, server.URL).signIn(issuer, "/"); r.StatusCode != http.StatusForbidden {
		t.Errorf("disabled: %d", r.StatusCode)
	}
	if r := ann.get(server.URL + "/v1/me"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session of who was disabled: %d", r.StatusCode)
	}
}

// A name at the provider does not take over who has it here.
func TestOIDCTakesNobodyOver(t *testing.T) {
	w := newWorld(t)
	w.add("ann", RoleAdmin)
	o, err := NewOIDC(OIDCConfig{Issuer: "https://id.example", NameClaim: "name", RoleClaim: "role", Roles: map[string]Role{"x": RoleViewer}})
	if err != nil {
		t.Fatal(err)
	}
	for name, claims := range map[string]map[string]any{
		"a taken name": {"name": "ann", "role": "x"}, "no role": {"name": "bob"}, "another's role": {"name": "bob", "role": "y"}, "no name": {"role": "x"}, "a bad name": {"name": "a b", "role": "x"}, "our own word": {"name": "holdfast", "role": "x"},
	} {
		if _, err := w.service.known(t.Context(), o, "https://id.example 1", claims, ""); err == nil {
			t.Errorf("%s: somebody is let in", name)
		}
	}
	if got, err := w.service.known(t.Context(), o, "https://id.example 1", map[string]any{"name": "Bob", "role": []any{"z", "x"}}, ""); err != nil || got != "bob" {
		t.Errorf("somebody with a role: %q, %v", got, err)
	}
}

func roleOf(w *world, name string) Role {
	v, _ := w.service.people.viewOf(name)
	return v.Role
}
