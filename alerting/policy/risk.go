package policy

import (
	"math"
	"slices"
)

// HalfLife is the age in seconds at which a signal counts half. A day: within a
// policy's window of at most two days a signal keeps at least a quarter of its
// score, so that evidence gathered slowly adds up while yesterday's alone fades.
const HalfLife = 24 * 60 * 60

// surest is the highest score that counts: no detector errs less than once in a
// thousand times. It keeps weights finite.
const surest = 0.999

// A signal's score s, 0 to 1, is the probability that what it saw was no accident.
// At the age of a seconds, counted in event time from the window's newest signal,
// it is
//
//	s(a) = min(s, 0.999) · 2^(−a / HalfLife)
//
// The signals of one family look at the same thing, so only the strongest counts:
// s_f = max s(a). Families are independent of each other; all is an accident only
// if each family is wrong:
//
//	risk = 1 − Π (1 − s_f)
//
// The weight w = −ln(1 − s) of a signal is in nats. Weights of families add up,
// −ln(1 − risk) = Σ w_f, and this makes shares of the risk that need no order: a
// family's share is w_f / Σ w_f. It is divided among the family's detectors by the
// weights of their strongest signals; of one detector, its gravest signal carries
// it. All are functions of the set of signals alone.

// weight is −ln(1 − s(a)).
func (s *Signal) weight() float64 {
	score := min(surest, max(0, s.Score))
	if math.IsNaN(score) {
		return 0
	}
	return -math.Log1p(-score * math.Exp2(-float64(max(0, s.Age))/HalfLife))
}

// Risk takes the families of signals together, 0 to below 1.
func Risk(signals []Signal) float64 {
	best := map[string]float64{}
	for i := range signals {
		s := &signals[i]
		best[s.Family] = max(best[s.Family], s.weight())
	}
	return -math.Expm1(-sum(best)) // 1 − e^(−Σ w), also where it is near 0
}

// sum adds in a fixed order so that the same weights give the same bits.
func sum[K comparable](weights map[K]float64) float64 {
	all := make([]float64, 0, len(weights))
	for _, w := range weights {
		all = append(all, w)
	}
	slices.Sort(all)
	total := 0.0
	for _, w := range all {
		total += w
	}
	return total
}

type detectorOf struct{ family, detector string }

// Shares divides the risk among the signals, which stand gravest first: the share
// of each, in ten thousandths that together make 1. The gravest signal of each
// detector carries what its detector adds, the others nothing.
func Shares(signals []Signal) []float64 {
	if len(signals) == 0 {
		return nil
	}
	family, detector, first := map[string]float64{}, map[detectorOf]float64{}, map[detectorOf]int{}
	for i := range signals {
		s := &signals[i]
		d, w := detectorOf{s.Family, s.Detector}, s.weight()
		if _, ok := first[d]; !ok {
			first[d] = i
		}
		family[d.family], detector[d] = max(family[d.family], w), max(detector[d], w)
	}
	total := sum(family)
	within := map[string]float64{}
	for i := range signals { // in the signals' order: a map's would change the bits
		if d := (detectorOf{signals[i].Family, signals[i].Detector}); first[d] == i {
			within[d.family] += detector[d]
		}
	}
	out := make([]float64, len(signals))
	for d, i := range first {
		switch {
		case total <= 0: // no score at all: each detector says as much as another
			out[i] = 1 / float64(len(first))
		case within[d.family] > 0:
			out[i] = family[d.family] / total * detector[d] / within[d.family]
		}
	}
	return rounded(out)
}

// rounded rounds to ten thousandths by largest remainder, so that the sum stays 1.
func rounded(shares []float64) []float64 {
	const parts = 10_000
	order := make([]int, len(shares))
	left, rest := parts, make([]float64, len(shares))
	for i, x := range shares {
		whole := math.Floor(x * parts)
		order[i], rest[i], shares[i] = i, x*parts-whole, whole
		left -= int(whole)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case rest[a] > rest[b]:
			return -1
		case rest[a] < rest[b]:
			return 1
		}
		return 0
	})
	for _, i := range order {
		if left > 0 {
			shares[i]++
			left--
		}
		shares[i] /= parts
	}
	return shares
}
