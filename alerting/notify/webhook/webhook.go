// Package webhook posts changes and messages as signed JSON, as Standard Webhooks
// describes: webhook-id is the idempotency key (the action's or notice's id, the
// same at every try), webhook-timestamp the time of the try, webhook-signature one
// v1 HMAC-SHA256 for each secret. It follows no redirect, reads at most 4 KiB of an
// answer, and leaves trying again to its caller: 2xx is success, 400 and 422 refuse the
// body, and whatever else is answered, or never answered, may be tried again.
// What the platform must do is in deploy/docs/webhook.md; deploy/examples/receiver does it.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
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
	w := &Webhook{cfg: cfg, now: deps.Now, client: post.Client(cfg.Timeout, deps.Transport)}
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

	Happened notify.What      `json:"happened,omitempty"` // opened, slowed, stopped, …
	Case     string           `json:"case,omitempty"`     // what follows in one case has the same
	Severity schemas.Severity `json:"severity,omitempty"`
	Account  string           `json:"account,omitempty"`
	Plan     string           `json:"plan,omitempty"`
	Language string           `json:"language,omitempty"`
	Link     string           `json:"link,omitempty"`  // where people look at the case
	Steps    []schemas.Step   `json:"steps,omitempty"` // of the way back, with their state
	Cases    []message        `json:"cases,omitempty"` // where the message is about several
}

// Send posts a message. One about several cases lists all of them.
func (w *Webhook) Send(ctx context.Context, m notify.Message) (bool, error) {
	return w.post(ctx, m.ID, Preview(m))
}

// Preview is what a receiver of messages is sent.
func Preview(m notify.Message) any {
	body := about(m)
	for _, p := range m.Parts {
		one := about(p)
		one.Text = ""
		body.Cases = append(body.Cases, one)
	}
	return body
}

func about(m notify.Message) message {
	return message{
		ID: m.ID, Type: "notice." + m.Address.Audience, Time: m.Time, Text: m.Body, Subject: m.Subject, Page: m.Page,
		Entity: m.Decision.Entity, Verdict: m.Decision.Verdict, Policy: m.Decision.Policy, Decision: m.Decision.ID,
		Happened: m.Occasion.What, Case: m.Occasion.Case, Severity: m.Occasion.Severity, Account: m.Occasion.Account, Plan: m.Occasion.Plan,
		Language: m.Language, Link: m.CaseURL, Steps: m.Occasion.Steps,
	}
}

func (w *Webhook) post(ctx context.Context, id string, value any) (retry bool, err error) {
	body, err := json.Marshal(value)
	if err != nil {
		return false, fmt.Errorf("webhook %s: encode: %w", w.cfg.Name, err)
	}
	_, err = w.do(ctx, http.MethodPost, w.cfg.URL, id, body)
	return post.Retry(err), err
}

// do makes one signed request and returns the first 4 KiB of a 2xx answer.
func (w *Webhook) do(ctx context.Context, method, address, id string, body []byte) ([]byte, error) {
	now := w.now()
	return post.Do(ctx, w.client, "webhook "+w.cfg.Name, method, address, body, http.Header{
		headerID: {id}, headerTimestamp: {strconv.FormatInt(now.Unix(), 10)}, headerSignature: {signature(w.secrets, id, now, body)},
	})
}

// Reports says whether the platform can be asked which status it keeps.
func (w *Webhook) Reports() bool { return w.cfg.StatusURL != "" }

// Status asks the platform which standing it keeps of an entity; one that it does not know
// is active.
func (w *Webhook) Status(ctx context.Context, e schemas.Entity) (notify.Report, error) {
	address := strings.ReplaceAll(w.cfg.StatusURL, EntityPlace, url.PathEscape(e.Key()))
	text, err := w.do(ctx, http.MethodGet, address, schemas.DeriveID("rec", e.Key(), strconv.FormatInt(w.now().UnixNano(), 10)), nil)
	var answered *post.StatusError
	switch {
	case errors.As(err, &answered) && answered.Status == http.StatusNotFound:
		return notify.Report{Status: schemas.StatusActive}, nil
	case err != nil:
		return notify.Report{}, err
	}
	var is notify.Report
	if err := json.Unmarshal(text, &is); err != nil || is.Status == "" {
		return notify.Report{}, fmt.Errorf(`webhook %s: the answer to a question for a status is not {"status": "…"}`, w.cfg.Name)
	}
	return is, nil
}
