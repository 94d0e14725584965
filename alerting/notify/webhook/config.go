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
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		bad("url is missing: write https://host/path, or leave the secret out too")
	case err != nil:
		bad("url cannot be read: write https://host/path") // the error would quote it, secrets included
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		bad("url is not one: write https://host/path")
	case u.User != nil:
		bad("url holds a user: requests are signed, leave it out")
	case u.Scheme == "http" && !c.AllowHTTP && !loopback(u.Hostname()):
		bad("url has no TLS: use https, or set allow_http where the network is trusted")
	}
	if len(c.SecretFiles) == 0 {
		bad("secret_file is missing: write a secret with `openssl rand -base64 32 | sed s/^/whsec_/` into a file and name it")
	}
	if c.Timeout <= 0 {
		bad("timeout must be above 0")
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}
