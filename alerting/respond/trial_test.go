package respond_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// trialsOf is the control value of trials, each from a time on; no name is none.
func trialsOf(t tb, pairs ...any) []byte {
	var v schemas.Versioned
	for i := 0; i < len(pairs); i += 2 {
		b, err := json.Marshal(schemas.Trial{Name: pairs[i+1].(string)})
		if err != nil {
			t.Fatalf("%v", err)
		}
		v.Versions = append(v.Versions, schemas.Version{From: pairs[i].(time.Time), Value: b})
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

var long = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// split parts the decisions of a trial from the others.
func split(all []*decision.Record, trial string) (of, rest []*decision.Record) {
	for _, r := range all {
		if r.Trial == trial {
			of = append(of, r)
		} else {
			rest = append(rest, r)
		}
	}
	return of, rest
}

// Signals on trial are judged by the live policies and by themselves, and whatever
// they decide is only recorded.
func TestSignalsOnTrialStopNobody(t *testing.T) {
	b := newInbox(t, testConfig())
	b.try(trialsOf(t, long, "floor"))
	b.onTrial(sig("a", alice, vol, high, noon), "floor")
	b.signal(sig("b", alice, net, medium, noon.Add(time.Minute)))
	if got := b.verdicts(); slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, "suspend") }) {
		t.Fatalf("a live signal and one on trial were taken together: %v", got)
	}
	before := len(b.outs)
	b.onTrial(sig("b", alice, net, medium, noon.Add(time.Minute)), "floor")
	for _, o := range b.outs[before:] {
		if o.Kind != schemas.KindDecision {
			t.Errorf("a signal on trial causes a %s", o.Kind)
		}
	}
	of, _ := split(b.decisions(), "floor")
	var got []string
	for _, r := range of {
		got = append(got, fmt.Sprintf("%s %s %s", r.Policy, r.Verdict, r.Mode))
		if r.Status != nil || len(r.Contacts) > 0 || r.Page || r.Pending {
			t.Errorf("a decision on trial carries something to be done: %+v", r)
		}
	}
	if !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "suspend shadow") }) {
		t.Errorf("decisions on trial: %v, want a suspension", got)
	}
	if len(b.proposals) != 0 || len(b.status) > 1 {
		t.Errorf("%d proposals, %d statuses", len(b.proposals), len(b.status))
	}
}

// A signal on trial that comes as a live one, or under no name, is refused; one of a
// trial that control does not name is not judged.
func TestSignalsOnTrialAreToldApart(t *testing.T) {
	b := newInbox(t, testConfig())
	s := sig("a", alice, vol, high, noon)
	apply := func(kind schemas.Kind) error {
		value, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.fold.Apply(&schemas.Input{Topic: schemas.TopicInbox, Kind: kind, ID: s.ID, Key: alice.Key(), Value: value}, func(o schemas.Output) {
			t.Errorf("it gives a %s", o.Kind)
		})
		return err
	}
	if err := apply(schemas.KindTrial); err == nil {
		t.Error("a signal under no trial is taken for one on trial")
	}
	s.Trial, s.Mode = "floor", schemas.ModeShadow
	if err := apply(schemas.KindSignal); err == nil {
		t.Error("a signal on trial is taken for a live one")
	}
	if err := apply(schemas.KindTrial); err != nil {
		t.Errorf("a signal of a trial that is over: %v", err)
	}
}

