// Package webhook posts changes and messages as signed JSON, as Standard Webhooks
// describes: webhook-id is the idempotency key (the action's or notice's id, the
// same at every try), webhook-timestamp the time of the try, webhook-signature one
// v1 HMAC-SHA256 for each secret. It follows no redirect, reads at most 4 KiB of an
// answer, and leaves trying again to its caller: 2xx is success, notify.Retry
// judges every other status, and what never got an answer may be tried again.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// Webhook is one receiver. It is safe for concurrent use.
type Webhook struct {
	cfg     Config
	secrets [][]byte
	client  *http.Client
	now     func() time.Time
}

// Deps are what a Webhook works with; each may be missing.
type Deps struct {
	Transport http.RoundTripper
	Now       func() time.Time
}

// New reads the secrets and returns a receiver that connects when it is used.
func New(cfg Config, deps Deps) (*Webhook, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook %q: %w", cfg.Name, err)
	}
	w := &Webhook{cfg: cfg, now: deps.Now, client: &http.Client{
		Transport: deps.Transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if w.now == nil {
		w.now = time.Now
	}
	for _, path := range cfg.SecretFiles {
		text, err := notify.ReadSecret(path)
		if err != nil {
			return nil, fmt.Errorf("webhook %q: %w", cfg.Name, err)
		}
		key, err := parseSecret(text)
		if err != nil {
			return nil, fmt.Errorf("webhook %q: secret file %s: %w", cfg.Name, path, err)
		}
		w.secrets = append(w.secrets, key)
	}
	return w, nil
}

// Name is the receiver's name.
func (w *Webhook) Name() string { return w.cfg.Name }

// Audiences says that a webhook which takes messages tells operators.
func (w *Webhook) Audiences() []notify.Address {
	return []notify.Address{{Audience: notify.AudienceOperator, To: w.cfg.Name}}
}

// Customers says that a webhook tells no customer.
func (w *Webhook) Customers() bool { return false }

// Change tells the platform an entity's new standing.
func (w *Webhook) Change(ctx context.Context, c notify.Change) (bool, error) {
	return w.post(ctx, c.ID, c)
}

// message is how a notice looks to a receiver; text is what chat systems show.
type message struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Time     time.Time       `json:"timestamp"`
	Text     string          `json:"text"`
	Subject  string          `json:"subject"`
	Page     bool            `json:"page,omitempty"`
	Entity   schemas.Entity  `json:"entity"`
	Verdict  schemas.Verdict `json:"verdict"`
	Policy   string          `json:"policy"`
	Decision string          `json:"decision"`
}

// Send posts a message.
func (w *Webhook) Send(ctx context.Context, m notify.Message) (bool, error) {
	return w.post(ctx, m.ID, message{
		ID: m.ID, Type: "notice." + m.Address.Audience, Time: m.Time, Text: m.Body, Subject: m.Subject, Page: m.Page,
		Entity: m.Decision.Entity, Verdict: m.Decision.Verdict, Policy: m.Decision.Policy, Decision: m.Decision.ID,
	})
}

// maxAnswer is how much of an answer is read, so that the connection can be used again.
const maxAnswer = 4 << 10

func (w *Webhook) post(ctx context.Context, id string, value any) (retry bool, err error) {
	body, err := json.Marshal(value)
	if err != nil {
		return false, fmt.Errorf("webhook %s: encode: %w", w.cfg.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("webhook %s: the url cannot be used", w.cfg.Name)
	}
	now := w.now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "holdfast")
	req.Header.Set(headerID, id)
	req.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(headerSignature, signature(w.secrets, id, now, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return true, fmt.Errorf("webhook %s: %w", w.cfg.Name, withoutURL(err))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return notify.Retry(resp.StatusCode), &StatusError{
		Name: w.cfg.Name, Status: resp.StatusCode, Detail: notify.Clip(printable(text), 200), after: notify.RetryAfter(resp.Header, now),
	}
}

// withoutURL takes the URL out of a client's error: its path may be a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == 0xFFFD {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), " "))
}

// StatusError says that the receiver answered with a status other than 2xx.
type StatusError struct {
	Name   string
	Status int
	Detail string
	after  time.Duration
}

// Error names the receiver and the status.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("webhook %s answered %d %s", e.Name, e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// RetryAfter is the pause that the receiver asked for, 0 where it did not.
func (e *StatusError) RetryAfter() time.Duration { return e.after }
