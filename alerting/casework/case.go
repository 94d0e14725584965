package casework

import (
	"slices"
	"strconv"
	"time"

	"holdfast/schemas"
)

// The bounds of a case.
const (
	MaxDecisions = 64
	maxPolicies  = 32
	maxEntry     = 128 // as many as signals are remembered
	maxMade      = 64  // beyond them is a step that only a person can end
	maxSteps     = 4 + maxMade + MaxKeys + 2*MaxUsers
	maxHolds     = 160
	MaxNotes     = 64
	MaxNote      = 2000 // bytes
	MaxWatchers  = 16
	MaxTickets   = 16
	MaxLinks     = 32
)

// How long each stage may take until it is overdue.
var dueAfter = map[schemas.Stage]time.Duration{
	schemas.StageOpen: 4 * time.Hour, schemas.StageContained: 24 * time.Hour, schemas.StageRecovering: 72 * time.Hour,
}

// AwaitFor is how long an act waits for a second person.
const AwaitFor = 24 * time.Hour

// stopTakes is how long after a stop was decided whoever is signed in may still act: what is
// made until then is as if made inside the window.
const stopTakes = time.Minute

// relapseFor is how long after its end a case is opened again by what happens.
const relapseFor = 30 * 24 * time.Hour

// Open is a new case that begins with a decision.
func Open(d *schemas.Decision) *schemas.Case {
	c := &schemas.Case{
		ID: schemas.DeriveID("case", d.Entity.Key(), strconv.Itoa(d.Episode)), Entity: d.Entity, Account: d.Account,
		Episode: d.Episode, Opened: d.Time, By: d.By,
	}
	Enter(c, schemas.StageOpen, d.Time)
	return c
}

// Enter moves a case to a stage, which is due from then on.
func Enter(c *schemas.Case, s schemas.Stage, at time.Time) {
	if c.Stage == s {
		return
	}
	c.Stage, c.Due = s, time.Time{}
	if d := dueAfter[s]; d > 0 {
		c.Due = at.Add(d)
	}
	c.Closed = time.Time{}
	if s == schemas.StageClosed {
		c.Closed = at
	}
}

// IsOpen reports whether a case is there that is not closed.
func IsOpen(c *schemas.Case) bool { return c != nil && c.Stage != schemas.StageClosed }

// Returns reports whether new evidence of a time belongs to a case that was released or
// closed: it opens that one again, and no other.
func Returns(c *schemas.Case, at time.Time) bool {
	return c != nil && (c.Stage != schemas.StageClosed || at.Sub(c.Closed) < relapseFor && c.Merged == "")
}

// Decided adds a decision: its policy, the window of its signals and what to read first.
func Decided(c *schemas.Case, d *schemas.Decision, w schemas.Window) {
	if len(c.Decisions) < MaxDecisions && !slices.Contains(c.Decisions, d.ID) {
		c.Decisions = append(c.Decisions, d.ID)
	}
	if d.By == "" && d.PolicyVersion > 0 {
		name := d.Policy + "@" + strconv.Itoa(d.PolicyVersion)
		if !slices.Contains(c.Policies, name) && len(c.Policies) < maxPolicies {
			c.Policies = append(c.Policies, name)
		}
	}
	if !w.From.IsZero() {
		widen(c, w)
	}
	if len(d.Seen) > 0 && len(d.Seen) >= len(c.Seen) {
		c.Seen = d.Seen
	}
}

var confidences = []string{"", "low", "medium", "high"}

func widen(c *schemas.Case, w schemas.Window) {
	if c.Window.From.IsZero() {
		c.Window = w
		return
	}
	if w.From.Before(c.Window.From) {
		c.Window.From = w.From
	}
	if w.To.After(c.Window.To) {
		c.Window.To = w.To
	}
	if slices.Index(confidences, w.Confidence) > slices.Index(confidences, c.Window.Confidence) {
		c.Window.Confidence = w.Confidence
	}
}

// See adds what they used to get in. It reports whether that is new.
func See(c *schemas.Case, t schemas.Trace) bool {
	i := slices.IndexFunc(c.Entry, func(x schemas.Trace) bool { return x.Kind == t.Kind && x.Value == t.Value })
	if i >= 0 {
		if x := &c.Entry[i]; t.At.Before(x.At) && x.Basis != schemas.BasisSaid {
			x.Row = t.Row
			return true
		}
		return false
	}
	if len(c.Entry) >= maxEntry || t.Value == "" {
		return false
	}
	c.Entry = append(c.Entry, t)
	return true
}

