package record

import (
	"errors"
	"fmt"
	"time"
)

// Config says what is recorded and how much at a time.
type Config struct {
	// Prefix stands before every topic's name on the broker ("holdfast.").
	Prefix string
	// Group is the recorder's group (default prefix + "record").
	Group string
	// Lanes is the number of partitions of every journal.
	Lanes int
	// LogID names the logs that are read now; it is part of every position and
	// token. See NewLog.
	LogID string
	// NewLog says that the logs under this LogID are new ones: what was committed
	// under another log id is forgotten, and reading begins at their beginning.
	// Without it a changed LogID goes on at the same offsets, as the embedded
	// broker does after an unclean stop.
	NewLog bool

	MaxRows  int // of one insert (default 500,000)
	MaxBytes int // of one insert's records (default 64 MiB)
	// MinAge and MaxAge bound how long a record waits for others to be inserted
	// with (default 1 s and 10 s): the more partitions of a journal have records
	// waiting, the longer, so that a table sees at most InsertRate inserts a second
	// (default 8) and can merge what it is given.
	MinAge, MaxAge time.Duration
	InsertRate     int
	// Inserts bounds how many run at once for each table (default 4).
	Inserts int
	// Memory bounds the rows held, waiting or being inserted, in bytes (default
	// 256 MiB). No table holds more than three quarters of it, so that one that is
	// refused does not starve the others.
	Memory int
	// CheckEvery is the time between two comparisons of the store with the log
	// (default 1 h), CheckAfter the time before the first (default 2 s).
	CheckEvery, CheckAfter time.Duration
	// SessionTimeout of the group (default 10 s).
	SessionTimeout time.Duration
	// Grace is how long running inserts may take to end when the recorder stops or
	// the group changes (default 5 s); what ends later is repeated by whoever comes next.
	Grace time.Duration
}

func (c *Config) setDefaults() error {
	if c.Lanes <= 0 || c.LogID == "" {
		return errors.New("record: the number of lanes and the log id are needed: both stand in control")
	}
	setDefault(&c.Prefix, "holdfast.")
	setDefault(&c.Group, c.Prefix+"record")
	setDefault(&c.MaxRows, 500_000)
	setDefault(&c.MaxBytes, 64<<20)
	setDefault(&c.MinAge, time.Second)
	setDefault(&c.MaxAge, 10*time.Second)
	setDefault(&c.InsertRate, 8)
	setDefault(&c.Inserts, 4)
	setDefault(&c.Memory, 256<<20)
	setDefault(&c.CheckEvery, time.Hour)
	setDefault(&c.CheckAfter, 2*time.Second)
	setDefault(&c.SessionTimeout, 10*time.Second)
	setDefault(&c.Grace, 5*time.Second)
	if c.MaxRows > 1<<20 {
		return fmt.Errorf("record: %d rows an insert are more than 1048576, which the store would split", c.MaxRows)
	}
	if c.MaxAge < c.MinAge {
		c.MaxAge = c.MinAge
	}
	return nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
