package demo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/smtp"
	"holdfast/alerting/notify/webhook"
	"holdfast/schemas"
)

// The platform does what Holdfast's own webhook tells it, and nothing else.
func TestPlatform(t *testing.T) {
	var changes []Change
	p := NewPlatform(func(c Change) { changes = append(changes, c) })
	s := httptest.NewServer(p)
	defer s.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(p.Secret()), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := webhook.New(webhook.Config{Name: "platform", URL: s.URL, SecretFiles: []string{secret}, Timeout: 5 * time.Second}, webhook.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	tell := func(status string, step int) {
		t.Helper()
		if _, err := w.Change(t.Context(), notify.Change{ID: "act_1", Type: "status", Time: time.Now(), Entity: e, Status: status, Episode: 1, Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	if !p.Allows(e) {
		t.Error("nobody was suspended yet")
	}
	tell(Throttled, 1)
	if n := passed(p, e, 8); n != 2 {
		t.Errorf("%d of 8 pass while throttled, want 2", n)
	}
	tell(Suspended, 2)
	tell(Throttled, 1) // again, late
	if p.Allows(e) || p.Status(e) != Suspended || len(changes) != 2 || changes[1].Was != Throttled {
		t.Errorf("after the suspension: %s, changes %+v", p.Status(e), changes)
	}
	tell(Active, 3)
	if !p.Allows(e) {
		t.Error("the release changed nothing")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader([]byte(`{"entity":{"kind":"account","id":"acct-2"},"status":"suspended"}`)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || !p.Allows(schemas.Entity{Kind: schemas.KindAccount, ID: "acct-2"}) {
		t.Errorf("an unsigned request: %s", resp.Status)
	}
}

func passed(p *Platform, e schemas.Entity, n int) (out int) {
	for range n {
		if p.Allows(e) {
			out++
		}
	}
	return out
}

// What Holdfast's mailer sends arrives.
func TestMailbox(t *testing.T) {
	got := make(chan Mail, 1)
	m, err := NewMailbox(t.Context(), func(x Mail) { got <- x })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	mailer, err := smtp.New(smtp.Config{
		Host: "127.0.0.1", Port: m.Port(), TLS: smtp.TLSNone, From: "Holdfast <holdfast@demo.example>", Customers: true, Timeout: 10 * time.Second,
	}, smtp.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	msg := notify.Message{
		ID: "ntc_1", Time: time.Now(), Address: notify.Address{Audience: notify.AudienceCustomer, To: "owner@shop.example"},
		Subject: "Zażółć the account", Body: "Hello,\n.dot\n",
	}
	if _, err := mailer.Send(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	x := <-got
	if x.To != "owner@shop.example" || x.Subject != msg.Subject || !strings.Contains(x.Body, "Hello,") {
		t.Errorf("%+v", x)
	}
}
