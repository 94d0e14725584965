// Package alertmanager hands notices to operators to an Alertmanager by version 2 of its API,
// which groups, silences and routes them. An alert's labels are alertname (HoldfastDecision),
// entity, kind, verdict, severity and page; what a person reads stands in annotations.
// The same labels are the same alert: told twice it is one. A release ends the alerts of the
// entity that are known by their labels: those of the stopping verdicts.
package alertmanager

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
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

// Customers says that it tells no customer.
func (a *Alertmanager) Customers() bool { return false }

// alert is a postable alert.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    string            `json:"startsAt,omitempty"`
	EndsAt      string            `json:"endsAt"`
}

// Send posts the alert of a decision, or ends those of a released entity.
func (a *Alertmanager) Send(ctx context.Context, m notify.Message) (retry bool, err error) {
	now := a.now().UTC()
	if m.Decision.Verdict == schemas.VerdictRelease {
		var ended []alert
		for _, v := range []schemas.Verdict{schemas.VerdictReview, schemas.VerdictThrottle, schemas.VerdictSuspend, schemas.VerdictBlock} {
			for _, page := range []bool{false, true} {
				of := m
				of.Decision.Verdict, of.Page = v, page
				ended = append(ended, alert{Labels: labels(of), EndsAt: now.Format(time.RFC3339)})
			}
		}
		return a.to.JSON(ctx, ended)
	}
	out := alert{
		Labels:      labels(m),
		Annotations: map[string]string{"summary": m.Subject, "description": notify.Clip(m.Body, 32<<10), "policy": m.Decision.Policy, "decision": m.Decision.ID, "notice": m.ID},
		EndsAt:      now.Add(a.cfg.ResolveAfter).Format(time.RFC3339),
	}
	if !m.Time.IsZero() && m.Time.Before(now) {
		out.StartsAt = m.Time.UTC().Format(time.RFC3339)
	}
	return a.to.JSON(ctx, []alert{out})
}

// labels tell alerts apart. What differs from one decision about an entity to the next stands
// in the annotations, so that a release finds the alert again.
func labels(m notify.Message) map[string]string {
	severity := map[schemas.Verdict]string{schemas.VerdictSuspend: "critical", schemas.VerdictBlock: "critical", schemas.VerdictThrottle: "warning"}[m.Decision.Verdict]
	if severity == "" {
		severity = "info"
	}
	if m.Page {
		severity = "critical"
	}
	return map[string]string{
		"alertname": "HoldfastDecision", "entity": strings.ToValidUTF8(m.Decision.Entity.Key(), "\uFFFD"), "kind": string(m.Decision.Entity.Kind),
		"verdict": string(m.Decision.Verdict), "severity": severity, "page": strconv.FormatBool(m.Page),
	}
}
