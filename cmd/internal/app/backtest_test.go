package app

import (
	"context"
	"log/slog"
	"maps"
	"testing"
	"time"

	"holdfast/cmd/internal/backtest"
	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// The policies that were in force, tried on what was recorded, give the decisions
// that were made, each by its id: those of an imported past, of live lanes, and those
// that people caused.
func TestBacktestGivesTheDecisionsThatWereMade(t *testing.T) {
	needEngine(t)
	a, stop := launch(t, testConfig(t, t.TempDir()), Options{})
	defer stop()
	cfg := a.Config()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := NewPlayer(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	begin := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	life := traffic.Config{Seed: 5, Accounts: 12, Employees: 2, Start: begin.Add(-14 * 24 * time.Hour), Length: 14 * 24 * time.Hour}
	life.Incidents = []traffic.Incident{traffic.Leak(2, begin.Add(-5*24*time.Hour), time.Hour)}
	if _, err := p.Play(ctx, traffic.Events(life), schemas.OriginImport, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	life.Start, life.Length = begin, 58*time.Minute
	life.Incidents = []traffic.Incident{traffic.Leak(4, begin.Add(5*time.Minute), 15*time.Minute), traffic.Botnet(6, 40, begin.Add(10*time.Minute), 20*time.Minute)}
	if _, err := p.Play(ctx, traffic.Events(life), schemas.OriginLive, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	victim := schemas.Entity{Kind: schemas.KindAccount, ID: traffic.AccountID(4)}
	for _, act := range []string{"confirm", "release"} {
		op, err := Ask(ctx, p.client, &cfg, schemas.Request{Entity: victim, Act: act, Actor: "ada", Why: "the key is rotated"})
		if err != nil || op.Refused != "" {
			t.Fatalf("%s: %v %s", act, err, op.Refused)
		}
	}
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	written := func() map[schemas.Topic]int64 {
		n := map[schemas.Topic]int64{}
		for _, topic := range []schemas.Topic{schemas.TopicEvents, schemas.TopicInbox, schemas.TopicDecisions, schemas.TopicOperator} {
			if n[topic], err = CountRecords(ctx, p.client, &cfg, topic); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	before := written()
	within(t, 20*time.Second, "what stands on the topics is not recorded", func() bool {
		for topic, n := range before {
			var rows int64
			if err := store.QueryRow(ctx, "SELECT toInt64(uniqExact(log_id, partition, offset)) FROM "+string(topic)).Scan(&rows); err != nil || rows != n {
				return false
			}
		}
		return true
	})
	control, err := ReadVersions(ctx, p.client, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	trial := backtest.Config{From: begin.Add(-7 * 24 * time.Hour), To: time.Now().Add(time.Minute), WarmUp: 14 * 24 * time.Hour,
		Control: control, HashSecret: a.install.HashSecret, AgeLimit: cfg.Respond.AgeLimit.Duration(), Brake: cfg.Respond.Brake}
	same, err := backtest.Try(ctx, trial, history.New(store))
	if err != nil {
		t.Fatal(err)
	}
	modes := map[schemas.Mode]int{}
	for _, x := range same.Policies {
		modes[x.Mode] += x.Then
		if x.OnlyThen != 0 || x.OnlyNow != 0 {
			t.Errorf("what was in force decides otherwise now: %+v", x)
		}
	}
	if modes[schemas.ModeHistory] == 0 || modes[schemas.ModeLive] == 0 {
		t.Errorf("decisions by mode: %v: want some of both, or nothing is shown", modes)
	}
	if s := same.Summary; s.Same != s.Then.Decisions || s.Same != s.Now.Decisions || s.Both < 3 || s.Now.Accuracy != (backtest.Accuracy{Right: 1, Confirmed: 1}) {
		t.Errorf("the comparison: %+v", s)
	}
	trial.Control, trial.Parameters = nil, []byte(`{"new_source":{"floor":10000000},"fan_out":{"rarity":100}}`)
	other, err := backtest.Try(ctx, trial, history.New(store))
	if err != nil {
		t.Fatal(err)
	}
	if s := other.Summary; s.OnlyThen != same.Summary.Both || s.Both != 0 || s.Now.Accuracy.Right != 0 {
		t.Errorf("deaf detectors stop somebody: %+v", s)
	}
	if after := written(); !maps.Equal(before, after) {
		t.Errorf("a back-test wrote something: %v became %v", before, after)
	}
}
