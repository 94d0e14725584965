package schemas

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestTrialRuns(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n)*100, 0).UTC() }
	value := func(names ...string) []byte {
		var v Versioned
		for i, name := range names {
			b, err := json.Marshal(Trial{Name: name, Parameters: map[string]map[string]float64{"volume": {"n": float64(i)}}})
			if err != nil {
				t.Fatal(err)
			}
			v.Versions = append(v.Versions, Version{From: at(i), Value: jsontext.Value(b)})
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		names []string
		want  string // name:from-until
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"a"}, "a:0-"},
		{[]string{"", "a", "a"}, "a:100-"},                       // other numbers are no other run
		{[]string{"a", "b"}, "a:0-100 b:100-"},                   // a new name is
		{[]string{"a", "", "a"}, "a:0-100 a:200-"},               // and so is one taken up again
		{[]string{"", "a", "b", "b", ""}, "a:100-200 b:200-400"}, // what has ended stays known
	} {
		runs, err := TrialRuns(value(c.names...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range runs {
			s := r.ID() + "-"
			if !r.Until.IsZero() {
				s += strings.TrimPrefix((&TrialRun{From: r.Until}).ID(), ":")
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: runs %q, want %q", c.names, s, c.want)
		}
	}
	if runs, err := TrialRuns(value("a", "a")); err != nil || len(runs[0].Numbers.Versions) != 2 {
		t.Errorf("the versions of a run: %+v, %v", runs, err)
	}
	if _, err := TrialRuns(value("a:b")); err == nil {
		t.Error("a name with a colon is taken")
	}
	if runs, err := TrialRuns(nil); err != nil || runs != nil {
		t.Errorf("a value that was deleted: %v, %v", runs, err)
	}
}

func TestTrialKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		colons := rapid.IntRange(0, 2).Draw(t, "colons")
		parts := make([]string, colons+1)
		for i := range parts {
			parts[i] = rapid.StringMatching(`[a-z0-9-]{1,8}`).Draw(t, "part")
		}
		trial, entity := strings.Join(parts, ":"), rapid.StringMatching(`(account|ip|employee):[a-z0-9:.]{1,12}`).Draw(t, "entity")
		gotTrial, gotEntity, ok := CutTrialKey(TrialKey(trial, entity), colons)
		if !ok || gotTrial != trial || gotEntity != entity {
			t.Fatalf("%q and %q became %q and %q", trial, entity, gotTrial, gotEntity)
		}
		if _, _, ok := CutTrialKey(entity, colons); ok {
			t.Fatalf("%q is taken for a trial's key", entity)
		}
	})
}

// Ids under a trial differ from live ones and from those of others, and keep their kind.
func TestIDsOfTrials(t *testing.T) {
	id := SignalID("volume", Entity{KindAccount, "a"}, "1h@0", 1)
	if OfTrial(id, "") != id {
		t.Error("no trial changes an id")
	}
	a, b := OfTrial(id, "a"), OfTrial(id, "b")
	if a == id || a == b || !strings.HasPrefix(a, "sig_") || a != OfTrial(id, "a") {
		t.Errorf("%s, %s, %s", id, a, b)
	}
}
