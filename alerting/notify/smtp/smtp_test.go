package smtp_test

import (
	"context"
	"crypto/tls"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/smtp"
)

func plain(s *server) smtp.Config {
	cfg := smtp.DefaultConfig()
	cfg.Host, cfg.Port, cfg.TLS, cfg.From = "127.0.0.1", s.port(), smtp.TLSNone, "Holdfast <holdfast@example.com>"
	cfg.Operators, cfg.Timeout = []string{"ops@example.com"}, 5*time.Second
	return cfg
}

func mailer(t *testing.T, cfg smtp.Config) *smtp.Mailer {
	t.Helper()
	m, err := smtp.New(cfg, smtp.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func message(to string) notify.Message {
	return notify.Message{ID: "ntc_1", Address: notify.Address{Audience: notify.AudienceOperator, To: to}, Subject: "Zoë wants a look", Body: "4312 recipients — in 5m\n"}
}

func TestSend(t *testing.T) {
	s := newServer(t, false)
	retry, err := mailer(t, plain(s)).Send(t.Context(), message("ops@example.com"))
	if retry || err != nil {
		t.Fatalf("retry %v, %v", retry, err)
	}
	got := s.got()
	if len(got) != 1 || len(got[0].to) != 1 || !strings.Contains(got[0].to[0], "ops@example.com") {
		t.Fatalf("got %+v", got)
	}
	m, err := mail.ReadMessage(strings.NewReader(got[0].data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Zoë wants a look" {
		t.Errorf("subject %q, %v", subject, err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || !strings.Contains(string(body), "4312 recipients — in 5m") {
		t.Errorf("body %q, %v", body, err)
	}
	if m.Header.Get("Message-Id") != "<ntc_1@example.com>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v", m.Header)
	}
}

func TestTLSAndLogin(t *testing.T) {
	s := newServer(t, true)
	var ca string
	s.tls, ca = certificate(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := plain(s)
	cfg.TLS, cfg.CAFile, cfg.Username, cfg.PasswordFile = smtp.TLSStart, ca, "holdfast", password
	if retry, err := mailer(t, cfg).Send(t.Context(), message("ops@example.com")); retry || err != nil {
		t.Fatalf("retry %v, %v", retry, err)
	}
	if got := s.got(); len(got) != 1 || !got[0].secure || got[0].user != "holdfast" {
		t.Errorf("got %+v", got)
	}
	cfg.CAFile = ""
	if _, err := mailer(t, cfg).Send(t.Context(), message("ops@example.com")); err == nil {
		t.Error("an unknown certificate was trusted")
	}
	if err := os.WriteFile(password, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.CAFile = ca
	if retry, err := mailer(t, cfg).Send(t.Context(), message("ops@example.com")); retry || err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: retry %v, %v", retry, err)
	}
	if n := len(s.got()); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

func TestTLSFromTheFirstByte(t *testing.T) {
	s := newServer(t, false)
	config, ca := certificate(t)
	s.mu.Lock()
	s.wrap = func(c net.Conn) net.Conn { return tls.Server(c, config) }
	s.mu.Unlock()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("right"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := plain(s)
	cfg.TLS, cfg.CAFile, cfg.Username, cfg.PasswordFile = smtp.TLSOnly, ca, "holdfast", password
	if retry, err := mailer(t, cfg).Send(t.Context(), message("ops@example.com")); retry || err != nil {
		t.Fatalf("retry %v, %v", retry, err)
	}
	if got := s.got(); len(got) != 1 || got[0].user != "holdfast" {
		t.Errorf("got %+v", got)
	}
}

func TestASilentServerIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := plain(&server{listener: l})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			cancel()
			_, _ = c.Read(make([]byte, 1)) // until the other side leaves
		}
	}()
	began := time.Now()
	if retry, err := mailer(t, cfg).Send(ctx, message("ops@example.com")); err == nil || !retry {
		t.Errorf("retry %v, %v", retry, err)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("it took %s to leave", d)
	}
}

func TestStartTLSIsNotOptional(t *testing.T) {
	s := newServer(t, false)
	cfg := plain(s)
	cfg.TLS = smtp.TLSStart
	if _, err := mailer(t, cfg).Send(t.Context(), message("ops@example.com")); err == nil || len(s.got()) != 0 {
		t.Errorf("a server without TLS was used: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for answer, again := range map[string]bool{"550 5.1.1 no such user": false, "451 4.3.0 later": true, "421 4.4.2 busy": true, "552 5.2.2 full": false} {
		s := newServer(t, false)
		s.refuse = answer
		if retry, err := mailer(t, plain(s)).Send(t.Context(), message("ops@example.com")); err == nil || retry != again {
			t.Errorf("%s: retry %v, %v", answer, retry, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	s := newServer(t, false)
	cfg := plain(s)
	s.listener.Close()
	if retry, err := mailer(t, cfg).Send(t.Context(), message("ops@example.com")); err == nil || !retry {
		t.Errorf("retry %v, %v", retry, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mailer(t, cfg).Send(ctx, message("ops@example.com")); err == nil {
		t.Error("a cancelled send succeeded")
	}
}

func TestNothingIsInjected(t *testing.T) {
	s := newServer(t, false)
	m := mailer(t, plain(s))
	for _, to := range []string{"a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "", "a@example.com\x00", "nobody"} {
		if retry, err := m.Send(t.Context(), message(to)); err == nil || retry {
			t.Errorf("%q: retry %v, %v", to, retry, err)
		}
	}
	if n := len(s.got()); n != 0 {
		t.Fatalf("%d mails left", n)
	}
	n := message("a@example.com")
	n.Subject = "x\r\nBcc: b@example.com\r\n\r\nbody"
	n.Body = "one\r\n.\r\nMAIL FROM:<c@example.com>\r\n"
	if _, err := m.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got := s.got()
	if len(got) != 1 || len(got[0].to) != 1 {
		t.Fatalf("got %+v", got)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(got[0].data))
	if err != nil || parsed.Header.Get("Bcc") != "" {
		t.Errorf("header %v, %v", parsed.Header, err)
	}
}

func TestBadConfigs(t *testing.T) {
	s := newServer(t, false)
	for name, change := range map[string]func(*smtp.Config){
		"no host":              func(c *smtp.Config) { c.Host = "" },
		"no port":              func(c *smtp.Config) { c.Port = 0 },
		"unknown tls":          func(c *smtp.Config) { c.TLS = "maybe" },
		"password in clear":    func(c *smtp.Config) { c.Username, c.PasswordFile = "u", "p" },
		"user without file":    func(c *smtp.Config) { c.Username, c.TLS = "u", smtp.TLSOnly },
		"missing file":         func(c *smtp.Config) { c.Username, c.PasswordFile, c.TLS = "u", "/nowhere", smtp.TLSOnly },
		"bad from":             func(c *smtp.Config) { c.From = "nobody" },
		"bad operator":         func(c *smtp.Config) { c.Operators = []string{"x"} },
		"missing certificates": func(c *smtp.Config) { c.TLS, c.CAFile = smtp.TLSOnly, "/nowhere" },
	} {
		cfg := plain(s)
		change(&cfg)
		if _, err := smtp.New(cfg, smtp.Deps{}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// Addresses outside of ASCII: a domain has a form that every server takes, a local part has not.
func TestAddressesOutsideOfASCII(t *testing.T) {
	for _, c := range []struct {
		to, rcpt string
		offered  bool
	}{
		{"a@münchen.example", "TO:<a@xn--mnchen-3ya.example>", false},
		{"a@MÜNCHEN.example", "TO:<a@xn--mnchen-3ya.example>", false},
		{"a@xn--mnchen-3ya.example", "TO:<a@xn--mnchen-3ya.example>", false},
		{"jörg@example.com", "", false},
		{"jörg@münchen.example", "", false},
		{"jörg@example.com", "TO:<jörg@example.com>", true},
		{"jörg@münchen.example", "TO:<jörg@xn--mnchen-3ya.example>", true},
		{"a@xn--\u0000.example", "", true},
		{"a@b\u2024c\u00ad..example", "", true},
	} {
		s := newServer(t, false)
		s.utf8 = c.offered
		retry, err := mailer(t, plain(s)).Send(t.Context(), message(c.to))
		got := s.got()
		if c.rcpt == "" {
			if err == nil || retry || len(got) != 0 || !strings.Contains(err.Error(), "SMTPUTF8") && !c.offered {
				t.Errorf("%s: retry %v, %v, sent %d", c.to, retry, err, len(got))
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].to[0] != c.rcpt {
			t.Errorf("%s: %v, got %+v", c.to, err, got)
			continue
		}
		if said := strings.Contains(got[0].from, "SMTPUTF8"); said != c.offered {
			t.Errorf("%s: MAIL %s", c.to, got[0].from)
		}
	}
}
