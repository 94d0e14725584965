package world

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// dice draws for one actor. Each has dice of its own, so that one actor more or
// less leaves the others' lives as they are.
type dice struct{ *rand.Rand }

func newDice(seed uint64, who string, n int) dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(who))
	return dice{rand.New(rand.NewPCG(seed, h.Sum64()+uint64(n)*0x9e3779b97f4a7c15))}
}

// chance is true with probability p.
func (d dice) chance(p float64) bool { return d.Float64() < p }

// between is uniform.
func (d dice) between(lo, hi float64) float64 { return lo + (hi-lo)*d.Float64() }

// size is log-uniform: as often from 10 to 20 as from 100 to 200.
func (d dice) size(lo, hi float64) float64 { return lo * math.Exp(d.Float64()*math.Log(hi/lo)) }

func (d dice) count(lo, hi float64) int { return int(math.Round(d.size(lo, hi))) }

// ms is a log-uniform length of time.
func (d dice) ms(lo, hi int64) int64 { return int64(d.size(float64(lo), float64(hi))) }

// poisson draws by Knuth's products below 30 and by the normal approximation above.
func (d dice) poisson(mean float64) int {
	if mean <= 0 {
		return 0
	}
	if mean > 30 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*d.NormFloat64())))
	}
	n, limit := 0, math.Exp(-mean)
	for p := d.Float64(); p > limit; p *= d.Float64() {
		n++
	}
	return n
}

// pick draws an index in proportion to the weights.
func (d dice) pick(weights []float64) int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	x := d.Float64() * sum
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

func one[T any](d dice, of []T) T { return of[d.IntN(len(of))] }

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)
