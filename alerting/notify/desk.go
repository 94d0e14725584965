package notify

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// Directory says whom a channel tells. One with a method Gathers that returns true gathers
// what comes in great number by itself.
type Directory interface {
	Name() string         // the channel's, unique
	Audiences() []Address // whom it tells besides the customer
	Customers() bool      // whether it can tell an account's contacts
}

// Route says which occasions go where. Of what is empty anything matches. Routes are tried
// in their order; the first that matches decides, and those after it only with Continue.
type Route struct {
	Audience   string // operator, customer or system; empty: operator
	Happened   []What
	Verdicts   []schemas.Verdict
	Severities []schemas.Severity
	Policies   []string // names, or patterns with *
	Plans      []string
	Kinds      []schemas.EntityKind
	To         []string // channels; empty: nobody is told
	Continue   bool

	Language string         // empty: by the contact's, the account's or the default
	Wait     *time.Duration // what is no stop waits for what follows; nil: as usual
	Spree    *Spree         // without a name; nil: as usual
	GroupBy  []string       // what a spree is counted by beside the receiver: what, verdict, severity, policy, plan, kind
}

// Language says in which language some are told.
type Language struct {
	Language string
	Plans    []string
	Domains  []string // ends of the mail address's domain: de also matches shop.de
	Channels []string // to operators
}

// Desk decides who is told of an occasion, on which channels and in which language, and how
// long a message waits for company. The zero value of all but Directories tells everybody
// at once.
type Desk struct {
	Directories []Directory
	Routes      []Route
	Languages   []Language
	Language    string // of all others; empty: DefaultLanguage
	// Wait is how long messages to operators wait that are no stop and no page; CustomerWait
	// how long those to customers wait that their mail is slowed down.
	Wait, CustomerWait time.Duration
	Spree              Spree // of operators; Alone 0: none is gathered
}

// GroupKeys are what Route.GroupBy may name.
var GroupKeys = []string{"what", "verdict", "severity", "policy", "plan", "kind"}

// Validate names every mistake of the routes and languages. known are the languages that
// there are words in.
func (d *Desk) Validate(known []string) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var names []string
	for _, x := range d.Directories {
		names = append(names, x.Name())
	}
	channels := func(where string, list []string) {
		for _, c := range list {
			if !slices.Contains(names, c) {
				bad("%s names the channel %q, which is not configured: use %s", where, c, oneOf(names))
			}
		}
	}
	language := func(where, l string) {
		if l != "" && !slices.Contains(known, l) {
			bad("%s: there are no words in %q: use %s, or add templates", where, l, oneOf(known))
		}
	}
	language("language", d.Language)
	for i, r := range d.Routes {
		where := fmt.Sprintf("routes[%d]", i)
		channels(where+".to", r.To)
		language(where+".language", r.Language)
		for _, w := range r.Happened {
			if !slices.Contains(Whats, w) {
				bad("%s.happened: %q is unknown: use %s", where, w, oneOf(Whats))
			}
		}
		for _, p := range r.Policies {
			if _, err := path.Match(p, ""); err != nil {
				bad("%s.policies: %q is no pattern: write a name, or a part of one and *", where, p)
			}
		}
		for _, k := range r.GroupBy {
			if !slices.Contains(GroupKeys, k) {
				bad("%s.group_by: %q is unknown: use %s", where, k, oneOf(GroupKeys))
			}
		}
	}
	for i, l := range d.Languages {
		where := fmt.Sprintf("languages[%d]", i)
		if l.Language == "" {
			bad("%s.language is missing", where)
		}
		language(where+".language", l.Language)
		channels(where+".channels", l.Channels)
	}
	return errors.Join(errs...)
}

func oneOf[T ~string](list []T) string {
	if len(list) == 0 {
		return "none, there are none"
	}
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return strings.Join(out, ", ")
}

// Letters are the messages of an occasion to one audience. The same occasion has letters of
// the same ids.
func (d *Desk) Letters(o *Occasion, audience string, contacts []schemas.Contact, now time.Time) []Letter {
	if audience == AudienceCustomer && !o.Customer() || audience == AudienceSystem && !o.System() {
		return nil
	}
	var out []Letter
	for _, dir := range d.Directories {
		r, ok := d.route(o, audience, dir.Name())
		if !ok {
			continue
		}
		for _, to := range addresses(dir, audience, contacts) {
			out = append(out, d.letter(o, audience, dir, to, r, now))
		}
	}
	return out
}

