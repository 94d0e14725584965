package sshd

import "time"

// backward is how far a line may lie before the one above it and still be of the
// same year: relayed logs are not quite in order.
const backward = 31 * 24 * time.Hour

// time completes a stamp. A log without years runs forward: a line that lies more
// than a month before the last one is of the next year.
func (r *Reader) time(s stamp) (time.Time, bool) {
	if !s.noYear {
		return s.at, true
	}
	if r.last.IsZero() {
		t, ok := r.first(s)
		if ok {
			r.last = t
		}
		return t, ok
	}
	year := r.last.In(r.opts.Location).Year()
	for _, y := range [...]int{year - 1, year, year + 1} {
		t, ok := r.inYear(s, y)
		if !ok {
			continue
		}
		if t.Before(r.last.Add(-backward)) {
			continue
		}
		if t.After(r.last) {
			r.last = t
		}
		return t, true
	}
	return time.Time{}, false
}

// first gives the first line its year.
func (r *Reader) first(s stamp) (time.Time, bool) {
	if r.opts.Year != 0 {
		return r.inYear(s, r.opts.Year)
	}
	limit := r.opts.Reference.Add(24 * time.Hour)
	for y, n := limit.In(r.opts.Location).Year(), 0; n < 9; y, n = y-1, n+1 {
		if t, ok := r.inYear(s, y); ok && !t.After(limit) {
			return t, true
		}
	}
	return time.Time{}, false
}

// inYear reports false for a February 29 that the year does not have.
func (r *Reader) inYear(s stamp, year int) (time.Time, bool) {
	a := s.at
	t := time.Date(year, a.Month(), a.Day(), a.Hour(), a.Minute(), a.Second(), a.Nanosecond(), r.opts.Location)
	return t, t.Month() == a.Month() && t.Day() == a.Day()
}
