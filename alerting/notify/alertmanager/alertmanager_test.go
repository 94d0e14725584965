package alertmanager

import (
	"context"
	"regexp"
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

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

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
	if len(opened) != 1 || opened[0].Labels["severity"] != "critical" || opened[0].Annotations["summary"] == "" {
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
	for _, cfg := range []Config{{URL: "alertmanager:9093"}, {URL: "http://ann:pw@host"}, {URL: "http://host", UserFile: posttest.Secret(t, "nopassword")}} {
		cfg.Name, cfg.ResolveAfter, cfg.Timeout = "am", time.Hour, time.Second
		if _, err := New(cfg, Deps{}); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
