package world

import (
	"math"
	"time"
)

// rhythm is when an account sends: shares of the hours and weekdays of UTC.
type rhythm struct {
	hours [24]float64 // mean 1
	week  [7]float64  // mean 1, Sunday first
}

// officeHours has its peak at that hour; floor is how much of the peak is left at
// the stillest time.
func (r *rhythm) officeHours(peak, width, floor float64) {
	for h := range r.hours {
		d := math.Mod(math.Abs(float64(h)-peak), 24)
		d = min(d, 24-d)
		r.hours[h] = floor + (1-floor)*math.Exp(-d*d/(2*width*width))
	}
}

func (r *rhythm) normalise() {
	for _, w := range [][]float64{r.hours[:], r.week[:]} {
		var sum float64
		for _, v := range w {
			sum += v
		}
		for i := range w {
			w[i] *= float64(len(w)) / max(sum, 1e-9)
		}
	}
}

func (r *rhythm) share(at int64) float64 {
	t := time.UnixMilli(at).UTC()
	return r.hours[t.Hour()] * r.week[t.Weekday()]
}

func newRhythm(d dice, kind archetype) rhythm {
	var r rhythm
	weekend := d.between(0.02, 0.6)
	switch x := d.Float64(); {
	case kind == monitor || kind == saas && x < 0.5:
		r.officeHours(d.between(0, 24), 8, 0.7)
		weekend = d.between(0.6, 1)
	case x < 0.1: // the night's jobs
		r.officeHours(d.between(0, 5), d.between(1, 2.5), 0.01)
		weekend = d.between(0.3, 1)
	case kind == shop && x < 0.7: // evenings and weekends
		r.officeHours(d.between(15, 22), d.between(3, 6), 0.05)
		weekend = d.between(0.8, 2.5)
	default:
		r.officeHours(d.between(6, 20), d.between(2, 5), d.between(0, 0.1))
	}
	r.week = [7]float64{weekend, 1, 1, 1, 1, 1, weekend}
	if d.chance(0.04) { // the weekend's senders
		r.week = [7]float64{1, 0.05, 0.05, 0.05, 0.05, 0.3, 1}
	}
	r.normalise()
	return r
}
