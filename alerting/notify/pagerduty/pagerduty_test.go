package pagerduty

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post/posttest"
	"holdfast/schemas"
)

const routingKey = "0123456789abcdef0123456789abcdef"

func integration(t testing.TB, url string, all bool) *PagerDuty {
	t.Helper()
	p, err := New(Config{Name: "oncall", URL: url, KeyFile: posttest.Secret(t, routingKey), All: all, Timeout: 5 * time.Second}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func notice(id string, v schemas.Verdict, page bool) notify.Message {
	return notify.Message{
		ID: "ntc_" + id, Time: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC), Subject: "account:" + id + " has been suspended.", Body: "Evidence: 4312 recipients", Page: page,
		Decision: schemas.Decision{ID: "dec_1", Entity: schemas.Entity{Kind: "account", ID: id}, Verdict: v, Policy: "account-taken-over"},
	}
}

func TestAPageOpensAnAlertAndAReleaseResolvesIt(t *testing.T) {
	r := posttest.New(t, 202)
	p := integration(t, r.URL, false)
	send := func(m notify.Message) (e event) {
		t.Helper()
		if retry, err := p.Send(t.Context(), m); err != nil {
			t.Fatalf("retry %v: %v", retry, err)
		}
		r.Last(t, &e)
		return e
	}
	opened := send(notice("acct-1", schemas.VerdictSuspend, true))
	if opened.RoutingKey != routingKey || opened.Action != "trigger" || opened.Payload.Severity != "critical" || opened.Payload.Summary == "" || opened.Payload.Source == "" {
		t.Errorf("%+v %+v", opened, opened.Payload)
	}
	if _, err := time.Parse(time.RFC3339, opened.Payload.Timestamp); err != nil {
		t.Error(err)
	}
	resolved := send(notice("acct-1", schemas.VerdictRelease, false))
	if resolved.Action != "resolve" || resolved.DedupKey != opened.DedupKey || resolved.Payload != nil {
		t.Errorf("%+v", resolved)
	}
	n := r.Count()
	if _, err := p.Send(t.Context(), notice("acct-2", schemas.VerdictReview, false)); err != nil || r.Count() != n {
		t.Errorf("a review paged: %v", err)
	}
	posttest.Statuses(t, r, func(ctx context.Context) (bool, error) {
		return p.Send(ctx, notice("acct-1", schemas.VerdictSuspend, true))
	})
}

// PagerDuty's limits hold for whatever an entity is called.
func TestLimits(t *testing.T) {
	r := posttest.New(t, 202)
	p := integration(t, r.URL, true)
	for _, id := range []string{strings.Repeat("a", 500), strings.Repeat("ü", 4000), "a\x00b"} {
		m := notice(id, schemas.VerdictThrottle, false)
		m.Body = strings.Repeat("x", 1<<20)
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		var e event
		body, _ := r.Last(t, &e)
		if utf8.RuneCountInString(e.Payload.Summary) > maxSummary || len(e.DedupKey) > maxDedup || len(body) > 512<<10 {
			t.Errorf("%d characters of summary, %d of key, %d bytes", utf8.RuneCountInString(e.Payload.Summary), len(e.DedupKey), len(body))
		}
		if !slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity) {
			t.Errorf("severity %s", e.Payload.Severity)
		}
	}
}

func TestARoutingKeyIsChecked(t *testing.T) {
	if _, err := New(Config{Name: "a", KeyFile: posttest.Secret(t, "short"), Timeout: time.Second}, Deps{}); err == nil || strings.Contains(err.Error(), "short") {
		t.Error(err)
	}
}

// Whatever follows in a case joins its alert; many at once are one.
func TestACaseIsOneAlert(t *testing.T) {
	r := posttest.New(t, 202)
	p := integration(t, r.URL, true)
	send := func(m notify.Message) (e event) {
		t.Helper()
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		r.Last(t, &e)
		return e
	}
	keys := map[string]bool{}
	for what, want := range map[notify.What]string{notify.Opened: "trigger", notify.Slowed: "trigger", notify.Stopped: "trigger", notify.Relapsed: "trigger", notify.Released: "resolve", notify.Closed: "resolve"} {
		m := notice("acct-1", schemas.VerdictThrottle, false)
		m.Occasion, m.CaseURL = notify.Occasion{What: what, Case: "case_1", Severity: schemas.SeverityHigh}, "https://holdfast.example/cases/case_1"
		e := send(m)
		if keys[e.DedupKey] = true; e.Action != want || want == "trigger" && (e.Payload.Severity != "error" || e.ClientURL != m.CaseURL) {
			t.Errorf("%s: %+v", what, e)
		}
	}
	if len(keys) != 1 || !keys["holdfast/case_1"] {
		t.Errorf("keys %v", keys)
	}
	many := notice("acct-1", schemas.VerdictSuspend, false)
	many.Parts, many.Spree = []notify.Message{many, many}, "cases"
	if e := send(many); e.DedupKey != "holdfast/many/cases" || e.Action != "trigger" {
		t.Errorf("%+v", e)
	}
}
