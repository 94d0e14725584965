package smtp

import (
	"errors"
	"fmt"
	"net/mail"
	"time"
)

// The ways to use TLS.
const (
	TLSStart = "starttls" // refuse a server that does not offer it
	TLSOnly  = "tls"      // TLS from the first byte
	TLSNone  = "none"     // for a relay on this machine
)

// Config is one mail server.
type Config struct {
	Name string `yaml:"name"` // the channel's; empty: Channel
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	TLS  string `yaml:"tls"`
	// Username and PasswordFile log in; both or neither.
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	// CAFile holds the certificates to trust instead of the system's.
	CAFile string `yaml:"ca_file"`
	From   string `yaml:"from"`
	// Operators are told of every stop and every question.
	Operators []string `yaml:"operators"`
	// Customers tells the contacts of an account that was stopped or released.
	Customers bool          `yaml:"customers"`
	Timeout   time.Duration `yaml:"timeout"`
}

// DefaultConfig returns the values in force where nothing else is said.
func DefaultConfig() Config {
	return Config{Port: 587, TLS: TLSStart, Timeout: 10 * time.Second}
}

// Enabled reports whether a server is configured, be it by halves: one that was meant and
// is not there would be missed only once it is needed.
func (c Config) Enabled() bool {
	return c.Host != "" || c.From != "" || len(c.Operators) > 0 || c.Customers || c.Username != "" || c.PasswordFile != ""
}

// maxOperators bounds how many mails one decision sends.
const maxOperators = 50

// Validate names everything that cannot be used.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Host == "" {
		bad("host is missing: name the mail server, or leave out all of it")
	}
	if c.Port < 1 || c.Port > 65535 {
		bad("port %d must be 1 to 65535", c.Port)
	}
	if c.TLS != TLSStart && c.TLS != TLSOnly && c.TLS != TLSNone {
		bad("tls %q: use %s, %s or %s", c.TLS, TLSStart, TLSOnly, TLSNone)
	}
	if (c.Username == "") != (c.PasswordFile == "") {
		bad("user and password_file belong together: give both or neither")
	}
	if c.Username != "" && c.TLS == TLSNone {
		bad("tls none would send the password in the clear: use starttls or tls")
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		bad("from %q is not an address: write for example Holdfast <holdfast@example.com>", c.From)
	}
	if len(c.Operators) > maxOperators {
		bad("operators has %d addresses: keep to %d, or use a list's address", len(c.Operators), maxOperators)
	}
	for i, a := range c.Operators {
		if _, err := mail.ParseAddress(a); err != nil {
			bad("operators[%d] %q is not an address", i, a)
		}
	}
	if c.Timeout <= 0 {
		bad("timeout must be above 0")
	}
	return errors.Join(errs...)
}
