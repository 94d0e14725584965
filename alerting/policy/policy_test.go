package policy_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

var update = flag.Bool("update", false, "write what the bad files say into testdata")

// Each bad file is named after its mistake; beside it stands what is said of it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad.*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = policy.Parse(filepath.Base(file), data)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if strings.Count(line, ":") < 3 {
					t.Errorf("%q does not say where and how to mend it", line)
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMistakesSayWhere(t *testing.T) {
	_, err := policy.Parse("p.yaml", []byte("policies:\n  - {name: a, entity: account, verdict: review, when: 'certain and colour'}\n"))
	var m *policy.Mistake
	if !errors.As(err, &m) {
		t.Fatalf("no mistake: %v", err)
	}
	if m.Line != 2 || m.Column != strings.Index("  - {name: a, entity: account, verdict: review, when: 'certain and colour'}", "colour")+1 {
		t.Errorf("line %d, column %d", m.Line, m.Column)
	}
}

func parse(t *testing.T, text string) *policy.Set {
	t.Helper()
	s, err := policy.Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConditions(t *testing.T) {
	signals := []policy.Signal{
		{Detector: "volume", Family: "volume", Severity: 3, Score: .5, Observed: 900, Unit: "recipients", Credential: "key-1", Age: 60},
		{Detector: "new_source", Family: "network", Severity: 2, Score: .5, Observed: 1, Unit: "sources"},
	}
	env := policy.NewEnv(policy.Entity{Kind: "account", ID: "a", Plan: "free"}, policy.History{Stops: 1, Probation: true}, signals)
	for _, c := range []struct {
		when string
		want bool
	}{
		{"families == 2", true},
		{"family.volume >= high and family.network >= medium", true},
		{"family.insider > none", false},
		{"any(signals, .detector == 'volume' and .observed > 800)", true},
		{"count(signals, .severity >= medium) >= 3", false},
		{"risk > 0.74 and risk < 0.76", true},
		{"entity.plan == 'free' and history.probation and history.stops == 1", true},
		{"severity == critical or certain", false},
		// Signals are values: where they stand in memory is nobody's concern.
		{"len(signals) > 1 and signals[0] in signals", true},
		{"string(groupBy(signals, .detector)) contains 'volume volume 3'", true},
	} {
		s := parse(t, fmt.Sprintf("policies:\n  - {name: a, entity: account, verdict: review, when: \"%s\"}\n", c.when))
		got, err := s.Policies[0].Holds(env)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", c.when, got, err, c.want)
		}
	}
}

func TestFloor(t *testing.T) {
	s := parse(t, "policies:\n  - {name: a, entity: account, verdict: suspend, floor: {recipients: 100, any: 1000}, when: certain}\n")
	for _, c := range []struct {
		unit     string
		observed float64
		want     bool
	}{{"recipients", 99, false}, {"recipients", 100, true}, {"addresses", 999, false}, {"addresses", 1000, true}} {
		env := policy.NewEnv(policy.Entity{}, policy.History{}, []policy.Signal{{Unit: c.unit, Observed: c.observed}})
		if got := s.Policies[0].AboveFloor(env); got != c.want {
			t.Errorf("%g %s: %v", c.observed, c.unit, got)
		}
	}
}

func TestAllowed(t *testing.T) {
	s := parse(t, `
allow:
  - {entity: "account:a", detectors: [volume], until: 2026-03-12T00:00:00Z, reason: launch}
policies:
  - {name: a, entity: account, verdict: review, when: certain}
`)
	end := time.Date(2026, 3, 12, 0, 0, 0, 0, time.UTC)
	a := schemas.Entity{Kind: schemas.KindAccount, ID: "a"}
	for _, c := range []struct {
		entity   schemas.Entity
		detector string
		at       time.Time
		want     bool
	}{
		{a, "volume", end, true},
		{a, "volume", end.Add(time.Millisecond), false},
		{a, "reach", end, false},
		{schemas.Entity{Kind: schemas.KindAccount, ID: "b"}, "volume", end, false},
	} {
		if _, got := s.Allowed(c.entity, c.detector, c.at); got != c.want {
			t.Errorf("%v: %v", c, got)
		}
	}
}

func TestVersions(t *testing.T) {
	at := time.Date(2026, 3, 12, 0, 0, 0, 0, time.UTC)
	file := func(name string) []byte {
		b, err := json.Marshal("policies:\n  - {name: " + name + ", entity: account, verdict: review, when: certain}\n")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	object := []byte(`{"policies":[{"name":"third","entity":"account","verdict":"review","when":"certain"}]}`)
	value, err := json.Marshal(schemas.Versioned{Versions: []schemas.Version{
		{From: at, Value: file("first")}, {From: at.Add(time.Hour), Value: file("second")}, {From: at.Add(2 * time.Hour), Value: object}}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := policy.ParseVersions(value)
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[time.Duration]string{-time.Hour: "first", 0: "first", 59 * time.Minute: "first", time.Hour: "second", 3 * time.Hour: "third"} {
		if got := v.At(at.Add(d)).Policies[0].Name; got != want {
			t.Errorf("at %s: %s, want %s", d, got, want)
		}
	}
	for _, bad := range []string{`{}`, `{"versions":[]}`, `{"versions":[{"from":"2026-01-01T00:00:00Z","value":3}]}`, `[`} {
		if _, err := policy.ParseVersions([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(policy.DefaultFile())
	files, _ := filepath.Glob("testdata/bad.*.yaml")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := policy.Parse("fuzz.yaml", data)
		if err != nil {
			return
		}
		for _, p := range s.Policies {
			_, _ = p.Holds(policy.NewEnv(policy.Entity{}, policy.History{}, nil))
			p.AboveFloor(policy.NewEnv(policy.Entity{}, policy.History{}, nil))
			_ = p.Reason(policy.ReasonData{}) + p.NoticeReason(policy.NoticeData{})
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	env := policy.NewEnv(policy.Entity{Kind: "account", ID: "a"}, policy.History{}, []policy.Signal{
		{Detector: "volume", Family: "volume", Severity: 3, Score: .5}, {Detector: "new_source", Family: "network", Severity: 2, Score: .5}})
	policies := policy.Default().For(schemas.KindAccount)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range policies {
			if _, err := p.Holds(env); err != nil {
				b.Fatal(err)
			}
		}
	}
}
