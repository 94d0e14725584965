package baseline

import "math"

// Series is what is remembered of a series of counts, one a window: level,
// spread, 95th percentile and the largest, in 20 bytes. Recent windows weigh more:
// after Memory windows the weight of a new one stays 1/Memory.
type Series struct {
	N      uint16  // windows seen, up to 65535
	Active uint16  // of them with any count
	Mean   float32 // of all windows, empty ones too
	Var    float32
	P95    float32 // of the active windows
	Max    float32 // decays by 1/(4·Memory) a window
}

// Add teaches the series one window's count.
//
// Level and spread follow D. E. Knuth's and T. Finch's recurrences ("Incremental
// calculation of weighted mean and variance", 2009):
//
//	mean ← mean + α·d,   var ← (1−α)(var + α·d²),   d = x − mean,   α = max(1/(n+1), 1/memory)
//
// where x is held to four times the 95th percentile plus 20 once 48 windows are
// known, so that one outlier below every alarm moves the level but does not make
// the next one look ordinary. The percentile is tracked by stochastic
// approximation in proportion to itself (Robbins and Monro, 1951): it rises by
// 0.95·γ of itself for a count above it and falls by 0.05·γ for one below.
func (s *Series) Add(count float64, memory int) {
	x := count
	if s.N >= 48 && s.Active > 0 {
		x = min(x, 4*float64(s.P95)+20)
	}
	alpha := max(1/(float64(s.N)+1), 1/float64(memory))
	d := x - float64(s.Mean)
	s.Mean = float32(float64(s.Mean) + alpha*d)
	s.Var = float32((1 - alpha) * (float64(s.Var) + alpha*d*d))
	s.Max = float32(max(count, float64(s.Max)*(1-1/(4*float64(memory)))))
	s.N = bump(s.N)
	if count > 0 {
		s.quantile(count)
		s.Active = bump(s.Active)
	}
}

func bump(n uint16) uint16 {
	if n == math.MaxUint16 {
		return n
	}
	return n + 1
}

func (s *Series) quantile(x float64) {
	q, gamma := float64(s.P95), max(0.1, 0.5/(1+float64(s.Active)/20))
	switch {
	case s.Active == 0:
		q = x
	case x > q:
		q = min(x, q*(1+0.95*gamma))
	default:
		q = max(x, q*(1-0.05*gamma))
	}
	s.P95 = float32(q)
}

// Size is the size parameter of the negative binomial that fits the series.
func (s *Series) Size() float64 { return Size(float64(s.Mean), float64(s.Var)) }

// Sound reports whether all its numbers are finite and not negative, as a decoder
// must know before it uses them.
func (s *Series) Sound() bool {
	for _, v := range [...]float32{s.Mean, s.Var, s.P95, s.Max} {
		if !(v >= 0) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return s.Active <= s.N
}
