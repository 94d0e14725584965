package casework

import (
	"time"

	"holdfast/schemas"
)

func ramp(c *schemas.Case, day int, at time.Time) {
	c.Ramp = &schemas.Ramp{Day: day, Share: shares[day], Until: at.Add(rampDay)}
	if c.Usual > 0 {
		c.Ramp.PerDay = max(1, c.Usual*int64(shares[day])/100)
	}
	c.Due = at.Add(time.Duration(len(shares)-day) * rampDay)
}

// Settle sets when the clock changes the case next.
func Settle(c *schemas.Case) {
	c.Next = time.Time{}
	due := func(t time.Time) {
		if !t.IsZero() && (c.Next.IsZero() || t.Before(c.Next)) {
			c.Next = t
		}
	}
	for i := range c.Holds {
		due(c.Holds[i].Until)
	}
	if c.Ramp != nil {
		due(c.Ramp.Until)
	}
	if c.Awaits != nil {
		due(c.Awaits.Until)
	}
}

// Passed says what the clock has changed of a case.
type Passed struct {
	Holds   bool // at least one has ended
	Ramp    bool // the limit has risen, or ended
	Expired *schemas.Awaited
}

// Any reports whether anything has changed.
func (p *Passed) Any() bool { return p.Holds || p.Ramp || p.Expired != nil }

// Pass moves a case on to a time.
func Pass(c *schemas.Case, now time.Time) (p Passed) {
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	p.Holds = Lift(c, func(h *schemas.Hold) bool { return over(h.Until) })
	if c.Awaits != nil && over(c.Awaits.Until) {
		p.Expired, c.Awaits = c.Awaits, nil
	}
	for c.Ramp != nil && over(c.Ramp.Until) {
		p.Ramp = true
		if end := c.Ramp.Until; c.Ramp.Day+1 < len(shares) {
			ramp(c, c.Ramp.Day+1, end)
		} else {
			Close(c, end)
		}
	}
	return p
}
