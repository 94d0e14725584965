package enforce

import (
	"context"
	"log/slog"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// Item is one decision and where it stands.
type Item struct {
	Partition int32
	Offset    int64
	Record    *decision.Record
}

// Source hands out decisions in log order within each partition. It is called
// from one goroutine and lives as long as one assignment of partitions: when that
// ends, the application cancels Run's context and starts a new Enforcer.
type Source interface {
	// Next waits for the next decisions, from all owned partitions together.
	Next(ctx context.Context) ([]Item, error)
	// Commit says that everything below offset is carried out and written down.
	Commit(ctx context.Context, partition int32, offset int64) error
}

// Sink writes down what was done. A nil error means that the broker has
// acknowledged it. It must be safe for concurrent use.
type Sink interface {
	Action(ctx context.Context, a schemas.Action) error
	Notice(ctx context.Context, n schemas.Notice) error
}

// Ledger tells, once at the start, the ids of the actions and notices that the
// owned partitions' journals already hold.
type Ledger interface {
	Known(ctx context.Context, add func(id string)) error
}

// Platform changes an entity's standing at the platform. retry says whether the
// same call may succeed later; the call must be harmless when it comes twice.
// It must be safe for concurrent use.
type Platform interface {
	Name() string // its target's name in actions, without secrets
	Change(ctx context.Context, c notify.Change) (retry bool, err error)
}

// Notifier carries messages to people; the same promises as Platform's.
type Notifier interface {
	Name() string                // the channel: webhook, smtp
	Audiences() []notify.Address // whom it tells besides the customer
	Customers() bool             // whether it can tell an account's contacts
	Send(ctx context.Context, m notify.Message) (retry bool, err error)
}

// Deps are what an Enforcer works with. Platform and Notifiers may be missing:
// then nothing is carried out there.
type Deps struct {
	Source    Source
	Sink      Sink
	Ledger    Ledger
	Platform  Platform
	Notifiers []Notifier
	Metrics   *Metrics
	Logger    *slog.Logger
	// Now is the wall clock, time.Now where nil.
	Now func() time.Time
}
