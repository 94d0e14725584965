package replay

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/world"
	"holdfast/schemas"
)

// promised is what a run promises whatever the order within the lateness: the ids of signals,
// and of each decision what was proposed. Whether the proposal was already in force by
// another decision of the same minutes is not part of it.
func promised(t *testing.T, lines [][]byte) (signals, decisions map[string]bool) {
	t.Helper()
	signals, decisions = map[string]bool{}, map[string]bool{}
	r, err := New(Config{}, Deps{
		Signals: func(v []byte) error {
			var s schemas.Signal
			err := json.Unmarshal(v, &s)
			signals[fmt.Sprintf("%s %s/%d of %s", s.ID, s.Detector, s.Level, s.Entity)] = true
			return err
		},
		Decisions: func(v []byte) error {
			var d schemas.Decision
			err := json.Unmarshal(v, &d)
			if policy.OfCase(d.Policy) {
				return err // what follows from a case depends on what was in force
			}
			decisions[fmt.Sprintf("%s %s of %s: %s in %s, episode %d", d.ID, d.Policy, d.Entity, d.Proposed, d.Mode, d.Episode)] = true
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), bytes.NewReader(bytes.Join(lines, nil))); err != nil {
		t.Fatal(err)
	}
	return signals, decisions
}

// shuffledTwice gives every line twice, each at a moment of the ten minutes after its own.
func shuffledTwice(events []world.Event, rng *rand.Rand) (lines [][]byte) {
	type moved struct {
		at   time.Time
		line []byte
	}
	var out []moved
	for _, e := range events {
		for range 2 {
			out = append(out, moved{e.Time.Add(time.Duration(rng.Int64N(int64(schemas.Lateness)))), e.JSON})
		}
	}
	slices.SortStableFunc(out, func(a, b moved) int { return a.at.Compare(b.at) })
	for _, m := range out {
		lines = append(lines, m.line)
	}
	return lines
}

// Lines that are shuffled within the lateness and doubled give the same signals and
// proposals.
func TestOrderWithinTheLatenessProposesTheSame(t *testing.T) {
	signals, decisions := 0, 0
	for seed := uint64(1); seed <= 4; seed++ {
		w, err := world.New(world.Options{Profile: "mixed", Seed: seed, Accounts: 60, Employees: 10, Days: 24,
			Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Attacks: 1, Lookalikes: 1, Rate: 8})
		if err != nil {
			t.Fatal(err)
		}
		var events []world.Event
		var lines [][]byte
		for e := range w.Events() {
			e.JSON = append(bytes.Clone(e.JSON), '\n')
			events = append(events, e)
		}
		events = append(events, tooManyPeople()...)
		slices.SortStableFunc(events, func(a, b world.Event) int { return a.Time.Compare(b.Time) })
		for _, e := range events {
			lines = append(lines, e.JSON)
		}
		wantSignals, wantDecisions := promised(t, lines)
		signals, decisions = signals+len(wantSignals), decisions+len(wantDecisions)
		for n := range uint64(2) {
			gotSignals, gotDecisions := promised(t, shuffledTwice(events, rand.New(rand.NewPCG(seed, n))))
			differ(t, seed, "signal", wantSignals, gotSignals)
			differ(t, seed, "decision", wantDecisions, gotDecisions)
		}
	}
	if t.Logf("%d signals, %d decisions", signals, decisions); signals < 100 || decisions < 20 {
		t.Errorf("only %d signals and %d decisions: the test would not see it break", signals, decisions)
	}
}

// tooManyPeople are accounts that write to more people in an hour than are learnt of one, and
// on the next day to those of them who came last.
func tooManyPeople() (events []world.Event) {
	start := time.Date(2026, 3, 6, 4, 0, 0, 0, time.UTC)
	for n := range 8 {
		account := fmt.Sprintf("many-%d", n)
		send := func(at time.Time, first int) {
			id, to := fmt.Sprintf("%s-%d", account, len(events)), make([]string, 50)
			for i := range to {
				to[i] = fmt.Sprintf("p%d@list.example", first+i)
			}
			value, err := json.Marshal(map[string]any{"id": id, "time": at.Format(time.RFC3339), "type": "send", "account": account, "credential": "k",
				"ip": "192.0.2.99", "message_id": id, "recipients": to})
			if err != nil {
				panic(err)
			}
			events = append(events, world.Event{Time: at, JSON: append(value, '\n')})
		}
		for i := range 90 { // 4,500 in half an hour
			send(start.Add(time.Duration(i)*20*time.Second), 50*i)
		}
		for i := range 1 + n {
			send(start.Add(24*time.Hour+time.Duration(i)*time.Minute), 4450-50*i)
		}
	}
	return events
}

func differ(t *testing.T, seed uint64, what string, want, got map[string]bool) {
	t.Helper()
	for _, x := range slices.Sorted(maps.Keys(want)) {
		if !got[x] {
			t.Errorf("seed %d: %s lost: %s", seed, what, x)
		}
	}
	for _, x := range slices.Sorted(maps.Keys(got)) {
		if !want[x] {
			t.Errorf("seed %d: %s extra: %s", seed, what, x)
		}
	}
}
