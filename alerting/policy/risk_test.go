package policy_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"holdfast/alerting/policy"
)

const day = 24 * 60 * 60

// risk is what conditions see of it.
func risk(signals []policy.Signal) float64 {
	return policy.NewEnv(policy.Entity{}, policy.History{}, signals).Risk
}

func TestRisk(t *testing.T) {
	sig := func(family, detector string, score float64, age int) policy.Signal {
		return policy.Signal{Family: family, Detector: detector, Score: score, Age: age}
	}
	for _, c := range []struct {
		name    string
		signals []policy.Signal
		want    float64
	}{
		{"none", nil, 0},
		{"one", []policy.Signal{sig("volume", "volume", .8, 0)}, .8},
		{"a day old", []policy.Signal{sig("volume", "volume", .8, day)}, .4},
		{"two days old", []policy.Signal{sig("volume", "volume", .8, 2*day)}, .2},
		{"one family's weaker adds nothing", []policy.Signal{sig("volume", "volume", .8, 0), sig("volume", "strangers", .7, 0)}, .8},
		{"the fresh weaker one may count more", []policy.Signal{sig("volume", "volume", .8, day), sig("volume", "strangers", .6, 0)}, .6},
		{"two families", []policy.Signal{sig("volume", "volume", .8, 0), sig("network", "fan_out", .5, 0)}, .9},
		{"nothing is sure", []policy.Signal{sig("insider", "exposed_key", 1, 0)}, .999},
		{"scores outside 0 to 1", []policy.Signal{sig("volume", "volume", -1, 0), sig("network", "fan_out", math.NaN(), 0), sig("source", "flood", 7, day)}, .4995},
	} {
		if got := risk(c.signals); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestShares(t *testing.T) {
	got := policy.Shares([]policy.Signal{ // gravest first
		{Family: "volume", Detector: "strangers", Score: .9},
		{Family: "volume", Detector: "strangers", Score: .7},
		{Family: "network", Detector: "new_source", Score: .684},
		{Family: "volume", Detector: "volume", Score: .684},
	})
	// −ln(1 − .9) = 2.303 and −ln(1 − .684) = 1.152: two thirds and one third; of
	// the first, strangers has 2/3 and volume 1/3.
	want := []float64{.4444, 0, .3335, .2222}
	for i := range want {
		if math.Abs(got[i]-want[i]) > .0005 {
			t.Errorf("share %d is %v, want %v", i, got[i], want[i])
		}
	}
	if got := policy.Shares([]policy.Signal{{Family: "volume", Detector: "a"}, {Family: "volume", Detector: "b"}}); got[0] != .5 || got[1] != .5 {
		t.Errorf("without any score: %v", got)
	}
}

func genSignals(t *rapid.T) []policy.Signal {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) policy.Signal {
		return policy.Signal{
			Family:   rapid.SampledFrom([]string{"volume", "network", "identity"}).Draw(t, "family"),
			Detector: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "detector"),
			Score:    rapid.Float64Range(0, 1).Draw(t, "score"), Age: rapid.IntRange(0, 2*day).Draw(t, "age"),
		}
	}), 1, 32).Draw(t, "signals")
}

// The risk is the same to the bit in whatever order the signals stand, never falls
// when one is added, and stays below 1.
func TestRiskIsOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		signals := genSignals(t)
		all := risk(signals)
		if again := risk(rapid.Permutation(signals).Draw(t, "order")); again != all {
			t.Fatalf("%v in another order, %v in this", again, all)
		}
		if more := risk(append(genSignals(t), signals...)); more < all-1e-12 || more >= 1 || all < 0 {
			t.Fatalf("%v with more signals, %v without", more, all)
		}
	})
}

// Shares together are 1, none is negative, and they do not depend on the order of
// signals of different detectors.
func TestSharesTogetherAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		signals := genSignals(t)
		total := 0.0
		for _, s := range policy.Shares(signals) {
			if s < 0 {
				t.Fatalf("share %v", s)
			}
			total += s
		}
		if math.Abs(total-1) > 1e-9 {
			t.Fatalf("shares add up to %v", total)
		}
	})
}
