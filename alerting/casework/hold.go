package casework

import (
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// Owners of holds.
const (
	OwnerPolicy = "policy:"
	OwnerPerson = "person:"
	OwnerBrake  = "brake"
)

// Contain adds a hold, or replaces what its owner holds of the same object, unless that is
// stricter. A policy that revokes a credential has throttled the account until the gate
// answered: that goes. Of too many holds the weakest goes, of equal ones the oldest.
func Contain(c *schemas.Case, h schemas.Hold) {
	revoking := func(v schemas.Verdict) bool { return v == schemas.VerdictRevoke }
	throttling := func(v schemas.Verdict) bool { return v == schemas.VerdictThrottle }
	for i := range c.Holds {
		x := &c.Holds[i]
		switch {
		case x.Owner != h.Owner:
		case x.Object == h.Object && x.Verdict.Rank() > h.Verdict.Rank():
			return
		case x.Object == h.Object, throttling(x.Verdict) && revoking(h.Verdict) && !strings.HasPrefix(h.Owner, OwnerPerson):
			*x = h
			return
		case revoking(x.Verdict) && throttling(h.Verdict) && !strings.HasPrefix(h.Owner, OwnerPerson):
			return
		}
	}
	if len(c.Holds) == maxHolds {
		weakest := 0
		for i := range c.Holds {
			if c.Holds[i].Verdict.Rank() < c.Holds[weakest].Verdict.Rank() {
				weakest = i
			}
		}
		c.Holds = slices.Delete(c.Holds, weakest, weakest+1)
	}
	c.Holds = append(c.Holds, h)
}

// Lift drops the holds for which drop is true, and reports whether there was one.
func Lift(c *schemas.Case, drop func(h *schemas.Hold) bool) bool {
	n := len(c.Holds)
	c.Holds = slices.DeleteFunc(c.Holds, func(h schemas.Hold) bool { return drop(&h) })
	return len(c.Holds) != n
}

// Automatic reports whether no person put the hold in force, nor is asked for its end.
func Automatic(h *schemas.Hold) bool { return !strings.HasPrefix(h.Owner, OwnerPerson) && !h.Stays }

// Force is what is in force of a case.
type Force struct {
	Verdict schemas.Verdict // the strictest of the entity's own; empty: none
	Revoked []string        // credentials, sorted
	Why     *schemas.Hold   // the strictest hold of all; nil: none
	Until   time.Time       // when that ends
}

// InForce sums the holds up.
func InForce(c *schemas.Case) (f Force) {
	if c == nil {
		return f
	}
	for i := range c.Holds {
		h := &c.Holds[i]
		if h.Verdict == schemas.VerdictRevoke {
			if !slices.Contains(f.Revoked, h.Object) {
				f.Revoked = append(f.Revoked, h.Object)
			}
		} else if h.Verdict.Rank() > f.Verdict.Rank() {
			f.Verdict = h.Verdict
		}
		if f.Why == nil || h.Verdict.Rank() > f.Why.Verdict.Rank() || h.Verdict.Rank() == f.Why.Verdict.Rank() && outlasts(h, f.Why) {
			f.Why = h
		}
	}
	slices.Sort(f.Revoked)
	if f.Why != nil {
		f.Until = f.Why.Until
	}
	return f
}

// outlasts reports whether a hold ends after another one, which is as strict.
func outlasts(a, b *schemas.Hold) bool {
	return !b.Until.IsZero() && (a.Until.IsZero() || a.Until.After(b.Until))
}

// Rank is that of the strictest hold.
func (f *Force) Rank() int {
	if f.Why == nil {
		return 0
	}
	return f.Why.Verdict.Rank()
}
