package alertmanager

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post/posttest"
	"holdfast/schemas"
)

func receiver(t testing.TB, cfg Config) *Alertmanager {
	t.Helper()
	cfg.Name, cfg.ResolveAfter, cfg.Timeout = "am", 24*time.Hour, 5*time.Second
	a, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func notice(v schemas.Verdict, page bool) notify.Message {
	return notify.Message{
		ID: "ntc_1", Time: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC), Subject: "account:acct-1 has been suspended.", Body: "Evidence", Page: page,
		Decision: schemas.Decision{ID: "dec_1", Entity: schemas.Entity{Kind: "account", ID: "acct-1"}, Verdict: v, Policy: "account-taken-over"},
	}
}

func TestAReleaseEndsTheAlert(t *testing.T) {
	r := posttest.New(t, 200)
	a := receiver(t, Config{URL: r.URL + "/", UserFile: posttest.Secret(t, "ann:pw")})
	var opened, ended []alert
	if _, err := a.Send(t.Context(), notice(schemas.VerdictSuspend, true)); err != nil {
		t.Fatal(err)
	}
	_, head := r.Last(t, &opened)
	if head.Get("Authorization") != "Basic YW5uOnB3" {
		t.Errorf("authorization %q", head.Get("Authorization"))
	}
	if len(opened) != 1 || opened[0].Labels["alertname"] != "HoldfastCase" || opened[0].Annotations["summary"] == "" {
		t.Fatalf("%+v", opened)
	}
	for name := range opened[0].Labels {
		if !labelName.MatchString(name) {
			t.Errorf("label %q", name)
		}
	}
	if end, err := time.Parse(time.RFC3339, opened[0].EndsAt); err != nil || time.Until(end) < 23*time.Hour {
		t.Errorf("it ends at %s: %v", opened[0].EndsAt, err)
	}
	if _, err := a.Send(t.Context(), notice(schemas.VerdictRelease, false)); err != nil {
		t.Fatal(err)
	}
	r.Last(t, &ended)
	found := false
	for _, e := range ended {
		end, err := time.Parse(time.RFC3339, e.EndsAt)
		found = found || err == nil && !end.After(time.Now()) && cmp.Equal(e.Labels, opened[0].Labels)
	}
	if !found {
		t.Errorf("the alert goes on: %+v", ended)
	}
	posttest.Statuses(t, r, func(ctx context.Context) (bool, error) { return a.Send(ctx, notice(schemas.VerdictSuspend, false)) })
}

func TestConfigurationMistakes(t *testing.T) {
	for _, cfg := range []Config{{URL: "alertmanager:9093"}, {URL: "http://ann:pw@host"}, {URL: "http://host", UserFile: posttest.Secret(t, "nopassword")}, {URL: "http://host", Labels: map[string]string{"a-b": "c"}}, {URL: "http://host", Labels: map[string]string{"case": "c"}}} {
		cfg.Name, cfg.ResolveAfter, cfg.Timeout = "am", time.Hour, time.Second
		if _, err := New(cfg, Deps{}); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// Whatever follows in a case is the same alert: its labels, of which Alertmanager makes the
// fingerprint, never change, and its end ends it.
func TestACaseIsOneAlert(t *testing.T) {
	r := posttest.New(t, 200)
	a := receiver(t, Config{URL: r.URL, Labels: map[string]string{"team": "abuse"}})
	var first map[string]string
	for _, what := range []notify.What{notify.Opened, notify.Slowed, notify.Stopped, notify.Progress, notify.Relapsed, notify.Released} {
		m := notice(schemas.VerdictThrottle, false)
		m.Occasion = notify.Occasion{What: what, Case: "case_1", Severity: schemas.SeverityHigh}
		m.CaseURL = "https://holdfast.example/cases/case_1"
		if _, err := a.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		var got []alert
		r.Last(t, &got)
		if len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		if first == nil {
			first = got[0].Labels
		}
		if d := cmp.Diff(first, got[0].Labels); d != "" || got[0].Labels["case"] != "case_1" || got[0].Labels["team"] != "abuse" {
			t.Errorf("%s: %s %v", what, d, got[0].Labels)
		}
		end, err := time.Parse(time.RFC3339, got[0].EndsAt)
		if over := what == notify.Released; err != nil || end.After(time.Now()) == over || (got[0].GeneratorURL == "") != over {
			t.Errorf("%s: it ends at %s", what, got[0].EndsAt)
		}
	}
}
