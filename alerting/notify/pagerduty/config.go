package pagerduty

import (
	"errors"
	"time"
)

// Events is where PagerDuty takes events, version 2 of its API.
const Events = "https://events.pagerduty.com/v2/enqueue"

// Config is one service's integration.
type Config struct {
	Name    string        // in records, logs and metrics
	URL     string        // Events, or the address of its European region
	KeyFile string        // holds the integration's routing key, a secret
	All     bool          // every notice to operators becomes an event, not only pages
	Timeout time.Duration // of one call
}

// Validate names everything that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	if c.KeyFile == "" {
		errs = append(errs, errors.New("routing_key_file is missing: write the integration's key into a file and name it"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout must be above 0"))
	}
	return errors.Join(errs...)
}
