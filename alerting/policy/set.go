package policy

import (
	_ "embed"
	"text/template"
	"time"

	"github.com/expr-lang/expr/vm"
	"github.com/gaissmai/bart"

	"holdfast/schemas"
)

// MaxWindow is the longest window of a policy: signals are kept that long.
const MaxWindow = 48 * time.Hour

// Limits on a policy file, so that one evaluation stays short.
const (
	MaxPolicies = 64
	MaxAllows   = 10_000
	maxNodes    = 500 // nodes of one condition's syntax tree
)

// AnyUnit is the floor's unit that any signal's observed number may reach.
const AnyUnit = "any"

// Set is one version of all policies.
type Set struct {
	Policies []*Policy
	Certain  []Certain
	// Parameters are the detectors' numbers that the file sets; the others keep
	// their defaults.
	Parameters []Setting
	// Trial is what runs in shadow beside them, nil where nothing does.
	Trial   *Trial
	allow   map[string][]Allow // by entity key
	proxies *bart.Lite         // nil where none is listed
}

// Policy is one rule from signals to a verdict.
type Policy struct {
	Name    string
	Version int
	Entity  schemas.EntityKind
	Mode    schemas.Mode // live or shadow
	Verdict schemas.Verdict
	Window  time.Duration
	// Floor is the least number that a signal must have observed, by its unit; one
	// unit reached is enough. Empty is no floor; stops always have one.
	Floor map[string]float64
	// Alone says that where one credential alone is guilty it is revoked instead.
	Alone bool
	// For is how long what it decides holds, 0 until it is released.
	For time.Duration
	// Stays says that a person releases, also where the way back is complete.
	Stays bool

	// When is the condition as it was written.
	When string

	when   *vm.Program
	reason *template.Template
	notice *template.Template
}

// Certain is one of the short list of signals that are enough by themselves.
type Certain struct {
	Detector string
	Severity int // the least
}

// Allow lets one entity do what a detector would report, until it ends.
type Allow struct {
	Entity    schemas.Entity
	Detectors []string // all where empty
	Until     time.Time
	Reason    string
}

//go:embed policies.yaml
var defaults []byte

var defaultSet = func() *Set {
	s, err := Parse("policies.yaml", defaults)
	if err != nil {
		panic("the embedded policies do not load: " + err.Error())
	}
	return s
}()

// Default returns the policies that are in force where nobody wrote others.
func Default() *Set { return defaultSet }

// DefaultFile returns the text of the default policies, to be edited.
func DefaultFile() []byte { return append([]byte(nil), defaults...) }

// Allowed returns the entry that lets the entity raise the signal, if there is one.
func (s *Set) Allowed(e schemas.Entity, detector string, at time.Time) (Allow, bool) {
	for _, a := range s.allow[e.Key()] {
		if !at.After(a.Until) && a.covers(detector) {
			return a, true
		}
	}
	return Allow{}, false
}

func (a Allow) covers(detector string) bool {
	for _, d := range a.Detectors {
		if d == detector {
			return true
		}
	}
	return len(a.Detectors) == 0
}

// IsCertain reports whether a signal is enough by itself: it says so, or stands
// on the set's list.
func (s *Set) IsCertain(x Signal) bool {
	if x.Certain {
		return true
	}
	for _, c := range s.Certain {
		if c.Detector == x.Detector && x.Severity >= c.Severity {
			return true
		}
	}
	return false
}

// For returns the policies about one kind of entity, in the file's order.
func (s *Set) For(kind schemas.EntityKind) []*Policy {
	var out []*Policy
	for _, p := range s.Policies {
		if p.Entity == kind {
			out = append(out, p)
		}
	}
	return out
}

// Allows lists the entries of the allow-list, in no order.
func (s *Set) Allows() (out []Allow) {
	for _, all := range s.allow {
		out = append(out, all...)
	}
	return out
}