// route finds the route by which a channel is told. What no route matches is told by all:
// nil and true.
func (d *Desk) route(o *Occasion, audience, channel string) (*Route, bool) {
	known := false
	for i := range d.Routes {
		r := &d.Routes[i]
		if !r.matches(o, audience) {
			continue
		}
		known = true
		if slices.Contains(r.To, channel) {
			return r, true
		}
		if !r.Continue {
			return nil, false
		}
	}
	return nil, !known
}

func (r *Route) matches(o *Occasion, audience string) bool {
	return cmp.Or(r.Audience, AudienceOperator) == audience && any1(r.Happened, o.What) && any1(r.Verdicts, o.Verdict) && any1(r.Severities, o.Severity) &&
		any1(r.Plans, o.Plan) && any1(r.Kinds, o.Entity.Kind) && (len(r.Policies) == 0 || slices.ContainsFunc(r.Policies, func(p string) bool {
		ok, _ := path.Match(p, o.Policy)
		return ok
	}))
}

func any1[T comparable](list []T, x T) bool { return len(list) == 0 || slices.Contains(list, x) }

func addresses(d Directory, audience string, contacts []schemas.Contact) []string {
	var out []string
	for _, a := range d.Audiences() {
		if a.Audience == audience {
			out = append(out, a.To)
		}
	}
	if audience == AudienceCustomer && d.Customers() {
		for _, c := range contacts {
			if !slices.Contains(out, c.Email) {
				out = append(out, c.Email)
			}
		}
	}
	return out
}

func (d *Desk) letter(o *Occasion, audience string, dir Directory, to string, r *Route, now time.Time) Letter {
	l := Letter{
		ID: schemas.DeriveID("ntc", o.Cause, dir.Name(), to, o.Kind), Time: now.UTC(), Decision: o.Cause, Entity: o.Entity, Account: o.Account,
		Verdict: o.Verdict, Policy: o.Policy, Audience: audience, Channel: dir.Name(), To: to, Page: o.Page, Occasion: o,
	}
	l.Language = d.languageOf(o, audience, dir.Name(), to, r)
	l.Wait = Span(d.wait(o, audience, r))
	if audience == AudienceOperator {
		if g, ok := dir.(interface{ Gathers() bool }); !ok || !g.Gathers() {
			l.Spree = d.spree(o, r)
		}
		l.Key = "notice:" + dir.Name()
	}
	return l
}

// wait is how long a letter waits: what is urgent does not.
func (d *Desk) wait(o *Occasion, audience string, r *Route) time.Duration {
	wait := d.Wait
	if audience == AudienceCustomer {
		wait = d.CustomerWait
	}
	if r != nil && r.Wait != nil {
		wait = *r.Wait
	}
	switch o.What {
	case Opened, Slowed, Progress:
		if !o.Page && o.By == "" {
			return wait
		}
	}
	return 0
}

func (d *Desk) spree(o *Occasion, r *Route) *Spree {
	s := d.Spree
	var by []string
	if r != nil {
		if r.Spree != nil {
			s = *r.Spree
		}
		by = r.GroupBy
	}
	if s.Alone <= 0 || s.Quiet <= 0 {
		return nil
	}
	switch o.What {
	case Tripped, Refused, Overdue, Resolved, Gone, Held:
		return nil // a person looks at each
	}
	name := []string{"cases"}
	for _, k := range by {
		name = append(name, map[string]string{
			"what": string(o.What), "verdict": string(o.Verdict), "severity": string(o.Severity), "policy": o.Policy, "plan": o.Plan, "kind": string(o.Entity.Kind),
		}[k])
	}
	s.Name = strings.Join(name, "/")
	return &s
}

func (d *Desk) languageOf(o *Occasion, audience, channel, to string, r *Route) string {
	if r != nil && r.Language != "" {
		return r.Language
	}
	_, domain, _ := strings.Cut(strings.ToLower(to), "@")
	for _, l := range d.Languages {
		ends := func(end string) bool {
			end = strings.ToLower(strings.TrimPrefix(end, "."))
			return domain == end || strings.HasSuffix(domain, "."+end)
		}
		switch {
		case audience == AudienceOperator:
			if slices.Contains(l.Channels, channel) {
				return l.Language
			}
		case slices.Contains(l.Plans, o.Plan) && o.Plan != "", domain != "" && slices.ContainsFunc(l.Domains, ends):
			return l.Language
		}
	}
	if d.Language != "" {
		return d.Language
	}
	return DefaultLanguage
}
