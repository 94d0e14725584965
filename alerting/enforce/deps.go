package enforce

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// Item is one decision, or one act of a person, and where it stands.
type Item struct {
	Partition int32
	Offset    int64
	Record    *decision.Record // nil for an act
	// Retry is the entity that a person wants told again now.
	Retry schemas.Entity
	// Topic is which log it stands in.
	Topic schemas.Topic
}

// Source hands out decisions in log order within each partition, and people's acts that
// are enforcement's. It is called from one goroutine and lives as long as one assignment
// of partitions: when that ends, the application cancels Run's context and starts a new
// Enforcer.
type Source interface {
	// Next waits for the next items, from all owned partitions together.
	Next(ctx context.Context) ([]Item, error)
	// Commit says that everything below offset need not be read again: what follows from
	// it is durable.
	Commit(ctx context.Context, topic schemas.Topic, partition int32, offset int64) error
}

// ErrLost says that another process owns the partition by now: what is written under this
// assignment is refused.
var ErrLost = errors.New("another process carries these decisions out by now")

// Store keeps State, one record an entity. Save is called from one goroutine; nil means
// that all records are durable, ErrLost that this owner is one no longer.
type Store interface {
	// Load hands out what is kept of the owned partitions, newest last, then the statuses
	// of entities of which nothing is kept, as earlier versions left them: without
	// contacts, marked as confirmed where the journal of actions says so.
	Load(ctx context.Context, each func(partition int32, s *State)) error
	Save(ctx context.Context, partition int32, s []Saved) error
}

// Saved is one State as it is written, under its entity's key.
type Saved struct {
	Key   string
	Value []byte
}

// Sink writes down what was done, and hands messages to those who send them. A nil error
// means that the broker has acknowledged it. It must be safe for concurrent use.
type Sink interface {
	Actions(ctx context.Context, a []schemas.Action) error
	Letters(ctx context.Context, l []notify.Letter) error
}

// Platform is a receiver that keeps entities' status. retry says whether the same call may
// succeed later; false means that it refuses the change as it is. The call must be harmless
// when it comes twice. An error with a method RetryAfter names the least pause before the
// next try, one with a method Gone that returns true says that nobody is there any more.
// It must be safe for concurrent use.
type Platform interface {
	Name() string // its target's name in actions, without secrets
	Change(ctx context.Context, c notify.Change) (retry bool, err error)
}

// Reporter is a Platform that can say which standing it keeps of an entity. Reports tells
// whether it is configured to.
type Reporter interface {
	Reports() bool
	Status(ctx context.Context, e schemas.Entity) (notify.Report, error)
}

// Chooser is a Platform that not every status concerns: one that knows some entities only, or
// can stop them and nothing less. stopped says that it may have been told to stop the entity,
// which a lesser status then ends. What it does not take it is not told.
type Chooser interface {
	Takes(s *schemas.Status, stopped bool) bool
}

// Notifier carries messages to people; the same promises as Platform's, but that retry
// false ends it.
type Notifier interface {
	notify.Directory
	Send(ctx context.Context, m notify.Message) (retry bool, err error)
}

// Deps are what an Enforcer works with. Platforms and Desk may be missing: then nothing is
// carried out, and nobody told. The first platform comes first in everything.
type Deps struct {
	Source    Source
	Store     Store
	Sink      Sink
	Platforms []Platform
	Desk      *notify.Desk // decides who is told of what
	Metrics   *Metrics
	Logger    *slog.Logger
	// Now is the wall clock, time.Now where nil.
	Now func() time.Time
}

// ActRetry is the act of the operator record by which a person has an entity told now.
const ActRetry = "enforce retry"
