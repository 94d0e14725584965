package sharedsignals

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is one receiver of security event tokens.
type Config struct {
	Name     string // in records, logs and metrics
	URL      string // where the receiver takes them
	Issuer   string // who we are to the receiver: the tokens' iss
	Audience string // who the receiver is: their aud
	// KeyFile holds the private key that signs, PEM: EC P-256 (ES256) or RSA of at least 2,048
	// bits (RS256). KeyID is its kid, by which the receiver finds the public key.
	KeyFile, KeyID string
	TokenFile      string   // holds a bearer token for the receiver; may be missing
	Subject        string   // how accounts are named: iss_sub or opaque
	Events         []string // those of Events that are sent; empty: all
	Timeout        time.Duration
}

// The ways to name a subject (RFC 9493).
const (
	SubjectIssuer = "iss_sub"
	SubjectOpaque = "opaque"
)

// Validate names everything that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		bad("name is missing")
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		bad("url is no address: write https://host/path")
	case u.User != nil:
		bad("url holds a user: name a file with a token in token_file")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		bad("url has no TLS: use https (RFC 8935 asks for it)")
	}
	if i, err := url.Parse(c.Issuer); err != nil || i.Scheme != "https" || i.Host == "" || i.RawQuery != "" || i.Fragment != "" {
		bad("issuer %q is not one: write an https address without a query", c.Issuer)
	}
	if c.Audience == "" {
		bad("audience is missing: the receiver says what it is")
	}
	if c.KeyFile == "" {
		bad("key_file is missing: make a key with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`")
	}
	if c.Subject != SubjectIssuer && c.Subject != SubjectOpaque {
		bad("subject %q: use %s or %s", c.Subject, SubjectIssuer, SubjectOpaque)
	}
	for _, e := range c.Events {
		if !slices.Contains(Events, e) {
			bad("events: %q is not sent: use %s", e, strings.Join(Events, ", "))
		}
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
