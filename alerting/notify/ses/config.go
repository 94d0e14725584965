package ses

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// AccountPlace stands in Config.Tenant for the account's id.
const AccountPlace = "{account}"

// Config says which tenants of Amazon SES are whose.
type Config struct {
	Region string // as eu-central-1; empty: no SES
	// Tenant is the name, or the ARN, of an account's tenant, with {account} in its place.
	Tenant string
	// Map names the tenants of accounts one by one; where it is not nil, accounts that it does
	// not name have none.
	Map map[string]string
	// Released is the status of a tenant whose account is released: ENABLED, or REINSTATED,
	// which sends although reputation findings are open.
	Released string
	Endpoint string        // in place of the region's own
	Timeout  time.Duration // of one attempt
}

// DefaultConfig returns the values in force where nothing else is said.
func DefaultConfig() Config {
	return Config{Tenant: AccountPlace, Released: "ENABLED", Timeout: 10 * time.Second}
}

// Enabled reports whether SES is configured.
func (c Config) Enabled() bool { return c.Region != "" }

var regionPattern = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)

// Validate names everything that cannot be used.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !regionPattern.MatchString(c.Region) {
		bad("region %q is none: write for example eu-central-1", c.Region)
	}
	if c.Map == nil && strings.Count(c.Tenant, AccountPlace) != 1 {
		bad("tenant %q: write the tenant's name or ARN with %s once in it, or set map_file", c.Tenant, AccountPlace)
	}
	if c.Released != "ENABLED" && c.Released != "REINSTATED" {
		bad("released %q is unknown: write ENABLED or REINSTATED", c.Released)
	}
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("endpoint is no address: write https://host, or leave it out")
	}
	if c.Timeout <= 0 {
		bad("timeout must be above 0")
	}
	return errors.Join(errs...)
}

// tenant is an account's tenant, by name or ARN; false where it has none.
func (c *Config) tenant(account string) (string, bool) {
	if c.Map != nil {
		t, ok := c.Map[account]
		return t, ok && t != ""
	}
	return strings.ReplaceAll(c.Tenant, AccountPlace, account), account != ""
}
