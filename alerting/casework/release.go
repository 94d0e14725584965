package casework

import (
	"time"

	"holdfast/schemas"
)

// shares is the ramp of probation, a day each, in per cent of the account's usual.
var shares = [...]int{10, 25, 50, 100}

const rampDay = 24 * time.Hour

// Release ends the containment of a case: what was a compromise begins its probation, all
// else is closed.
func Release(c *schemas.Case, at time.Time) {
	c.Released, c.Awaits = at, nil
	if benign(c) || len(c.Steps) == 0 || c.Entity.Kind != schemas.KindAccount {
		Close(c, at)
		return
	}
	Enter(c, schemas.StageProbation, at)
	ramp(c, 0, at)
}

// Close closes a case.
func Close(c *schemas.Case, at time.Time) {
	c.Ramp, c.Awaits = nil, nil
	Enter(c, schemas.StageClosed, at)
}
