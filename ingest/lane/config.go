package lane

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/schemas"
)

// Config says which role to run and how. Zero values take the defaults.
type Config struct {
	Role  Role
	Lanes int // as the topics were created; required
	// Prefix of topic and group names on the broker (default "holdfast.").
	Prefix string
	// Producer begins the names of the lanes' producers, which no other
	// installation on the same broker may share (default "holdfast"); the role and
	// the lane's number follow.
	Producer string

	FetchWait   time.Duration // a fetch with nothing to read waits so long (default 500 ms)
	FetchBytes  int           // one fetch's answer (default 4 MiB)
	QueueBytes  int           // fetched and not folded, a lane (default 2 MiB, beyond it one answer)
	OutputBytes int           // emitted and not acknowledged, a lane (default 8 MiB)
	InFlight    int           // output batches on the way at a time (default 32, and as many of bulk topics)
	Restores    int           // lanes that restore at a time (default 8)

	Linger   time.Duration // an output waits at most so long for company (default 2 ms)
	Slice    time.Duration // folding pauses after so long to see to the rest (default 10 ms)
	Commit   time.Duration // between commits (default 1 s)
	SaveTick time.Duration // between looks at what is unsaved (default 200 ms)
	// SaveAfter is how long one sweep over all that is unsaved takes (default 30 s);
	// nothing stays unsaved for longer than SaveLimit (default 60 s) where the broker
	// takes it.
	SaveAfter, SaveLimit time.Duration
	RenewEpoch           time.Duration // (default 24 h)
	Grace                time.Duration // for stopping in good order (default 20 s)

	SessionTimeout time.Duration // of the group (default the broker client's)
	Heartbeat      time.Duration // of the group (default the broker client's)

	reach, block int64 // schemas.DuplicateReach and CountBlock, smaller in tests
	faults       faults
}

// faults takes rules of the design away, one at a time: a test shows that each is
// needed.
type faults struct {
	noFence, noCheck, noRestart, noBlock, noAckBeforeSave, noAckBeforeCommit, noGuard, splitParts bool
}

// Deps are a runner's surroundings. Logger and Registerer may be nil.
type Deps struct {
	Broker Broker
	// NewFold makes the fold of one lane, each time that it is restored.
	NewFold    func(lane int32) Fold
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func (c *Config) setDefaults() error {
	if err := c.Role.check(); err != nil {
		return err
	}
	if c.Lanes <= 0 {
		return fmt.Errorf("lane: role %s: the number of lanes is %d: give the one that the topics were created with", c.Role.Name, c.Lanes)
	}
	setDefault(&c.Prefix, "holdfast.")
	setDefault(&c.Producer, "holdfast")
	setDefault(&c.FetchWait, 500*time.Millisecond)
	setDefault(&c.FetchBytes, 4<<20)
	setDefault(&c.QueueBytes, 2<<20)
	setDefault(&c.OutputBytes, 8<<20)
	setDefault(&c.InFlight, 32)
	setDefault(&c.Restores, 8)
	setDefault(&c.Linger, 2*time.Millisecond)
	setDefault(&c.Slice, 10*time.Millisecond)
	setDefault(&c.Commit, time.Second)
	setDefault(&c.SaveTick, 200*time.Millisecond)
	setDefault(&c.SaveAfter, 30*time.Second)
	setDefault(&c.SaveLimit, 60*time.Second)
	setDefault(&c.RenewEpoch, 24*time.Hour)
	setDefault(&c.Grace, 20*time.Second)
	setDefault(&c.reach, schemas.DuplicateReach)
	setDefault(&c.block, schemas.CountBlock)
	return nil
}

// lanes is how many lanes the role has.
func (c *Config) lanes() int {
	if c.Role.Single {
		return 1
	}
	return c.Lanes
}

func (c *Config) topic(t schemas.Topic) string { return c.Prefix + string(t) }

func (c *Config) producer(lane int32) string {
	return fmt.Sprintf("%s-%s-%d", c.Producer, c.Role.Name, lane)
}

func (d *Deps) setDefaults() error {
	if d.Broker == nil || d.NewFold == nil {
		return fmt.Errorf("lane: the broker or the fold is missing")
	}
	d.Logger = cmp.Or(d.Logger, slog.New(slog.DiscardHandler))
	return nil
}
