package baseline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The tail agrees with the plain sum of the distribution where that can be had.
func TestLogTailAgainstTheSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mean := rapid.Float64Range(0.01, 200).Draw(t, "mean")
		r := rapid.SampledFrom([]float64{0.02, 0.1, 0.5, 1, 3, 20, 1000}).Draw(t, "size")
		n := rapid.IntRange(1, 400).Draw(t, "n")
		p := mean / (mean + r)
		lr, _ := math.Lgamma(r)
		below := 0.0
		for k := range n {
			a, _ := math.Lgamma(float64(k) + r)
			b, _ := math.Lgamma(float64(k) + 1)
			below += math.Exp(a - b - lr + r*math.Log(1-p) + float64(k)*math.Log(p))
		}
		got, want := math.Exp(LogTail(float64(n), mean, r)), 1-below
		if math.Abs(got-want) > 1e-9+1e-6*want {
			t.Fatalf("P(X ≥ %d) for mean %g and size %g is %g, want %g", n, mean, r, got, want)
		}
	})
}

func TestLogTailFallsAndDoesNotUnderflow(t *testing.T) {
	for _, r := range []float64{0.02, 1, Steady} {
		last := 0.0
		for n := 1.0; n < 1e6; n *= 1.7 {
			v := LogTail(n, 3, r)
			if v > last+1e-9 || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("size %g: ln P(X ≥ %g) = %g after %g", r, n, v, last)
			}
			last = v
		}
	}
}

// Counts drawn from the very distribution that was learnt are surprising about as
// often as the probability says.
func TestTailIsCalibrated(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() float64 { // negative binomial by a gamma (sum of exponentials) of shape 2, mean 10
		rate := (rng.ExpFloat64() + rng.ExpFloat64()) * 5
		k, p := 0.0, math.Exp(-rate)
		for u := rng.Float64(); u > p && k < 500; k++ {
			u -= p
			p *= rate / (k + 1)
		}
		return k
	}
	var s Series
	for range 24 * 60 {
		s.Add(draw(), 24*28)
	}
	const trials = 20000
	hits := 0
	for range trials {
		if LogTail(draw(), float64(s.Mean), s.Size()) < math.Log(0.01) {
			hits++
		}
	}
	if share := float64(hits) / trials; share < 0.002 || share > 0.02 {
		t.Errorf("%.4f of ordinary counts lie in the upper hundredth", share)
	}
}

func TestSeriesPercentile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var s Series
	var all []float64
	for range 3000 {
		x := math.Ceil(rng.ExpFloat64() * 40)
		s.Add(x, 672)
		all = append(all, x)
	}
	slices.Sort(all)
	exact := all[len(all)*95/100]
	if q := float64(s.P95); q < exact*0.6 || q > exact*1.6 {
		t.Errorf("95th percentile %g, exactly %g", q, exact)
	}
	if m := float64(s.Mean); m < 30 || m > 50 {
		t.Errorf("mean %g of 40", m)
	}
}

// A lasting new level is learnt in the end: no alarm for ever.
func TestSeriesFollowsANewLevel(t *testing.T) {
	var s Series
	for range 700 {
		s.Add(10, 672)
	}
	for range 2000 {
		s.Add(100, 672)
	}
	if s.Mean < 80 || LogTail(110, float64(s.Mean), s.Size()) < math.Log(1e-5) {
		t.Errorf("mean %g, variance %g", s.Mean, s.Var)
	}
}

func TestSeriesOnEmptyAndConstantHistory(t *testing.T) {
	var s Series
	for range 500 {
		s.Add(0, 672)
	}
	if !s.Sound() || s.Active != 0 || s.Mean != 0 {
		t.Errorf("after nothing: %+v", s)
	}
	for range 500 {
		s.Add(7, 672)
	}
	if !s.Sound() || s.P95 != 7 {
		t.Errorf("after a constant: %+v", s)
	}
}

func TestRhythmLearnsTheHourAndForgetsSlowly(t *testing.T) {
	var r Rhythm
	for day := range 28 {
		for h := range 24 {
			x := 1.0
			if h == 9 {
				x = 100
			}
			r.AddHour(h, x, day)
		}
		r.AddDay(day%7, 123, day/7)
	}
	mean := 123.0 / 24
	if at, off := r.Expected(9, 1, mean, 28), r.Expected(3, 1, mean, 28); at < 70 || off > 3 {
		t.Errorf("expects %g at nine and %g at three", at, off)
	}
}

func BenchmarkLogTail(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		LogTail(500, 12.5, 0.7)
	}
}

func BenchmarkSeriesAdd(b *testing.B) {
	var s Series
	for b.Loop() {
		s.Add(3, 672)
	}
}
