package alertmanager

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	own       = []string{"alertname", "entity", "kind", "case", "receiver"}
)

// Config is one Alertmanager.
type Config struct {
	Name         string        // in records, logs and metrics
	URL          string        // base address, as http://alertmanager:9093
	UserFile     string        // holds user:password of basic authentication; may be missing
	ResolveAfter time.Duration // how long an alert lasts that nothing follows
	Timeout      time.Duration // of one call
	// Labels are added to every alert.
	Labels map[string]string
}

// Validate names everything that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, errors.New("url is no address: write http://alertmanager:9093"))
	} else if u.User != nil {
		errs = append(errs, errors.New("url holds a user: name a file with user:password in user_file"))
	}
	for name := range c.Labels {
		if !labelName.MatchString(name) || slices.Contains(own, name) {
			errs = append(errs, fmt.Errorf("labels: %q cannot be one: use letters, digits and _, and none of %s", name, strings.Join(own, ", ")))
		}
	}
	if c.ResolveAfter < time.Minute {
		errs = append(errs, fmt.Errorf("resolve_after %s: write at least 1m", c.ResolveAfter))
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout must be above 0"))
	}
	return errors.Join(errs...)
}
