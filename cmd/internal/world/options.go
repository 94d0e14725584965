package world

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options say how large a world is, how long it lasts and what happens in it.
type Options struct {
	Profile   string // one of Profiles
	Seed      uint64
	Accounts  int
	Employees int
	Days      int
	Start     time.Time
	// Attacks and Lookalikes are how many of each kind there are. Where no victim
	// with the habits that a kind needs is left, there are fewer.
	Attacks    int
	Lookalikes int
	// Kinds names the kinds of attack and look-alike that there are; none means all.
	Kinds []string
	// Rate is how many messages an account sends a day, on average over all.
	Rate float64
}

// archetype is what an account sends for.
type archetype int

const (
	shop       archetype = iota // receipts: nearly all to people never seen before
	saas                        // notices to a growing set of users, at all hours
	newsletter                  // campaigns to a list
	agency                      // several domains, credentials and people
	business                    // people who write to people
	batch                       // jobs at fixed times
	monitor                     // alarms to the same few, all day
	archetypes
)

// profiles are the shares of archetypes; mixed draws its own from the seed.
var profiles = map[string][archetypes]float64{
	"mixed":      {},
	"shop":       {shop: 60, saas: 10, newsletter: 10, agency: 4, business: 10, batch: 4, monitor: 2},
	"saas":       {shop: 10, saas: 55, newsletter: 5, agency: 3, business: 10, batch: 10, monitor: 7},
	"newsletter": {shop: 8, saas: 6, newsletter: 65, agency: 10, business: 8, batch: 2, monitor: 1},
	"agency":     {shop: 8, saas: 8, newsletter: 15, agency: 45, business: 20, batch: 3, monitor: 1},
	"business":   {shop: 4, saas: 6, newsletter: 5, agency: 10, business: 70, batch: 3, monitor: 2},
	"mail":       {business: 1},
	"sshd":       {business: 1},
}

// The profiles that are no platform of the usual kind.
const (
	profileMail = "mail" // people's mail alone: who writes to whom
	profileSSHD = "sshd" // logins to one server
)

// Profiles names every profile.
func Profiles() []string {
	var out []string
	for name := range profiles {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// MaxDays bounds a world's length: ten years.
const MaxDays = 3660

// Validate returns the first mistake.
func (o *Options) Validate() error {
	if _, ok := profiles[o.Profile]; !ok {
		return fmt.Errorf("profile %q is unknown: choose one of %s", o.Profile, strings.Join(Profiles(), ", "))
	}
	for _, x := range []struct {
		name      string
		v, lo, hi int
	}{
		{"accounts", o.Accounts, 1, 10_000_000}, {"employees", o.Employees, 0, 100_000}, {"days", o.Days, 1, MaxDays},
		{"attacks", o.Attacks, 0, 10_000}, {"lookalikes", o.Lookalikes, 0, 10_000},
	} {
		if x.v < x.lo || x.v > x.hi {
			return fmt.Errorf("%s %d: give a number from %d to %d", x.name, x.v, x.lo, x.hi)
		}
	}
	if o.Rate <= 0 || o.Rate > 1e6 {
		return fmt.Errorf("rate %g: give the messages of an account and day, above 0 and at most 1,000,000", o.Rate)
	}
	known := append(AttackKinds(o.Profile), LookalikeKinds(o.Profile)...)
	for _, k := range o.Kinds {
		if !slices.Contains(known, k) {
			return fmt.Errorf("kind %q is unknown to profile %s: choose from %s", k, o.Profile, strings.Join(known, ", "))
		}
	}
	return nil
}

func (o *Options) wants(kind string) bool { return len(o.Kinds) == 0 || slices.Contains(o.Kinds, kind) }
