package sshd

import "time"

const (
	// backward is how far a line may lie before the one above it and still be of the
	// same year: relayed logs are not quite in order.
	backward = 31 * 24 * time.Hour
	// silence is how far ahead a line may lie before it is asked whether its clock
	// was set.
	silence = 2 * 24 * time.Hour
	// reset is how close behind the time before a jump a line must lie for the jump
	// to be taken back.
	reset = time.Hour
	// disorder is how far before its predecessor a line may lie when a time that
	// clocks show twice is told apart.
	disorder = 5 * time.Minute
	// unset is the time before which a clock cannot have been set.
	unset = 1990
)

// clock completes the lines' times. A log without years runs forward: a line that
// lies more than a month before the last one is of the next year. A machine that
// started without a clock writes a few lines as of January 1, or of whenever its
// software was made, and then goes on where it was: until that is known a line that
// lies days ahead is in doubt.
type clock struct {
	loc       *time.Location
	year      int
	limit     time.Time // no line can lie behind it
	unlimited bool      // the first line does

	last time.Time // the latest so far
	// While in doubt: the latest before the jump, and where that led.
	old, jump time.Time
}

// placed says what a line's time is, and what became of the lines in doubt.
type placed byte

const (
	settled  placed = iota
	doubtful        // the line is in doubt, beside those that are already
	returned        // those in doubt were of a clock that was not set: clock.old is the best that is known of them
	passed          // those in doubt are right
)

func (c *clock) doubt() bool { return !c.jump.IsZero() }

// place completes a stamp; ok is false for a February 29 that no year near has.
func (c *clock) place(s stamp) (t time.Time, how placed, ok bool) {
	if !s.noYear {
		return c.whole(s)
	}
	if c.last.IsZero() {
		t, ok := c.first(s)
		if ok {
			c.last, c.unlimited = t, t.After(c.limit)
		}
		return t, settled, ok
	}
	t, ok = c.next(s, c.last, backward)
	switch {
	case c.doubt():
		if before, ok2 := c.next(s, c.old, time.Hour); ok2 && c.back(t, before, ok) {
			c.last, c.jump = later(c.old, before), time.Time{}
			return before, returned, true
		}
		if !ok {
			return t, doubtful, false
		}
		c.last = later(c.last, t)
		if t.Sub(c.jump) < silence {
			return t, doubtful, true
		}
		c.jump = time.Time{}
		return t, passed, true
	case !ok:
		return t, settled, false
	case !c.unlimited && t.After(c.limit):
		return c.last, settled, true // a clock that was not set, and the present is not far
	case t.Sub(c.last) > silence:
		c.old, c.jump, c.last = c.last, t, t
		return t, doubtful, true
	}
	c.last = later(c.last, t)
	return t, settled, true
}

// whole places a stamp with a year.
func (c *clock) whole(s stamp) (t time.Time, how placed, ok bool) {
	t = s.at
	if !s.zoned {
		t = instant(s.at, c.loc, c.last.Add(-disorder))
	}
	if c.doubt() {
		how, c.jump = passed, time.Time{}
	}
	if t.Year() < unset && !c.last.IsZero() {
		return c.last, how, true
	}
	c.last = later(c.last, t)
	return t, how, true
}

// back says whether a line that could be at t, or at before, takes back the jump.
func (c *clock) back(t, before time.Time, ok bool) bool {
	behind := before.Sub(c.old)
	if ok && (t.Equal(before) || t.Sub(c.last).Abs() <= behind) {
		return false
	}
	start := c.jump.In(c.loc)
	epoch := start.YearDay() == 1 || start.Month() == time.December && start.Day() == 31
	return behind <= reset || epoch
}

// next gives a stamp the first year in which it does not lie more than slack before
// from.
func (c *clock) next(s stamp, from time.Time, slack time.Duration) (time.Time, bool) {
	year := from.In(c.loc).Year()
	for y := year - 1; y <= year+1; y++ {
		if t, ok := c.inYear(s, y, from); ok && !t.Before(from.Add(-slack)) {
			return t, true
		}
	}
	return time.Time{}, false
}

// first gives the first line its year.
func (c *clock) first(s stamp) (time.Time, bool) {
	if c.year != 0 {
		return c.inYear(s, c.year, time.Time{})
	}
	for y, n := c.limit.In(c.loc).Year(), 0; n < 9; y, n = y-1, n+1 {
		if t, ok := c.inYear(s, y, time.Time{}); ok && !t.After(c.limit) {
			return t, true
		}
	}
	return time.Time{}, false
}

// inYear reports false for a February 29 that the year does not have.
func (c *clock) inYear(s stamp, year int, after time.Time) (time.Time, bool) {
	a := s.at
	t := time.Date(year, a.Month(), a.Day(), a.Hour(), a.Minute(), a.Second(), a.Nanosecond(), time.UTC)
	loc := c.loc
	if s.loc != nil {
		loc = s.loc
	}
	return instant(t, loc, after.Add(-disorder)), t.Day() == a.Day()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
