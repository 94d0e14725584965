package detectors

import (
	"math"

	"holdfast/detectors/baseline"
)

// belief is what an account's past says about a count: its mean and size, shrunk
// to what is believed before anything is known.
type belief struct{ mean, size float64 }

// shrink joins n hours of a series with a prior of some weight: mean and variance
// are averaged by weight, the prior's variance being that of its own size.
//
//	m = (n·mean + w·m₀)/(n + w),   v = (n·var + w·(m₀ + m₀²/r₀))/(n + w)
func shrink(s *baseline.Series, mean, n, prior, size, weight float64) belief {
	n = min(n, hourMemory)
	m := (n*mean + weight*prior) / (n + weight)
	variance := (n*float64(s.Var) + weight*(prior+prior*prior/size)) / (n + weight)
	return belief{m, baseline.Size(m, variance)}
}

// times is the belief about k such counts together, whose spread stays what it is
// for one: hours next to each other are alike.
func (b belief) times(k float64) belief { return belief{b.mean * k, b.size} }

// surprise is −log₁₀ of the probability of at least n.
func (b belief) surprise(n float64) float64 {
	if n <= b.mean {
		return 0
	}
	return -baseline.LogTail(n, b.mean, b.size) / math.Ln10
}

// namedShow is how many recipients show as much of whom an account writes to as
// one more active hour does.
const namedShow = 50

// succession is how surprising n is after a number of active hours or days, the
// most of which had so many: by Laplace's rule of succession a new record has a
// chance of 1 in active+2, and how far it goes beyond the old one is taken to fall
// off with its cube. No distribution is fitted, so that a few batches cannot look
// like a law.
func succession(n, active, most, fall float64) float64 {
	most = max(most, 3)
	if n <= most {
		return 0
	}
	return math.Log10(active+2) + fall*math.Log10(n/most)
}

// shareSurprise is −log₁₀ of the probability of at least k of n where the share q
// is known as from weight trials: beta-binomial, by the negative binomial of its
// mean and variance
//
//	mean = n·q,   var = n·q·(1−q)·(1 + (n−1)/(weight+1))
func shareSurprise(k, n, q, weight float64) float64 {
	q = min(q, 0.999)
	mean := n * q
	if k <= mean {
		return 0
	}
	variance := mean * (1 - q) * (1 + max(n-1, 0)/(weight+1))
	if variance <= mean {
		// Less spread than Poisson: the normal tail of a binomial, by Hoeffding's
		// and Chernoff's bound exp(−n·KL(k/n, q)).
		f := min(k/n, 1-1e-9)
		return n * (f*math.Log(f/q) + (1-f)*math.Log((1-f)/(1-q))) / math.Ln10
	}
	return belief{mean, baseline.Size(mean, variance)}.surprise(k)
}

// share turns a surprise in powers of ten into a score: 1 in 10^4 is 0.63, 1 in
// 10^12 is 0.95.
func share(surprise float64) float64 { return 1 - math.Exp(-surprise/4) }