// Live decisions do not know of a trial beside them; the trial decides what the live
// signals would have, however its signals come.
func TestTrialDecidesByItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, tried := genSignals(t), genSignals(t)
		alone := newInbox(t, testConfig())
		for _, s := range live {
			alone.signal(s)
		}
		would := newInbox(t, testConfig())
		for _, s := range tried {
			would.signal(s)
		}
		b := newInbox(t, testConfig())
		b.try(trialsOf(t, long, "floor"))
		shuffled := shuffle(t, tried)
		for i := range max(len(live), len(shuffled)) {
			if i < len(live) {
				b.signal(live[i])
			}
			if i < len(shuffled) {
				b.onTrial(shuffled[i], "floor")
				if rapid.Bool().Draw(t, "double") {
					b.onTrial(shuffled[i], "floor")
				}
			}
			if rapid.Bool().Draw(t, "cut") {
				b.restart()
			}
		}
		of, rest := split(b.decisions(), "floor")
		if diff := cmp.Diff(alone.decisions(), rest); diff != "" {
			t.Fatalf("a trial changes live decisions:\n%s", diff)
		}
		if diff := cmp.Diff(proposedBy(would.decisions()), proposedBy(of)); diff != "" {
			t.Fatalf("the trial decides otherwise than the same signals live:\n%s", diff)
		}
	})
}

// proposedBy are the policies' own verdicts. The throttles that bridge the time until
// the gate's answer are none, and what was imported is shadow on trial as well.
func proposedBy(all []*decision.Record) map[string]bool {
	out := map[string]bool{}
	for _, r := range all {
		if r.Proposed != schemas.VerdictThrottle {
			out[fmt.Sprintf("%s %s %d", r.Policy, r.Proposed, r.Episode)] = true
		}
	}
	return out
}

// What a person released is not held against the entity on trial either.
func TestReleaseHoldsForTrials(t *testing.T) {
	b := newInbox(t, testConfig())
	b.try(trialsOf(t, long, "floor"))
	for _, s := range []schemas.Signal{sig("a", alice, vol, high, noon), sig("b", alice, net, high, noon.Add(time.Minute))} {
		b.signal(s)
		if s.ID == "a" {
			b.onTrial(s, "floor")
		}
	}
	if op := b.request("release", alice, noon.Add(time.Hour)); op.Refused != "" {
		t.Fatal(op.Refused)
	}
	b.restart()
	b.onTrial(sig("c", alice, net, medium, noon.Add(2*time.Hour)), "floor")
	of, _ := split(b.decisions(), "floor")
	for _, r := range of {
		if r.Verdict.Stops() {
			t.Errorf("what was released counts on trial: %+v", r.Signals)
		}
	}
	b.request("snooze", alice, noon.Add(3*time.Hour), func(r *schemas.Request) { r.Until = noon.Add(10 * time.Hour) })
	before := len(b.outs)
	b.onTrial(sig("d", alice, vol, high, noon.Add(4*time.Hour), certain), "floor")
	if len(b.outs) != before {
		t.Error("a snoozed entity is judged on trial")
	}
}

// What a trial leaves is deleted once its windows are over.
func TestEndedTrialsLeaveNothing(t *testing.T) {
	b := newInbox(t, testConfig())
	b.try(trialsOf(t, long, "floor", noon.Add(-49*time.Hour), "next"))
	b.onTrial(sig("a", alice, vol, high, noon), "next")
	if got := b.fold.Sweep(10); len(got) != 0 {
		t.Fatalf("swept %v while the trial runs", got)
	}
	b.try(trialsOf(t, long, "next", noon.Add(-49*time.Hour), ""))
	b.restart()
	b.signal(sig("z", alice, net, low, noon)) // time goes on with the records
	want := []string{schemas.TrialKey("next", alice.Key())}
	if got := b.fold.Sweep(10); !slices.Equal(got, want) {
		t.Fatalf("swept %v, want %v", got, want)
	}
	for _, key := range append(want, alice.Key()) {
		if err := b.fold.Save(key, func(k string, v []byte) {
			if delete(b.saved, k); v != nil {
				b.saved[k] = v
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.saved) != 1 || b.saved[alice.Key()] == nil {
		t.Errorf("%d values stand on the projection", len(b.saved))
	}
	b.restart()
	if got := b.fold.Sweep(10); len(got) != 0 {
		t.Errorf("swept again: %v", got)
	}
}
