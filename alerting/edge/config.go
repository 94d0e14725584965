package edge

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/schemas"
)

// Config is what an Edge may and must do.
type Config struct {
	File       string        // the copy on disk
	StaleAfter time.Duration // an answer from older knowledge says that it is stale
	MaxConns   int           // connections at a time, of each listener
	Timeout    time.Duration // for a request to arrive once it has begun
	NAT64      schemas.NAT64 // prefixes of the operator's own gateways

	Tokens   [][]byte // of HTTP; none: nobody is asked for one
	Streams  int      // streams of changes at a time
	Postfix  Postfix
	EximKind string // the entity kind that a bare question means, "account"
}

// Postfix says how policy requests are answered.
type Postfix struct {
	Accounts []Attribute // what names the account: the first that has a value counts
	Address  string      // attribute with the client's address; empty: addresses are not looked at
	// Credential is the attribute with the credential's id; empty: credentials are not looked
	// at.
	Credential string

	Suspended string // action for suspended accounts, "550 5.7.1 …"
	Revoked   string // action for a revoked credential of an account that goes on
	Blocked   string // action for blocked addresses
	Throttled string // action beyond Rate for throttled accounts, and beyond the day's limit in probation
	Unknown   string // action where nothing is known of the account, or no attribute names one
	// StaleLimit is the age beyond which the copy is not believed any more and Unknown is
	// the answer; 0: it always is.
	StaleLimit time.Duration
	Rate       int // recipients an hour that a throttled account may address here
}

// Attribute is one way in which a policy request names an account.
type Attribute struct {
	Name string            // sasl_username, ccert_fingerprint, client_address, sender …
	Take string            // whole, local_part or domain of its value
	Map  map[string]string // from value to account id; nil: the value is the id
}

// Default returns the configuration in force where nothing else is said.
func Default() Config {
	return Config{
		StaleAfter: 30 * time.Second, MaxConns: 4096, Timeout: 10 * time.Second, Streams: 256, EximKind: "account",
		Postfix: Postfix{
			Accounts: []Attribute{{Name: "sasl_username", Take: "whole"}}, Address: "client_address",
			Suspended: "550 5.7.1 This account is suspended. The account's owner has been sent what to do.",
			Revoked:   "550 5.7.1 This credential is revoked. The account's owner has been sent what to do.",
			Blocked:   "550 5.7.1 Mail from this address is not accepted.",
			Throttled: "450 4.7.1 This account is limited for now. Try again later.",
			Unknown:   "DUNNO", Rate: 60,
		},
	}
}

// Validate reports every mistake.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("edge."+format, args...)) }
	if c.File == "" {
		bad("file: is missing: name the file that holds the copy")
	}
	if c.StaleAfter <= 0 || c.Timeout <= 0 {
		bad("stale_after, timeout: must be more than 0")
	}
	if c.MaxConns < 1 || c.Streams < 1 {
		bad("max_connections, streams: must be at least 1")
	}
	p := &c.Postfix
	for _, a := range [...]struct{ name, action string }{
		{"suspended", p.Suspended}, {"revoked", p.Revoked}, {"blocked", p.Blocked}, {"throttled", p.Throttled}, {"unknown", p.Unknown},
	} {
		switch {
		case a.action == "" || strings.ContainsAny(a.action, "\r\n"):
			bad("postfix.%s: is %q: write one line, such as 550 5.7.1 text", a.name, a.action)
		case strings.EqualFold(strings.Fields(a.action)[0], "OK"):
			bad("postfix.%s: OK lets mail pass all later checks: write DUNNO", a.name)
		}
	}
	for i, a := range p.Accounts {
		switch a.Take {
		case "whole", "local_part", "domain":
		default:
			bad("postfix.accounts[%d].take: %q is unknown: write whole, local_part or domain", i, a.Take)
		}
		if a.Name == "" {
			bad("postfix.accounts[%d].attribute: is missing: write for example sasl_username", i)
		}
	}
	if p.Rate < 1 {
		bad("postfix.rate: %d: write how many recipients an hour a throttled account may have, at least 1", p.Rate)
	}
	return errors.Join(errs...)
}
