package respond

import (
	"time"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// Config is what a respond fold is made from.
type Config struct {
	// AgeLimit is how long after it happened a trigger may have arrived and still
	// give decisions that are acted on; later ones are mode history. 0 is no limit.
	AgeLimit time.Duration
	// Policies are in force until the control topic brings others; nil is
	// policy.Default().
	Policies *policy.Set
}

// DefaultConfig returns the configuration in force where nothing else is said.
func DefaultConfig() Config {
	return Config{AgeLimit: schemas.AgeLimit}
}
