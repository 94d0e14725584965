package baseline

import "math"

const (
	contexts    = 5    // lengths of context that are judged: the last 1 to 5 values
	streamPast  = 4096 // values that a context is compared with: two weeks of 5 minutes
	streamQuiet = 150  // rows after an event in which only a rarer one counts
	streamStep  = 0.11 // by so much rarer, on the scale of the score
	extreme     = 1e150
)

// Stream scores a series of values one by one, from those before it alone: how
// rare is it for this series to do something that new?
//
// The novelty of a context, the last l values x[t−l+1..t], is its distance to the
// nearest context of the same length in the past P (streamPast values):
//
//	d_l(t) = min over s in P, s ≤ t−l, of √( Σ_{i<l} (x[t−i] − x[s−i])² ),   l = 1..contexts
//
// as in nearest-neighbour detection of discords (E. Keogh, J. Lin, A. Fu, "HOT SAX",
// ICDM 2005) with the future left out. It needs no model of the series: a rhythm, a
// level that came back and bursts that are usual all have a neighbour, whatever their
// shape. Each novelty is ranked among all before it (Rarity), which makes the units
// of the series cancel, and the score is the mean of the ranks:
//
//	S(t) = 1/5 · Σ_l R_l(d_l(t))   in 0..1
//
// A lasting new level or a new rhythm is novel once, because it becomes past itself.
// An event is told once: after S(t) = p only S > p + streamStep counts for
// streamQuiet rows, and every other row scores 0.
//
// The scores do not change where all values are multiplied by a number other than 0
// or have a number added, up to rounding; they do not depend on times, so a series
// with gaps or an uneven interval is taken as the sequence of its rows. A stream
// keeps 70 KB whatever the length of the series. The zero value is ready for use.
type Stream struct {
	past   []float64 // the latest is the last; cut back to streamPast when twice as long
	rarity [contexts]Rarity
	event  float64 // the score of the event that is open
	quiet  int     // rows until it is over
}

// Score returns how unusual the next value is, in 0..1, and learns it. A value that
// is no finite number scores 0 and teaches nothing.
func (s *Stream) Score(value float64) float64 {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0
	}
	s.push(min(max(value, -extreme), extreme))
	sum := 0.0
	for l, d := range s.novelty() {
		if !math.IsInf(d, 1) {
			sum += s.rarity[l].Add(d)
		}
	}
	return s.tell(sum / contexts)
}

func (s *Stream) push(value float64) {
	if s.past == nil {
		s.past = make([]float64, 0, 2*streamPast)
	}
	if len(s.past) == 2*streamPast {
		s.past = s.past[:copy(s.past, s.past[streamPast:])]
	}
	s.past = append(s.past, value)
}

// novelty returns the squared distance of each context to its nearest neighbour, +Inf
// where the past is too short. All lengths share one walk back through the past: the
// sum for l values is a part of that for l+1, and a neighbour is left as soon as its
// sum reaches the longest context's best, because no shorter context's best is larger.
func (s *Stream) novelty() (best [contexts]float64) {
	past := s.past[max(0, len(s.past)-streamPast):]
	last := len(past) - 1
	for l := range best {
		best[l] = math.Inf(1)
	}
	for at := last - 1; at >= 0; at-- {
		sum := 0.0
		for i := 0; i < contexts && i <= at; i++ {
			d := past[last-i] - past[at-i]
			sum += d * d
			if sum >= best[contexts-1] {
				break
			}
			if last-at > i && sum < best[i] {
				best[i] = sum
			}
		}
	}
	return best
}

// tell lets an event be told once.
func (s *Stream) tell(score float64) float64 {
	if s.quiet == 0 {
		s.event = 0
	} else {
		s.quiet--
	}
	if score <= s.event+streamStep {
		return 0
	}
	s.event, s.quiet = score, streamQuiet
	return score
}
