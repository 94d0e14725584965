package enforce

import (
	"errors"
	"fmt"
	"time"

	"holdfast/schemas"
)

// Config is how decisions are carried out.
type Config struct {
	// AgeLimit: an automatic decision whose cause arrived longer ago than this is
	// held and a person is asked. 0 is no limit.
	AgeLimit time.Duration `yaml:"age_limit"`
	// Concurrency is how many calls may be under way at once, for each channel.
	Concurrency int `yaml:"concurrency"`
	// Pending is how many decisions may be under way. Beyond it no more are fetched:
	// they wait in Kafka. A decision takes below 16 KiB, 1,024 of them 16 MiB.
	Pending int `yaml:"pending"`
	// Backoff is the pause before the second attempt; it doubles up to MaxBackoff.
	Backoff    time.Duration `yaml:"backoff"`
	MaxBackoff time.Duration `yaml:"max_backoff"`
	// GiveUp is how long one call is tried before its outcome is failed.
	GiveUp time.Duration `yaml:"give_up"`
	// Timeout ends one attempt.
	Timeout time.Duration `yaml:"timeout"`
	// CommitEvery is how often progress is committed.
	CommitEvery time.Duration `yaml:"commit_every"`
	// NotifyReviews sends operators a notice for reviews too, not only for stops.
	NotifyReviews bool `yaml:"notify_reviews"`
}

// DefaultConfig returns the configuration in force where nothing else is said.
func DefaultConfig() Config {
	return Config{
		AgeLimit: schemas.AgeLimit, Concurrency: 16, Pending: 1024,
		Backoff: 500 * time.Millisecond, MaxBackoff: 30 * time.Second, GiveUp: 15 * time.Minute,
		Timeout: 10 * time.Second, CommitEvery: time.Second,
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
	check(c.AgeLimit >= 0, "enforce.age_limit is negative: write 0 for no limit")
	check(c.Concurrency >= 1 && c.Concurrency <= 1024, "enforce.concurrency must be 1 to 1024")
	check(c.Pending >= 1 && c.Pending <= 100_000, "enforce.pending must be 1 to 100000")
	check(c.Backoff > 0 && c.MaxBackoff >= c.Backoff, "enforce.backoff must be above 0 and at most enforce.max_backoff")
	check(c.GiveUp >= c.Timeout, fmt.Sprintf("enforce.give_up must be at least %s, the time of one attempt", c.Timeout))
	check(c.Timeout > 0, "enforce.timeout must be above 0")
	check(c.CommitEvery > 0, "enforce.commit_every must be above 0")
	return errors.Join(errs...)
}
