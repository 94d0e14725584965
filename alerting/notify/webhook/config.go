package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Config is one receiver.
type Config struct {
	// Name stands for the receiver in records, logs and metrics; the URL may hold secrets.
	Name string `yaml:"name"`
	URL  string `yaml:"url"`
	// SecretFiles hold the signing secrets, whsec_ and base64 each, newest first.
	// With several, each request carries a signature by each, so that a receiver can
	// change its secret without a gap.
	SecretFiles []string      `yaml:"secret_files"`
	Timeout     time.Duration `yaml:"timeout"`
	// StatusURL is where the platform says which status it keeps of an entity, with
	// {entity} in its place. Empty: it cannot be asked.
	StatusURL string `yaml:"status_url"`
	// AllowHTTP permits a URL without TLS on a host other than this machine.
	AllowHTTP bool `yaml:"allow_http"`
}

// DefaultConfig returns the values in force where nothing else is said.
func DefaultConfig() Config { return Config{Name: "platform", Timeout: 10 * time.Second} }

// Enabled reports whether a receiver is configured, be it by halves: one that was meant
// and is not there would be missed only once it is needed.
func (c Config) Enabled() bool { return c.URL != "" || len(c.SecretFiles) > 0 }

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Validate names everything that cannot be used.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !namePattern.MatchString(c.Name) {
		bad("name %q: use at most 32 lower case letters, digits, _ and -", c.Name)
	}
	if c.URL == "" {
		bad("url is missing: write https://host/path, or leave the secret out too")
	} else if what := c.wrong(c.URL); what != "" {
		bad("url %s", what)
	}
	if c.StatusURL != "" {
		if what := c.wrong(strings.ReplaceAll(c.StatusURL, EntityPlace, "x")); what != "" {
			bad("status_url %s", what)
		} else if !strings.Contains(c.StatusURL, EntityPlace) {
			bad("status_url has no %s: write it where the entity's kind:id belongs", EntityPlace)
		}
	}
	if len(c.SecretFiles) == 0 {
		bad("secret_file is missing: write a secret with `openssl rand -base64 32 | sed s/^/whsec_/` into a file and name it")
	}
	if c.Timeout <= 0 {
		bad("timeout must be above 0")
	}
	return errors.Join(errs...)
}

// EntityPlace stands in Config.StatusURL for the entity's kind:id.
const EntityPlace = "{entity}"

// wrong says why an address cannot be used. It never quotes it: it may hold secrets.
func (c Config) wrong(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "cannot be read: write https://host/path"
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "is not one: write https://host/path"
	case u.User != nil:
		return "holds a user: requests are signed, leave it out"
	case u.Scheme == "http" && !c.AllowHTTP && !loopback(u.Hostname()):
		return "has no TLS: use https, or set allow_http where the network is trusted"
	}
	return ""
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}
