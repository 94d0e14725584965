package backtest

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// remembered is a past that is held in memory.
type remembered struct {
	events   []history.Recorded
	verdicts []history.Verdict
	judged   map[schemas.Entity]bool
}

func (r *remembered) InTime(_ context.Context, from, to time.Time) iter.Seq2[history.Recorded, error] {
	return func(yield func(history.Recorded, error) bool) {
		for _, e := range r.events {
			if at := time.UnixMilli(e.Event.Time); !at.Before(from) && at.Before(to) && !yield(e, nil) {
				return
			}
		}
	}
}

func (r *remembered) Verdicts(context.Context, time.Time, time.Time) ([]history.Verdict, error) {
	return r.verdicts, nil
}

func (r *remembered) Judgements(context.Context, time.Time, time.Time) (map[schemas.Entity]bool, error) {
	return r.judged, nil
}

func life(t *testing.T) (past *remembered, start, attack time.Time) {
	t.Helper()
	start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	const length = 22 * 24 * time.Hour
	attack = start.Add(length - 3*time.Hour)
	past = &remembered{}
	for e := range traffic.Events(traffic.Config{Seed: 9, Accounts: 60, Employees: 5, Start: start, Length: length, Incidents: []traffic.Incident{traffic.Leak(7, attack, time.Hour)}}) {
		var ev schemas.Event
		if err := schemas.Decode(e.JSON, &ev); err != nil {
			t.Fatal(err)
		}
		past.events = append(past.events, history.Recorded{Event: &ev})
	}
	return past, start, attack
}

func TestBacktestFindsTheStopAndComparesIt(t *testing.T) {
	past, start, attack := life(t)
	cfg := Config{From: attack.Add(-time.Hour), To: attack.Add(3 * time.Hour), WarmUp: attack.Sub(start), Mode: schemas.ModeLive}
	first, err := Run(t.Context(), cfg, past)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Stops) != 1 || first.Stops[0].Now == nil || first.Stops[0].Then != nil {
		t.Fatalf("stops: %+v", first.Stops)
	}
	if first.Events != int64(len(past.events)) {
		t.Errorf("%d events of %d", first.Events, len(past.events))
	}
	// What was decided then, with another stop that a person dismissed.
	stopped, other := first.Stops[0].Entity, schemas.Entity{Kind: schemas.KindAccount, ID: "somebody-else"}
	past.verdicts = []history.Verdict{
		{Entity: stopped, Policy: first.Stops[0].Policy, Mode: schemas.ModeLive, Word: schemas.VerdictSuspend, Time: *first.Stops[0].Now},
		{Entity: other, Policy: "of-old", Mode: schemas.ModeLive, Word: schemas.VerdictSuspend, Time: attack},
		{Entity: other, Policy: "on-trial", Mode: schemas.ModeShadow, Word: schemas.VerdictSuspend, Time: attack},
	}
	past.judged = map[schemas.Entity]bool{stopped: true, other: false, {Kind: schemas.KindAccount, ID: "missed"}: true}
	again, err := Run(t.Context(), cfg, past)
	if err != nil {
		t.Fatal(err)
	}
	if want := [2]Accuracy{{Stopped: 2, Right: 1, Confirmed: 2}, {Stopped: 1, Right: 1, Confirmed: 2}}; again.Accuracy != want {
		t.Errorf("accuracy %+v, want %+v", again.Accuracy, want)
	}
	if !slices.ContainsFunc(again.Stops, func(s Stop) bool { return s.Entity == other && s.Now == nil && s.Then != nil }) {
		t.Errorf("the stop of old is missing: %+v", again.Stops)
	}
	if slices.ContainsFunc(again.Tallies, func(x Tally) bool { return x.Policy == "on-trial" }) {
		t.Error("what ran in shadow counts as live")
	}
}

// A parameter that makes detection deaf stops nobody.
func TestBacktestOfAnotherParameter(t *testing.T) {
	past, start, attack := life(t)
	res, err := Run(t.Context(), Config{From: attack.Add(-time.Hour), To: attack.Add(3 * time.Hour), WarmUp: attack.Sub(start), Mode: schemas.ModeLive,
		Parameters: []byte(`{"new_source":{"floor":10000000},"fan_out":{"rarity":100}}`)}, past)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Stops) != 0 {
		t.Errorf("stops: %+v", res.Stops)
	}
}
