package respond_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// genSignals draws signals over a few days, some near the edges of windows and of
// 48 h cells, in the order of their times.
func genSignals(t *rapid.T) []schemas.Signal {
	families := []schemas.Family{vol, vol, net, cre, ins, schemas.FamilyReputation}
	steps := []time.Duration{0, time.Second, 5 * time.Minute, 9 * time.Minute, 3 * time.Hour, 24*time.Hour - 4*time.Minute, 48*time.Hour - time.Minute}
	at := time.Date(2026, 3, 13, 23, 45, 0, 0, time.UTC) // near the end of a cell
	var out []schemas.Signal
	for i := range rapid.IntRange(1, 12).Draw(t, "signals") {
		at = at.Add(rapid.SampledFrom(steps).Draw(t, "step"))
		out = append(out, sig(fmt.Sprintf("s%d", i), alice, rapid.SampledFrom(families).Draw(t, "family"),
			rapid.SampledFrom([]schemas.Severity{low, medium, high, schemas.SeverityCritical}).Draw(t, "severity"), at, func(s *schemas.Signal) {
				s.Certain = rapid.IntRange(0, 9).Draw(t, "certain") == 0
				s.Detector = rapid.SampledFrom([]string{"volume", "strangers", "new_source", "exposed_key"}).Draw(t, "detector")
				s.Score = rapid.SampledFrom([]float64{0, .3, .6, .9, 1}).Draw(t, "score")
				s.Evidence.Observed = rapid.SampledFrom([]float64{0, 2, 49, 50, 1000}).Draw(t, "observed")
				if rapid.IntRange(0, 3).Draw(t, "import") == 0 {
					s.Origin = schemas.OriginImport
				}
			}))
	}
	return out
}

// shuffle puts records out of order, none by more than the lateness.
func shuffle(t *rapid.T, in []schemas.Signal) []schemas.Signal {
	out := slices.Clone(in)
	delay := map[string]time.Time{}
	for _, s := range out {
		delay[s.ID] = s.Time.Add(time.Duration(rapid.IntRange(0, int(schemas.Lateness/time.Second)).Draw(t, "delay")) * time.Second)
	}
	slices.SortStableFunc(out, func(a, b schemas.Signal) int { return delay[a.ID].Compare(delay[b.ID]) })
	return out
}

func reference(t *rapid.T, signals []schemas.Signal) []string {
	b := newInbox(t, parsed(mixedPolicies))
	for _, s := range signals {
		b.signal(s)
	}
	return b.ids()
}

// Whatever the order within the lateness, with records doubled, with answers late
// and with the lane cut and restored anywhere, the same decisions are made, and no
// status goes back (the harness checks that).
func TestSameDecisionsHoweverItComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		signals := genSignals(t)
		want := reference(t, signals)

		b := newInbox(t, parsed(mixedPolicies))
		b.auto = false
		next := 0
		answer := func() {
			for ; next < len(b.proposals); next++ {
				b.answer(b.proposals[next], true, false)
			}
		}
		for _, s := range shuffle(t, signals) {
			b.signal(s)
			if rapid.Bool().Draw(t, "double") {
				b.signal(s)
			}
			if rapid.Bool().Draw(t, "cut") {
				b.restart()
			}
			if rapid.Bool().Draw(t, "answer") {
				answer()
			}
		}
		answer()
		if diff := cmp.Diff(want, b.ids()); diff != "" {
			t.Fatalf("decisions differ (-in order +as it came): %s", diff)
		}
	})
}

// A lane that restores an old state reads the same records again from where that
// state stood: it must write the same records, whatever it remembered.
func TestReplayFromAnySave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newInbox(t, testConfig())
		type step struct {
			do    func(*inbox)
			saved map[string][]byte
			outs  int
		}
		var steps []step
		acts := []string{"release", "dismiss", "suspend", "snooze", "confirm"}
		for i, s := range genSignals(t) {
			steps = append(steps, step{do: func(b *inbox) { b.signal(s) }})
			if rapid.IntRange(0, 2).Draw(t, "request") == 0 {
				act := rapid.SampledFrom(acts).Draw(t, "act")
				id := fmt.Sprintf("r%d", i)
				steps = append(steps, step{do: func(b *inbox) {
					b.request(act, alice, s.Time.Add(time.Minute), func(r *schemas.Request) { r.ID, r.Until = id, s.Time.Add(time.Hour) })
				}})
			}
		}
		for i := range steps {
			steps[i].saved, steps[i].outs = cloneMap(b.saved), len(b.outs)
			steps[i].do(b)
		}
		from := rapid.IntRange(0, len(steps)-1).Draw(t, "from")
		again := newInbox(t, testConfig())
		again.saved, again.offset = steps[from].saved, 0
		again.restart()
		again.offset = offsetOf(t, steps[from].saved)
		for _, s := range steps[from:] {
			s.do(again)
		}
		if diff := cmp.Diff(values(b.outs[steps[from].outs:]), values(again.outs)); diff != "" {
			t.Fatalf("outputs differ from step %d on: %s", from, diff)
		}
	})
}

func offsetOf(t tb, saved map[string][]byte) int64 {
	var most int64
	for _, v := range saved {
		f, err := schemas.ParseStateFrame(v)
		if err != nil {
			t.Fatalf("%v", err)
		}
		most = max(most, f.Applied[schemas.AppliedInbox])
	}
	return most
}

func cloneMap(m map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range m {
		out[k] = slices.Clone(v)
	}
	return out
}

func values(outs []schemas.Output) []string {
	var out []string
	for _, o := range outs {
		out = append(out, string(o.Kind)+" "+o.ID+" "+string(o.Value))
	}
	return out
}

// What was applied is skipped: reading everything again after a restore of the
// last state writes nothing.
func TestAppliedIsSkipped(t *testing.T) {
	b := newInbox(t, testConfig())
	b.signal(sig("a", alice, ins, high, noon, certain))
	b.restart()
	n := len(b.outs)
	b.offset = 0
	b.signal(sig("a", alice, ins, high, noon, certain))
	if len(b.outs) != n {
		t.Errorf("%d records were written again", len(b.outs)-n)
	}
}

func FuzzApply(f *testing.F) {
	f.Add("signal", "account:alice", []byte(`{"id":"a","time":"9999-12-31T23:59:59-10:00","entity":{"kind":"account","id":"alice"},"severity":"high","certain":true}`))
	f.Add("request", "ip:192.0.2.1", []byte(`{"id":"a","time":"2026-01-01T00:00:00Z","entity":{"kind":"ip","id":"192.0.2.1"},"act":"block","actor":"x","why":"y"}`))
	f.Add("answer", "account:alice", []byte(`{"entity":{"kind":"account","id":"alice"}}`))
	f.Add("event", "account:alice", []byte(`{"id":"a","type":"account","time":"2026-01-01T00:00:00Z","account":"alice"}`))
	f.Fuzz(func(t *testing.T, kind, key string, value []byte) {
		fold := respond.New(testConfig())
		for i := range 2 {
			in := schemas.Input{Offset: int64(i), Arrival: 1, Kind: schemas.Kind(kind), ID: "x", Key: key, Value: value}
			var outs int
			touched, err := fold.Apply(&in, func(schemas.Output) { outs++ })
			if err != nil && (touched || outs > 0) {
				t.Fatalf("an error, but touched %v and %d outputs", touched, outs)
			}
			if touched {
				if err := fold.Save(key, func(k string, v []byte) {
					if err := respond.New(testConfig()).Restore(k, v); err != nil {
						t.Fatal(err)
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
