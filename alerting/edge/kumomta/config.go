package kumomta

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is one node of KumoMTA.
type Config struct {
	URL string // base address of its HTTP listener, as http://127.0.0.1:8000
	// Prefix stands before the account in the tenant's name.
	Prefix   string
	Duration time.Duration // of one suspension; it is renewed at a third of it
	Timeout  time.Duration // of one call
}

// DefaultConfig returns the values in force where nothing else is said. 5 minutes is
// KumoMTA's own default.
func DefaultConfig() Config { return Config{Duration: 5 * time.Minute, Timeout: 5 * time.Second} }

// Validate names everything that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		errs = append(errs, errors.New("url is no address: write http://127.0.0.1:8000"))
	case u.Scheme == "http" && !loopback(u.Hostname()):
		errs = append(errs, fmt.Errorf("url: %s is another machine, and KumoMTA's API has no password: run an edge beside each node, or use https", u.Host))
	}
	if c.Duration < 30*time.Second {
		errs = append(errs, fmt.Errorf("duration %s: write at least 30s", c.Duration))
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout must be above 0"))
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}
