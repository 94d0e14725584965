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
	// SnoozeMax is how long after it was asked for a snooze may end. 0 is no limit.
	SnoozeMax time.Duration
	// Policies are in force until the control topic brings others; nil is
	// policy.Default().
	Policies *policy.Set
}

// DefaultConfig returns the configuration in force where nothing else is said.
func DefaultConfig() Config {
	return Config{AgeLimit: schemas.AgeLimit, SnoozeMax: 30 * 24 * time.Hour}
}
