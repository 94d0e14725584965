package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/backtest"
	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// withShadow is a configuration's policy file with a trial in it.
func withShadow(t *testing.T, block string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(name, []byte(strings.Replace(string(policy.DefaultFile()), "parameters: {}", block, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Numbers in shadow find on a running instance what they would find live, are recorded
// and shown under their name, and stop nobody: here they see an attack that the live
// numbers are deaf to. The instance is restarted in the middle, and what it decided is
// what the back-test decides in one go, by its ids.
func TestTrialOnARunningInstance(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t, t.TempDir())
	cfg.Respond.PoliciesFile = withShadow(t, `parameters: {new_source: {floor: 10000000}, fan_out: {rarity: 100}}
shadow:
  name: hearing
  parameters: {new_source: {floor: 8}, fan_out: {rarity: 5}}`)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	begin := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	life := traffic.Config{Seed: 5, Accounts: 12, Employees: 2, Start: begin.Add(-14 * 24 * time.Hour), Length: 14 * 24 * time.Hour}
	play := func(origin schemas.Origin) (*App, *Player, func()) {
		a, stop := launch(t, cfg, Options{})
		running := a.Config()
		p, err := NewPlayer(&running)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Play(ctx, traffic.Events(life), origin, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Settled(ctx); err != nil {
			t.Fatal(err)
		}
		return a, p, stop
	}
	_, p, stop := play(schemas.OriginImport)
	p.Close()
	stop()
	life.Start, life.Length = begin, 58*time.Minute
	life.Incidents = []traffic.Incident{traffic.Leak(4, begin.Add(5*time.Minute), 15*time.Minute)}
	a, p, stop := play(schemas.OriginLive)
	defer stop()
	defer p.Close()
	cfg = a.Config()
	victim := schemas.Entity{Kind: schemas.KindAccount, ID: traffic.AccountID(4)}
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	count := func(query string, args ...any) (n uint64) {
		_ = store.QueryRow(ctx, query, args...).Scan(&n)
		return n
	}
	within(t, time.Minute, "the stop in shadow is no row", func() bool {
		return count("SELECT count() FROM decisions WHERE entity = ? AND verdict = 'suspend' AND mode = 'shadow' AND trial = 'hearing'", victim.Key()) > 0
	})
	within(t, time.Minute, "the signals on trial are no rows", func() bool {
		return count("SELECT count() FROM signals WHERE entity = ? AND mode = 'shadow' AND trial = 'hearing' AND detector = 'new_source'", victim.Key()) > 0
	})
	if n := count("SELECT count() FROM signals WHERE (mode = 'live') != (trial = '')"); n > 0 {
		t.Errorf("%d signals are live under a trial, or in shadow under none", n)
	}
	if n := count("SELECT count() FROM decisions WHERE mode != 'shadow' AND trial != ''"); n > 0 {
		t.Errorf("%d decisions by signals on trial are not in shadow", n)
	}
	if s, _, err := ReadStatus(ctx, p.client, &cfg, victim); err != nil || s.Status == "suspended" || s.Status == "throttled" {
		t.Errorf("a trial stopped somebody: %+v, %v", s, err)
	}
	kinds := map[schemas.Kind]int{}
	for e, err := range history.New(store).Timeline(ctx, victim, begin, 0) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
	}
	if kinds[schemas.KindTrial] == 0 {
		t.Errorf("the timeline has no signal on trial: %v", kinds)
	}
	for e, err := range history.New(store).WithoutTrials().Timeline(ctx, victim, begin, 0) {
		if err != nil || e.Kind == schemas.KindTrial || strings.Contains(string(e.Body), `"trial":"hearing"`) {
			t.Fatalf("left out, and yet there: %s %s, %v", e.Kind, e.Body, err)
		}
	}
	if v := gauge(t, a.reg, "holdfast_trial_entities"); v < 12 {
		t.Errorf("the trial is said to keep state of %g entities", v)
	}
	if v := gauge(t, a.reg, "holdfast_trial_failed_total"); v != 0 {
		t.Errorf("the trial failed %g times", v)
	}
	sameOnTrial(ctx, t, a, p, begin)
}

// sameOnTrial tries the same on what was recorded.
func sameOnTrial(ctx context.Context, t *testing.T, a *App, p *Player, begin time.Time) {
	t.Helper()
	cfg := a.Config()
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	control, err := ReadVersions(ctx, p.client, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	try := backtest.Config{From: begin.Add(-7 * 24 * time.Hour), To: time.Now().Add(time.Minute), WarmUp: 14 * 24 * time.Hour,
		Control: control, HashSecret: a.install.HashSecret, AgeLimit: cfg.Respond.AgeLimit.Duration(), Brake: cfg.Respond.Brake}
	var res *backtest.Result
	within(t, time.Minute, "decisions on trial differ from those of the back-test", func() bool {
		if res, err = backtest.Try(ctx, try, history.New(store)); err != nil {
			t.Fatal(err)
		}
		tried := 0
		for _, x := range res.Policies {
			if x.OnlyThen != 0 || x.OnlyNow != 0 {
				return false
			}
			if x.Trial == "hearing" {
				tried += x.Now
			}
		}
		return tried > 0
	})
	if res.Summary.Now.Stops != 0 {
		t.Errorf("what runs in shadow counts as %d stops", res.Summary.Now.Stops)
	}
}

func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Errorf("there is no metric %s", name)
	return 0
}
