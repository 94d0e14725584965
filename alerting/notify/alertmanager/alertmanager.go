// Package alertmanager hands notices to operators to an Alertmanager by version 2 of its API,
// which groups, silences and routes them. An alert is a case: its labels are alertname
// (HoldfastCase; HoldfastBrake and HoldfastReceiver for what is none), entity, kind, case and
// those of the configuration; they stay the same whatever follows in the case, so that it
// stays one alert. What changes (verdict, severity) and what a person reads stands in
// annotations. The case's end ends the alert.
package alertmanager

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
	"holdfast/schemas"
)

// Alertmanager is one receiver. It is safe for concurrent use.
type Alertmanager struct {
	cfg Config
	to  post.Poster
	now func() time.Time
}

// Deps are what an Alertmanager works with; each may be missing.
type Deps struct {
	Transport http.RoundTripper
	Now       func() time.Time
}

// New reads the password, where there is one.
func New(cfg Config, deps Deps) (*Alertmanager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("alertmanager %q: %w", cfg.Name, err)
	}
	a := &Alertmanager{cfg, post.Poster{
		Name: "alertmanager " + cfg.Name, URL: strings.TrimRight(cfg.URL, "/") + "/api/v2/alerts", Client: post.Client(cfg.Timeout, deps.Transport),
	}, deps.Now}
	if a.now == nil {
		a.now = time.Now
	}
	if cfg.UserFile != "" {
		text, err := notify.ReadSecret(cfg.UserFile)
		if err == nil && !strings.Contains(text, ":") {
			err = errors.New("it does not hold user:password")
		}
		if err != nil {
			return nil, fmt.Errorf("alertmanager %q: user_file %s: %w", cfg.Name, cfg.UserFile, err)
		}
		a.to.Header = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(text))}}
	}
	return a, nil
}

// Name is the receiver's name.
func (a *Alertmanager) Name() string { return a.cfg.Name }

// Audiences says that it tells operators.
func (a *Alertmanager) Audiences() []notify.Address {
	return []notify.Address{{Audience: notify.AudienceOperator, To: a.cfg.Name}}
}

// Gathers says that it groups what comes in great number by itself.
func (a *Alertmanager) Gathers() bool { return true }

// Customers says that it tells no customer.
func (a *Alertmanager) Customers() bool { return false }

// alert is a postable alert.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    string            `json:"startsAt,omitempty"`
	EndsAt      string            `json:"endsAt"`
	// GeneratorURL is where people look at the case.
	GeneratorURL string `json:"generatorURL,omitempty"`
}

// Send posts the alert of a case, or ends it.
func (a *Alertmanager) Send(ctx context.Context, m notify.Message) (retry bool, err error) {
	return a.to.JSON(ctx, a.alerts(m))
}

// Preview is what Alertmanager is sent at the time of the message.
func Preview(m notify.Message) any {
	a := &Alertmanager{cfg: Config{ResolveAfter: 24 * time.Hour}, now: func() time.Time { return m.Time }}
	return a.alerts(m)
}

func (a *Alertmanager) alerts(m notify.Message) []alert {
	now := a.now().UTC()
	out := alert{Labels: a.labels(m), EndsAt: now.Format(time.RFC3339)}
	if m.Occasion.Ends() || m.Occasion.What == "" && m.Decision.Verdict == schemas.VerdictRelease {
		return []alert{out}
	}
	out.EndsAt, out.GeneratorURL = now.Add(a.cfg.ResolveAfter).Format(time.RFC3339), m.CaseURL
	out.Annotations = map[string]string{
		"summary": m.Subject, "description": notify.Clip(m.Body, 32<<10), "happened": string(m.Occasion.What), "verdict": string(m.Decision.Verdict),
		"severity": string(m.Occasion.Severity), "policy": m.Decision.Policy, "plan": m.Occasion.Plan, "decision": m.Decision.ID, "notice": m.ID,
	}
	if !m.Time.IsZero() && m.Time.Before(now) {
		out.StartsAt = m.Time.UTC().Format(time.RFC3339)
	}
	return []alert{out}
}

// labels tell alerts apart: they are the same for all of a case. What differs from one
// message of it to the next stands in the annotations.
func (a *Alertmanager) labels(m notify.Message) map[string]string {
	out := map[string]string{
		"alertname": "HoldfastCase", "entity": strings.ToValidUTF8(m.Decision.Entity.Key(), "\uFFFD"), "kind": string(m.Decision.Entity.Kind), "case": m.Case(),
	}
	switch m.Occasion.What {
	case notify.Tripped:
		out["alertname"] = "HoldfastBrake"
	case notify.Overdue, notify.Resolved, notify.Gone:
		out = map[string]string{"alertname": "HoldfastReceiver", "receiver": m.Occasion.Receiver, "case": m.Case()}
	}
	for k, v := range a.cfg.Labels {
		out[k] = v
	}
	return out
}
