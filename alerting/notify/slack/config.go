package slack

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is one Slack channel.
type Config struct {
	Name    string        // in records, logs and metrics
	URLFile string        // holds the incoming webhook's address, which is a secret
	Timeout time.Duration // of one call
}

// Validate names everything that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	if c.URLFile == "" {
		errs = append(errs, errors.New("url_file is missing: write the incoming webhook's address into a file and name it"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout must be above 0"))
	}
	return errors.Join(errs...)
}

// checkURL says what is wrong with an incoming webhook's address, without quoting it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("it holds no address: write https://hooks.slack.com/services/…")
	}
	if a, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && !strings.EqualFold(u.Hostname(), "localhost") && (err != nil || !a.IsLoopback()) {
		return fmt.Errorf("its address has no TLS: use https")
	}
	return nil
}
