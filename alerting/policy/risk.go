package policy

import (
	"cmp"
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

// risk takes the families together, 0 to below 1, by the strongest signal of each.
func risk(families []strongest) float64 {
	return -math.Expm1(-sum(families)) // 1 − e^(−Σ w), also where it is near 0
}

// strongest is the largest weight of a family's signals.
type strongest struct {
	family string
	weight float64
}

// byFamily appends each family that there are signals of, lightest first.
func byFamily(families []strongest, signals []Signal) []strongest {
	for i := range signals {
		s := &signals[i]
		at := slices.IndexFunc(families, func(f strongest) bool { return f.family == s.Family })
		if at < 0 {
			at, families = len(families), append(families, strongest{family: s.Family})
		}
		families[at].weight = max(families[at].weight, s.weight())
	}
	slices.SortFunc(families, func(a, b strongest) int { return cmp.Compare(a.weight, b.weight) })
	return families
}

// sum adds in the families' order so that the same weights give the same bits.
func sum(families []strongest) (total float64) {
	for _, f := range families {
		total += f.weight
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
	detector, first := map[detectorOf]float64{}, map[detectorOf]int{}
	for i := range signals {
		s := &signals[i]
		d, w := detectorOf{s.Family, s.Detector}, s.weight()
		if _, ok := first[d]; !ok {
			first[d] = i
		}
		detector[d] = max(detector[d], w)
	}
	families := byFamily(nil, signals)
	total, family, within := sum(families), map[string]float64{}, map[string]float64{}
	for _, f := range families {
		family[f.family] = f.weight
	}
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
