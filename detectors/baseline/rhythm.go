package baseline

import "math"

// Rhythm is the shape of an account's day and week in 62 bytes: a decayed mean
// for each hour of the day (memory 14 days) and for each weekday's total (memory
// 4 weeks), as float32 cut to 8 bits of mantissa, which is 0.4 %.
type Rhythm struct {
	hours [24]uint16
	days  [7]uint16
}

func pack(v float64) uint16 { return uint16((math.Float32bits(float32(v)) + 1<<14) >> 15) }

func unpack(u uint16) float64 { return float64(math.Float32frombits(uint32(u) << 15)) }

// AddHour teaches the count of one hour of the day, days being how many came before.
func (r *Rhythm) AddHour(hour int, count float64, days int) {
	blend(&r.hours[hour], count, max(1/float64(days+1), 1.0/14))
}

// AddDay teaches the total of one day, weeks being how many came before.
func (r *Rhythm) AddDay(weekday int, total float64, weeks int) {
	blend(&r.days[weekday], total, max(1/float64(weeks+1), 1.0/4))
}

func blend(u *uint16, x, alpha float64) {
	if *u == 0 && x == 0 {
		return
	}
	old := unpack(*u)
	*u = pack(old + alpha*(x-old))
}

// Expected returns the count to expect in an hour. Each part is shrunk towards no
// rhythm at all, as if five flat days and two flat weeks had been seen first:
//
//	λ = (n·h + 5·m)/(n + 5) · clip((w·D/(24·m) + 2)/(w + 2), ¼, 4)
//
// with n days, w weeks, h the hour's mean, D the weekday's mean total and m the
// overall hourly mean.
func (r *Rhythm) Expected(hour, weekday int, mean float64, days int) float64 {
	n, w := min(float64(days), 14), min(float64(days)/7, 4)
	level := (n*unpack(r.hours[hour]) + 5*mean) / (n + 5)
	if mean <= 0 {
		return level
	}
	week := (w*unpack(r.days[weekday])/(24*mean) + 2) / (w + 2)
	return level * min(max(week, 0.25), 4)
}

// Parts and RhythmOf take a rhythm apart for an encoding and put it together.
func (r *Rhythm) Parts() (hours [24]uint16, days [7]uint16) { return r.hours, r.days }

// RhythmOf returns the rhythm with these parts; ok is false where one of them is
// no finite number.
func RhythmOf(hours [24]uint16, days [7]uint16) (r Rhythm, ok bool) {
	for _, u := range hours {
		ok = finite(u)
		if !ok {
			return r, false
		}
	}
	for _, u := range days {
		if !finite(u) {
			return r, false
		}
	}
	return Rhythm{hours, days}, true
}

func finite(u uint16) bool {
	v := unpack(u)
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}
