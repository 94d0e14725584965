package baseline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func scores(values []float64) []float64 {
	var s Stream
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = s.Score(v)
	}
	return out
}

// anySeries draws steps of a walk between few levels, so that contexts come back.
func anySeries(t *rapid.T) []float64 {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	values := make([]float64, rapid.IntRange(100, 600).Draw(t, "rows"))
	levels := rapid.IntRange(1, 60).Draw(t, "levels")
	for i := range values {
		values[i] = float64(rng.IntN(levels))
		if rng.IntN(50) == 0 {
			values[i] *= float64(rng.IntN(20))
		}
	}
	return values
}

func TestNothingAheadIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := anySeries(t)
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		if got, want := scores(values[:cut]), scores(values)[:cut]; !slices.Equal(got, want) {
			t.Fatalf("the first %d rows score %v alone and %v with what follows", cut, got, want)
		}
	})
}

// Powers of two and whole numbers are exact, so the scores must be as well.
func TestUnitsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := anySeries(t)
		scale := math.Ldexp(rapid.SampledFrom([]float64{1, -1}).Draw(t, "sign"), rapid.IntRange(-30, 30).Draw(t, "exponent"))
		shift := float64(rapid.IntRange(-1000, 1000).Draw(t, "shift"))
		other := make([]float64, len(values))
		for i, v := range values {
			other[i] = (v + shift) * scale
		}
		if got, want := scores(other), scores(values); !slices.Equal(got, want) {
			t.Fatalf("scaled by %g and shifted by %g: %v, before %v", scale, shift, got, want)
		}
	})
}

func TestScoresStayInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64(), 0, 300).Draw(t, "values")
		for i, score := range scores(append(values, math.NaN(), math.Inf(1), math.MaxFloat64, -math.MaxFloat64)) {
			if !(score >= 0 && score <= 1) {
				t.Fatalf("row %d scores %g", i, score)
			}
		}
	})
}

func TestConstantSeriesIsQuiet(t *testing.T) {
	values := make([]float64, 10000)
	for _, level := range []float64{0, 45, -1e300} {
		for i := range values {
			values[i] = level
		}
		if top := slices.Max(scores(values)); top != 0 {
			t.Errorf("a constant %g scores %g", level, top)
		}
	}
}

// A value that is missing is as if its row were not there.
func TestMissingValuesTeachNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var with, without Stream
	for range 1000 {
		if got := with.Score(math.NaN()); got != 0 {
			t.Fatalf("a missing value scores %g", got)
		}
		v := rng.NormFloat64()
		if got, want := with.Score(v), without.Score(v); got != want {
			t.Fatalf("%g scores %g after a missing value and %g without", v, got, want)
		}
	}
}

// event is the threshold that the documentation advises.
const event = 0.23

func noisy(rows int, seed uint64, at func(i int, noise float64) float64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	values := make([]float64, rows)
	for i := range values {
		values[i] = at(i, rng.NormFloat64())
	}
	return values
}

func TestWhatIsNewStandsOut(t *testing.T) {
	day := func(i int) float64 { return 50 + 30*math.Sin(2*math.Pi*float64(i)/288) }
	cases := map[string]func(i int, noise float64) float64{
		"a spike": func(i int, noise float64) float64 {
			if i == 3000 {
				noise += 12
			}
			return 100 + noise
		},
		"a drop within a rhythm": func(i int, noise float64) float64 {
			if i >= 3000 && i < 3020 {
				return 0
			}
			return day(i) + noise
		},
		"a rhythm that stands still between its ends": func(i int, noise float64) float64 {
			if i >= 3000 && i < 3100 {
				return 50 + 6*math.Pow(-1, float64(i))
			}
			return day(i) + noise
		},
		"a level that lasts": func(i int, noise float64) float64 {
			if i >= 3000 {
				return 115 + noise
			}
			return 100 + noise
		},
	}
	for name, at := range cases {
		got := scores(noisy(6000, 7, at))
		if top := slices.Max(got[3000:3020]); top < event {
			t.Errorf("%s scores at most %g", name, top)
		}
		for i, score := range got[3300:] {
			if score >= event {
				t.Errorf("%s: row %d, long after, scores %g", name, i+3300, score)
			}
		}
	}
}

// A series in which nothing happens brings an event in a thousand rows at most, and
// fewer as it grows.
func TestNoiseIsMostlyQuiet(t *testing.T) {
	shapes := map[string]func(noise float64) float64{
		"normal":       func(noise float64) float64 { return noise },
		"heavy-tailed": func(noise float64) float64 { return math.Exp(2 * noise) },
		"counts":       func(noise float64) float64 { return math.Round(math.Exp(noise)) },
	}
	for name, shape := range shapes {
		var early, late int
		for seed := range uint64(2) {
			for i, score := range scores(noisy(16000, seed, func(_ int, noise float64) float64 { return shape(noise) })) {
				switch {
				case score < event:
				case i < 8000:
					early++
				default:
					late++
				}
			}
		}
		if early > 2*15 || late > 2*10 {
			t.Errorf("%s: %d events in the first halves of 2 series and %d in the second, want at most 30 and 20", name, early, late)
		}
	}
}

// The shared walk finds what a search for each length by itself finds.
func TestNoveltyAgainstASearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := anySeries(t)
		var s Stream
		for n, v := range values {
			s.push(v)
			if n%37 != 0 {
				continue
			}
			for l, got := range s.novelty() {
				want := math.Inf(1)
				for at := l; at < n-l; at++ {
					sum := 0.0
					for i := 0; i <= l; i++ {
						d := values[n-i] - values[at-i]
						sum += d * d
					}
					want = min(want, sum)
				}
				if got != want {
					t.Fatalf("row %d, length %d: distance² %g, want %g", n, l+1, got, want)
				}
			}
		}
	})
}

func TestRarityAgainstASort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := anySeries(t)
		var r Rarity
		for n, v := range values {
			got := r.Add(v)
			past := slices.Sorted(slices.Values(values[:n]))
			past = past[max(0, n-rarest):]
			place := 1.0
			for _, p := range past {
				if p >= v {
					place++
				}
			}
			want := 0.0
			if n >= rarityMin && v > 0 {
				want = max(0, math.Log((min(float64(len(past)), float64(n)/8)+1)/place)/math.Log(rarest+1))
			}
			if got != want {
				t.Fatalf("value %d: %g, want %g", n, got, want)
			}
		}
	})
}

func TestStreamIsBounded(t *testing.T) {
	var s Stream
	for _, v := range noisy(3*streamPast, 1, func(i int, noise float64) float64 { return float64(i) + noise }) {
		s.Score(v)
	}
	if cap(s.past) > 2*streamPast {
		t.Errorf("room for %d values is kept, want at most %d", cap(s.past), 2*streamPast)
	}
	for _, r := range s.rarity {
		if len(r.top) != rarest {
			t.Errorf("%d novelties are kept, want %d", len(r.top), rarest)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	var s Stream
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2 * streamPast {
		s.Score(rng.NormFloat64())
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Score(rng.NormFloat64())
	}
}