// Whose says that an address of the case is the customer's own, or is not.
func Whose(c *schemas.Case, address string, ours bool, by schemas.Row) string {
	i := slices.IndexFunc(c.Entry, func(t schemas.Trace) bool { return t.Kind == schemas.TraceAddress && t.Value == address })
	if i < 0 && ours {
		return "the case does not name " + address
	}
	if i < 0 {
		if !See(c, schemas.Trace{Kind: schemas.TraceAddress, Value: address, Row: by}) {
			return "the case names as many addresses as it can"
		}
		return ""
	}
	if c.Entry[i].Ours == ours {
		return "that is said already"
	}
	c.Entry[i].Ours, c.Entry[i].By = ours, by.By
	return ""
}

// foes are whose acts prove nothing.
type foes struct {
	networks, employees []string
}

func foesOf(c *schemas.Case) (f foes) {
	for i := range c.Entry {
		switch t := &c.Entry[i]; {
		case t.Ours:
		case t.Kind == schemas.TraceAddress:
			f.networks = append(f.networks, network(t.Value))
		case t.Kind == schemas.TraceEmployee:
			f.employees = append(f.employees, t.Value)
		}
	}
	return f
}

func (f *foes) has(c *Change) bool {
	return c.Address != "" && slices.Contains(f.networks, network(c.Address)) || c.Employee != "" && slices.Contains(f.employees, c.Employee)
}

// Foe reports whether an address is one from which nothing counts.
func Foe(c *schemas.Case, address string) bool {
	who := foesOf(c)
	return who.has(&Change{Address: address})
}

// makes reports whether a change made something that has to go again.
func (c *Change) makes() bool {
	switch c.Kind {
	case kindMFA:
		return false // whoever has another second factor sets up a new one anyway
	case kindPassword:
		return c.What == created || c.What == added // a user
	}
	return c.What == created || c.What == added || c.What == enabled
}

func (c *Change) row() schemas.Row {
	return schemas.Row{At: fromMilli(c.At), Found: fromMilli(c.Found), Basis: schemas.BasisObserved, Cause: c.ID}
}

// benign reports whether people have said that nobody broke in.
func benign(c *schemas.Case) bool {
	return c.Verdict == schemas.CaseExpected || c.Verdict == schemas.CaseFalseAlarm
}

// Changed takes the account's changes over: what was made inside the window, and what has
// come from a source of the case since the stop, which is a relapse. It reports both. Once
// the account was released, what it knew of until then is no relapse, and where people have
// said that nobody broke in, nothing is.
func Changed(c *schemas.Case, a *Account) (touched bool, relapses []Change) {
	if a == nil || c.Window.From.IsZero() {
		return false, nil
	}
	who, stopped := foesOf(c), c.Contained
	for i := range a.Changes {
		x := &a.Changes[i]
		at := fromMilli(x.At)
		if at.Before(c.Window.From) || slices.ContainsFunc(c.Made, func(m schemas.Made) bool { return m.Cause == x.ID && m.At.Equal(at) }) {
			continue
		}
		after := !stopped.IsZero() && at.After(stopped)
		foe := who.has(x)
		switch {
		case after && !foe && (!x.makes() || at.After(stopped.Add(stopTakes))), !after && !x.makes() && !foe:
			continue
		case after && !c.Released.IsZero() && (benign(c) || !at.After(c.Released) && !fromMilli(x.Found).After(c.Released)):
			continue
		}
		if len(c.Made) == maxMade && len(c.Steps) > 0 {
			// More than a case lists: whoever looks at the account removes the rest.
			touched = steps{c}.add(schemas.StepRemoval, others, "") || touched
		}
		if after && foe && !x.Told {
			x.Told = true
			relapses = append(relapses, *x)
		}
		if len(c.Made) < maxMade {
			m := schemas.Made{Kind: x.Kind, ID: x.Object, Change: x.What, User: x.User, Address: x.Address, Row: x.row()}
			at, _ := slices.BinarySearchFunc(c.Made, m, func(a, b schemas.Made) int { return a.At.Compare(b.At) })
			c.Made = slices.Insert(c.Made, at, m)
			touched = true
		}
	}
	return touched || len(relapses) > 0, relapses
}
