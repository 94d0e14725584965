package notify

import (
	"fmt"
	"time"

	"holdfast/schemas"
)

// Sample is a message as it might be, for the preview and for trying templates.
type Sample struct {
	Name      string
	Audience  string
	Occasions []*Occasion
}

// Samples are messages of every kind: first those to customers, then to operators.
func Samples() []Sample {
	at := time.Date(2026, 3, 12, 20, 24, 49, 0, time.UTC)
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-00680"}
	proof := func(what, cause string) *schemas.Proof {
		return &schemas.Proof{What: what, Row: schemas.Row{At: at.Add(time.Hour), Found: at.Add(time.Hour), Basis: schemas.BasisObserved, Cause: cause}}
	}
	steps := []schemas.Step{
		{Kind: schemas.StepInvestigation, Proof: &schemas.Proof{What: schemas.ProofAnswered, Text: "The key stood in a public repository."}},
		{Kind: schemas.StepAPIKey, Object: "key_live_4f2a", Proof: proof(schemas.ProofRotated, "evt_1")},
		{Kind: schemas.StepSMTP, Object: "mail.shop.example", Ignored: "it came from an address of the case"},
		{Kind: schemas.StepPassword, Object: "jo@shop.example"},
		{Kind: schemas.StepMFA, Object: "jo@shop.example"},
		{Kind: schemas.StepRemoval, Object: "key_new_77"},
		{Kind: schemas.StepConfirmation},
	}
	base := Occasion{ // #nosec G101 -- ids and a key's name, made up
		Kind: "decided", Cause: "dec_wa33fz67d07hjqdqs2yfzw2483", Case: "case_7t0kq2m1x9v4c8b5n6p3", Entity: e, Account: e.ID, Plan: "business", Time: at,
		Severity: schemas.SeverityCritical, Verdict: schemas.VerdictSuspend, Proposed: schemas.VerdictSuspend, Policy: "account-unknown-source", Version: 1, Credential: "key_live_4f2a",
		Why:    "account:acct-00680: 4312 recipients in 5m, expected 40",
		Reason: "We saw mail leaving your account from places that it was not used from before, in a way that does not look like yours.",
		Score:  .993, Signals: 7, Told: true, Status: "suspended", Receivers: []string{"platform"}, Confirmed: true,
		Window: schemas.Window{From: at.Add(-7 * time.Minute), To: at, Confidence: "high"},
		Seen: []schemas.Seen{
			{Detector: "volume", Share: .61, Text: "4312 recipients in 5m0s, expected 40, threshold 400"},
			{Detector: "new_source", Share: .27, Text: "14 addresses in 9 networks that the account did not use before, 12 of them hosting"},
			{Detector: "outcomes", Share: .12, Text: "31 of 290 messages bounced, from senders like www.login-shop.example"},
		},
	}
	of := func(what What, change ...func(*Occasion)) *Occasion {
		o := base
		o.What = what
		for _, f := range change {
			f(&o)
		}
		return &o
	}
	withSteps := func(o *Occasion) { o.Steps = steps }
	slowed := func(o *Occasion) {
		o.Verdict, o.Proposed, o.Status, o.Severity, o.Policy = schemas.VerdictThrottle, schemas.VerdictThrottle, "throttled", schemas.SeverityHigh, "account-unproven"
	}
	waits := func(o *Occasion) { o.Confirmed = false }
	by := func(o *Occasion) {
		o.By, o.Why, o.Policy, o.Seen, o.Signals = "ann", "the key is on a paste site", "operator", nil, 0
		o.Reason = "Our team has stopped this account after looking at its activity."
	}
	release := func(o *Occasion) {
		o.By, o.Why, o.Policy, o.Seen, o.Signals, o.Verdict, o.Proposed, o.Status = "ann", "all steps are done", "operator", nil, 0, schemas.VerdictRelease, schemas.VerdictRelease, "active"
		o.Reason, o.Severity, o.Credential = "Your account has been released.", schemas.SeverityLow, ""
	}
	address := func(o *Occasion) {
		o.Entity, o.Account, o.Verdict, o.Proposed, o.Policy, o.Plan, o.Credential = schemas.Entity{Kind: schemas.KindIP, ID: "185.220.24.31"}, "", schemas.VerdictBlock, schemas.VerdictBlock, "address-certain", "", ""
		o.Seen = []schemas.Seen{{Detector: "brute_force", Share: 1, Text: "600 failed logins at 580 users in 10m0s, 3 that succeeded"}}
	}
	review := func(o *Occasion) {
		o.Verdict, o.Proposed, o.Status, o.Severity, o.Policy, o.Told = schemas.VerdictReview, schemas.VerdictReview, "review", schemas.SeverityMedium, "account-review", false
	}
	receiver := func(answer string) func(*Occasion) {
		return func(o *Occasion) {
			o.Receiver, o.Answer, o.Undelivered, o.Age, o.Page = "platform", answer, 3, Span(90*time.Second), true
		}
	}
	limit := func(o *Occasion) { release(o); o.PerDay = 1200 }
	braked := func(o *Occasion) { slowed(o); o.Proposed = schemas.VerdictSuspend }
	var many []*Occasion
	for i := range 63 {
		many = append(many, of(Stopped, func(o *Occasion) {
			if i%9 == 8 {
				o.What = Slowed
				slowed(o)
			}
			o.Entity.ID = fmt.Sprintf("acct-%05d", 100+7*i)
			o.Time = at.Add(time.Duration(i) * 5 * time.Second)
		}))
	}
	c, p := AudienceCustomer, AudienceOperator
	return []Sample{
		{"customer-stopped", c, []*Occasion{of(Stopped)}},
		{"customer-stopped-steps", c, []*Occasion{of(Stopped, withSteps)}},
		{"customer-stopped-unconfirmed", c, []*Occasion{of(Stopped, waits)}},
		{"customer-stopped-by-a-person", c, []*Occasion{of(Stopped, by)}},
		{"customer-slowed", c, []*Occasion{of(Slowed, slowed)}},
		{"customer-revoked", c, []*Occasion{of(Revoked, withSteps)}},
		{"customer-progress", c, []*Occasion{of(Progress, withSteps)}},
		{"customer-relapsed", c, []*Occasion{of(Relapsed, withSteps)}},
		{"customer-released", c, []*Occasion{of(Released, release)}},
		{"customer-probation", c, []*Occasion{of(Probation, limit)}},
		{"customer-closed", c, []*Occasion{of(Closed, release)}},
		{"operator-opened", p, []*Occasion{of(Opened, review)}},
		{"operator-slowed", p, []*Occasion{of(Slowed, slowed, waits)}},
		{"operator-stopped", p, []*Occasion{of(Stopped, waits)}},
		{"operator-stopped-by-a-person", p, []*Occasion{of(Stopped, by, waits)}},
		{"operator-blocked", p, []*Occasion{of(Stopped, address, waits)}},
		{"operator-revoked", p, []*Occasion{of(Revoked, waits, func(o *Occasion) { o.Verdict, o.Proposed = schemas.VerdictRevoke, schemas.VerdictRevoke })}},
		{"operator-repeated", p, []*Occasion{of(Repeated, waits)}},
		{"operator-progress", p, []*Occasion{of(Progress, withSteps)}},
		{"operator-relapsed", p, []*Occasion{of(Relapsed, withSteps, waits)}},
		{"operator-released", p, []*Occasion{of(Released, release, waits)}},
		{"operator-probation", p, []*Occasion{of(Probation, limit)}},
		{"operator-closed", p, []*Occasion{of(Closed, release)}},
		{"operator-braked", p, []*Occasion{of(Braked, braked)}},
		{"operator-tripped", p, []*Occasion{of(Tripped, braked, func(o *Occasion) { o.Page = true })}},
		{"operator-held", p, []*Occasion{of(Held, func(o *Occasion) { o.Age = Span(6 * time.Hour) })}},
		{"operator-refused", p, []*Occasion{of(Refused, receiver("webhook platform answered 422 Unprocessable Entity: no such account"))}},
		{"operator-overdue", p, []*Occasion{of(Overdue, receiver("webhook platform answered 503 Service Unavailable"))}},
		{"operator-resolved", p, []*Occasion{of(Resolved, receiver(""))}},
		{"operator-gone", p, []*Occasion{of(Gone, receiver("webhook platform answered 410 Gone"))}},
		{"operator-many-at-once", p, many},
	}
}
