// Package baseline says how surprising a count is against an account's own past.
// It promises a probability, not a multiple: a level, a spread and a rhythm are
// learnt from hours that are over, and a count is judged by the tail of a negative
// binomial with that mean and spread. Nothing here knows what time it is.
package baseline

import "math"

// Steady is the size parameter that stands for "no more spread than Poisson".
const Steady = 1e6

// Size returns the size parameter r of the negative binomial with this mean and
// variance, from Var = mean + mean²/r, held between 0.02 (a few large bursts) and
// Steady.
func Size(mean, variance float64) float64 {
	if mean <= 0 {
		return Steady
	}
	excess := variance - mean
	if excess <= mean*mean/Steady {
		return Steady
	}
	return max(mean*mean/excess, 0.02)
}

// LogTail returns ln P(X ≥ n) for a negative binomial X with the given mean and
// size r: a Poisson count whose rate is gamma-distributed with shape r.
//
//	P(X ≥ n) = I_p(n, r),   p = mean/(mean+r)
//
// where I is the regularised incomplete beta function (NIST DLMF 8.17.21, and
// 8.17.5 for the sum it stands for). It is computed in logarithms, so that the
// tail does not underflow.
func LogTail(n, mean, r float64) float64 {
	if n <= 0 {
		return 0
	}
	if mean <= 0 {
		return math.Inf(-1)
	}
	return logBetaInc(n, r, mean/(mean+r), r/(mean+r))
}

// logBetaInc returns ln I_x(a, b) with y = 1−x given separately, which keeps its
// digits where x is near 1. Source: the continued fraction of DLMF 8.17.22 by
// Lentz's method as in Press et al., Numerical Recipes, 3rd edition, section 6.4.
func logBetaInc(a, b, x, y float64) float64 {
	la, _ := math.Lgamma(a + b)
	lb, _ := math.Lgamma(a)
	lc, _ := math.Lgamma(b)
	front := la - lb - lc + a*math.Log(x) + b*math.Log(y)
	if x < (a+1)/(a+b+2) {
		return min(0, front+math.Log(betaFraction(a, b, x))-math.Log(a))
	}
	other := math.Exp(front) * betaFraction(b, a, y) / b
	return math.Log1p(-min(other, 1))
}

func betaFraction(a, b, x float64) float64 {
	const tiny = 1e-300
	c, d := 1.0, 1-(a+b)*x/(a+1)
	if math.Abs(d) < tiny {
		d = tiny
	}
	d = 1 / d
	h := d
	for m := 1.0; m <= 1000; m++ {
		k := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1+k*d, 1+k/c
		d, c = away(d), away(c)
		d = 1 / d
		h *= d * c
		k = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1+k*d, 1+k/c
		d, c = away(d), away(c)
		d = 1 / d
		step := d * c
		h *= step
		if math.Abs(step-1) < 1e-12 {
			break
		}
	}
	return h
}

func away(v float64) float64 {
	const tiny = 1e-300
	if math.Abs(v) < tiny {
		return tiny
	}
	return v
}
