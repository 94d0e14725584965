package enforce

import (
	"errors"
	"time"

	"holdfast/schemas"
)

// Config is how decisions are carried out and notices sent.
type Config struct {
	// AgeLimit: an automatic decision whose cause arrived longer ago than this is
	// held and a person is asked. 0 is no limit.
	AgeLimit time.Duration
	// Concurrency is how many calls may be under way at once, for each receiver and each
	// channel.
	Concurrency int
	// Undelivered is how many entities may wait for a receiver's confirmation. Beyond it
	// no more decisions are fetched: they wait in Kafka. One takes below 4 KiB, 32,768 of
	// them 128 MiB.
	Undelivered int
	// Pending is how many notices of one channel may be under way. Beyond it no more are
	// fetched. One takes below 16 KiB, 1,024 of them 16 MiB.
	Pending int
	// Backoff is the pause before the second attempt; it doubles up to MaxBackoff for
	// changes, and up to NoticeBackoff for notices.
	Backoff       time.Duration
	MaxBackoff    time.Duration
	NoticeBackoff time.Duration
	// GiveUp is how long a notice is tried before its outcome is failed. A change of an
	// entity's status is never given up.
	GiveUp time.Duration
	// Timeout ends one attempt.
	Timeout time.Duration
	// PageAfter: operators are paged when the oldest undelivered change is older.
	PageAfter time.Duration
	// Reconcile is how often an entity's status at the platform is looked at, or told
	// again where the platform cannot be asked. 0 is never.
	Reconcile time.Duration
	// CommitEvery is how often progress is committed.
	CommitEvery time.Duration
	// NotifyReviews sends operators a notice for reviews too, not only for stops.
	NotifyReviews bool
}

// DefaultConfig returns the configuration in force where nothing else is said.
func DefaultConfig() Config {
	return Config{
		AgeLimit: schemas.AgeLimit, Concurrency: 16, Undelivered: 32_768, Pending: 1024,
		Backoff: 500 * time.Millisecond, MaxBackoff: time.Hour, NoticeBackoff: 10 * time.Minute, GiveUp: 6 * time.Hour,
		Timeout: 10 * time.Second, PageAfter: time.Minute, Reconcile: 24 * time.Hour, CommitEvery: time.Second, NotifyReviews: true,
	}
}

// Validate names every value that cannot be used.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	check(c.AgeLimit >= 0, "respond.age_limit is negative: write off for no limit")
	check(c.Concurrency >= 1 && c.Concurrency <= 1024, "enforce.concurrency must be 1 to 1024")
	check(c.Undelivered >= 1 && c.Undelivered <= 1_000_000, "the bound on undelivered changes must be 1 to 1000000")
	check(c.Pending >= 1 && c.Pending <= 100_000, "the bound on notices under way must be 1 to 100000")
	check(c.Backoff > 0 && c.MaxBackoff >= c.Backoff && c.NoticeBackoff >= c.Backoff, "enforce.max_backoff must be at least 500ms")
	check(c.MaxBackoff <= 24*time.Hour, "enforce.max_backoff must be at most 24h")
	check(c.GiveUp > 0, "enforce.give_up must be above 0: it is how long a notice is tried")
	check(c.Timeout > 0, "the time of one attempt must be above 0")
	check(c.PageAfter > 0, "enforce.page_after must be above 0")
	check(c.Reconcile == 0 || c.Reconcile >= time.Minute, "enforce.reconcile_every must be at least 1m, or off")
	check(c.CommitEvery > 0, "the time between commits must be above 0")
	return errors.Join(errs...)
}
