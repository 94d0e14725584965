package notify

import (
	"fmt"
	"slices"

	"holdfast/schemas"
)

// Report is what a platform says of the standing that it keeps of an entity. What it does
// not say is not compared.
type Report struct {
	Status  string    `json:"status"`
	Revoked *[]string `json:"revoked,omitempty"`
	PerDay  *int64    `json:"per_day,omitempty"`
}

// Differs says how the platform's standing is not what a change asks for; empty where it is.
func (r *Report) Differs(c *Change) string {
	switch {
	case schemas.PlatformStatus(r.Status) != c.Status:
		return fmt.Sprintf("the platform says that it is %q, not %q", r.Status, c.Status)
	case r.PerDay != nil && *r.PerDay != c.PerDay:
		return fmt.Sprintf("the platform says that its limit is %d recipients a day, not %d", *r.PerDay, c.PerDay)
	case r.Revoked != nil && !sameSet(*r.Revoked, c.Revoked):
		return fmt.Sprintf("the platform says that %d credentials are revoked, not the %d that should be", len(*r.Revoked), len(c.Revoked))
	}
	return ""
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
