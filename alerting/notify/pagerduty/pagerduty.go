// Package pagerduty pages operators by PagerDuty's Events API v2. One case is one alert: the
// dedup key is the case's, so that what follows in it joins the alert that is open, and its
// end resolves it. A message about several cases has a key by what they are gathered by.
// Limits are PagerDuty's: 1,024 characters of summary, 255 of a dedup key, 512 KiB an event.
package pagerduty

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
	"holdfast/schemas"
)

// PagerDuty is one integration. It is safe for concurrent use.
type PagerDuty struct {
	cfg Config
	key string
	to  post.Poster
}

// Deps are what a PagerDuty works with; each may be missing.
type Deps struct{ Transport http.RoundTripper }

// New reads the routing key.
func New(cfg Config, deps Deps) (*PagerDuty, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pagerduty %q: %w", cfg.Name, err)
	}
	key, err := notify.ReadSecret(cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("pagerduty %q: %w", cfg.Name, err)
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("pagerduty %q: routing_key_file %s holds %d characters: a routing key has 32", cfg.Name, cfg.KeyFile, len(key))
	}
	if cfg.URL == "" {
		cfg.URL = Events
	}
	return &PagerDuty{cfg, key, post.Poster{Name: "pagerduty " + cfg.Name, URL: cfg.URL, Client: post.Client(cfg.Timeout, deps.Transport)}}, nil
}

// Name is the integration's name.
func (p *PagerDuty) Name() string { return p.cfg.Name }

// Audiences says that it tells operators.
func (p *PagerDuty) Audiences() []notify.Address {
	return []notify.Address{{Audience: notify.AudienceOperator, To: p.cfg.Name}}
}

// Customers says that it tells no customer.
func (p *PagerDuty) Customers() bool { return false }

type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"` // trigger, resolve
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
	Payload    *payload `json:"payload,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"` // critical, error, warning, info
	Timestamp string            `json:"timestamp,omitempty"`
	Class     string            `json:"class,omitempty"`
	Component string            `json:"component,omitempty"` // account, ip, employee
	Group     string            `json:"group,omitempty"`     // the policy
	Details   map[string]string `json:"custom_details,omitempty"`
}

// maxSummary and maxDedup are PagerDuty's limits, in characters.
const (
	maxSummary = 1024
	maxDedup   = 255
)

// Send triggers an alert, or resolves it where the case is over. What asks nobody to act
// at once is passed over unless Config.All is set.
func (p *PagerDuty) Send(ctx context.Context, m notify.Message) (retry bool, err error) {
	e, ok := p.event(m)
	if !ok {
		return false, nil
	}
	return p.to.JSON(ctx, e)
}

// Preview is what PagerDuty is sent, also of what asks nobody to act at once; the routing key
// is left out.
func Preview(m notify.Message) any {
	e, _ := (&PagerDuty{cfg: Config{All: true}}).event(m)
	return e
}

// event is the event of a message; false says that it is passed over.
func (p *PagerDuty) event(m notify.Message) (event, bool) {
	e := event{RoutingKey: p.key, DedupKey: dedup(m)}
	switch {
	case m.Occasion.Ends() || m.Occasion.What == "" && m.Decision.Verdict == schemas.VerdictRelease:
		e.Action = "resolve"
	case !m.Page && !p.cfg.All:
		return e, false
	default:
		e.Action, e.Client, e.ClientURL = "trigger", "holdfast", m.CaseURL
		e.Payload = &payload{
			Summary: clip(m.Subject, maxSummary), Source: "holdfast", Severity: severity(m), Class: cmp.Or(string(m.Occasion.What), string(m.Decision.Verdict)),
			Component: string(m.Decision.Entity.Kind), Group: m.Decision.Policy,
			Details: map[string]string{"entity": m.Decision.Entity.Key(), "policy": m.Decision.Policy, "decision": m.Decision.ID, "case": m.Case(), "notice": m.ID, "text": notify.Clip(m.Body, 32<<10)},
		}
		if !m.Time.IsZero() {
			e.Payload.Timestamp = m.Time.UTC().Format(time.RFC3339)
		}
	}
	return e, true
}

// dedup is the alert that a message belongs to: the case's, that of what several are gathered
// by, or the entity's; without any the message's own.
func dedup(m notify.Message) string {
	key := "holdfast/" + m.Decision.Entity.Key()
	switch {
	case len(m.Parts) > 0:
		key = "holdfast/many/" + m.Spree
	case m.Case() != "":
		key = "holdfast/" + m.Case()
	case m.Decision.Entity.IsZero():
		key = "holdfast/notice/" + m.ID
	}
	if len(key) > maxDedup || !utf8.ValidString(key) {
		sum := sha256.Sum256([]byte(key))
		key = "holdfast/sha256/" + hex.EncodeToString(sum[:])
	}
	return key
}

func severity(m notify.Message) string {
	switch {
	case m.Page || m.Occasion.Severity == schemas.SeverityCritical:
		return "critical"
	case m.Occasion.Severity == schemas.SeverityHigh:
		return "error"
	case m.Occasion.Severity == schemas.SeverityMedium:
		return "warning"
	case m.Decision.Verdict.Stops():
		return "error"
	case m.Decision.Verdict == schemas.VerdictThrottle:
		return "warning"
	}
	return "info"
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
