package policy_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// These tests look at what every set of default policies must keep to, whatever
// they are tuned to.

func TestDefaultLoads(t *testing.T) {
	if _, err := policy.Parse("policies.yaml", policy.DefaultFile()); err != nil {
		t.Fatal(err)
	}
	for _, p := range policy.Default().Policies {
		if p.Verdict.Stops() && len(p.Floor) == 0 {
			t.Errorf("policy %s stops without a floor", p.Name)
		}
	}
}

// genFamily draws signals of one family that are not certain, of any detector that
// the policies may ask for.
func genFamily(t *rapid.T, s *policy.Set) []policy.Signal {
	family := rapid.SampledFrom([]string{"volume", "network", "identity", "credential", "reputation", "insider", "source"}).Draw(t, "family")
	detectors := []string{"volume", "strangers", "new_source", "fan_out", "takeover", "fresh_credential", "bad_outcomes", "reach", "unexplained", "dormancy", "flood"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) policy.Signal {
		return policy.Signal{
			Family: family, Detector: rapid.SampledFrom(detectors).Draw(t, "detector"), Severity: rapid.IntRange(1, 4).Draw(t, "severity"),
			Level: rapid.IntRange(1, 4).Draw(t, "level"), Score: rapid.Float64Range(0, 1).Draw(t, "score"), Observed: 1e6, Threshold: 10,
			Unit: rapid.SampledFrom([]string{"recipients", "strangers", "customers", "share of strangers"}).Draw(t, "unit"),
		}
	}).Filter(func(x policy.Signal) bool { return !s.IsCertain(x) }), 1, 6).Draw(t, "signals")
}

// However many and however grave the signals of one family are: unless one of them
// is certain, nobody is throttled or stopped.
func TestDefaultNeverStopsOnOneFamily(t *testing.T) {
	set := policy.Default()
	rapid.Check(t, func(t *rapid.T) {
		env := policy.NewEnv(policy.Entity{}, policy.History{}, genFamily(t, set))
		for _, p := range set.Policies {
			ok, err := p.Holds(env)
			if err != nil {
				t.Fatal(err)
			}
			if p.Verdict.Rank() >= schemas.VerdictThrottle.Rank() && ok && policy.Enough(env) {
				t.Fatalf("policy %s gives %s", p.Name, p.Verdict)
			}
		}
	})
}

// What customers read must not help who wants to stay below a threshold.
func TestDefaultTellsCustomersNoNumber(t *testing.T) {
	for _, p := range policy.Default().Policies {
		text := p.NoticeReason(policy.NoticeData{Account: "acct", Families: []string{"volume", "network"}})
		if text == "" || strings.ContainsAny(text, "0123456789%") || strings.Contains(text, "threshold") {
			t.Errorf("policy %s tells %q", p.Name, text)
		}
	}
}

// A condition that turns false when a signal is added would make decisions depend
// on the order in which signals arrive.
func TestDefaultAsksForAtLeast(t *testing.T) {
	set := policy.Default()
	rapid.Check(t, func(t *rapid.T) {
		few := append(genFamily(t, set), genFamily(t, set)...)
		more := append(append([]policy.Signal{}, few...), genFamily(t, set)...)
		before, after := policy.NewEnv(policy.Entity{}, policy.History{}, few), policy.NewEnv(policy.Entity{}, policy.History{}, more)
		for _, p := range set.Policies {
			if held, _ := p.Holds(before); held {
				if holds, _ := p.Holds(after); !holds {
					t.Fatalf("policy %s no longer holds with more signals", p.Name)
				}
			}
		}
	})
}
