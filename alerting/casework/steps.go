package casework

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// Stopped begins the way back at the time of a stop, with all steps open. For addresses
// there is none: a person releases them.
func Stopped(c *schemas.Case, at time.Time) {
	c.Contained, c.Released, c.Ramp = at, time.Time{}, nil
	c.Steps = nil
	if c.Entity.Kind == schemas.KindIP {
		return
	}
	for _, kind := range []string{schemas.StepSessions, schemas.StepInvestigation, schemas.StepConfirmation} {
		steps{c}.add(kind, "", "")
	}
}

// others is the object of the step for what was made beyond what a case lists.
const others = "others"

// Derive adds the steps that follow from what the account had when it was stopped and from
// what was made inside the window. Those that are there already stay as they are.
func Derive(c *schemas.Case, a *Account) {
	if len(c.Steps) == 0 {
		return
	}
	s := steps{c}
	made := map[string]bool{}
	var before []string // users who were there before the window
	if a != nil {
		_, before = a.asOf(c.Window.From.UnixMilli() - 1)
	}
	for i := range c.Made {
		m := &c.Made[i]
		x := Change{Kind: m.Kind, What: m.Change, Object: m.ID, User: m.User}
		if !x.makes() {
			continue
		}
		object := m.ID
		if m.Kind == kindPassword {
			object = x.user()
			if slices.ContainsFunc(before, func(u string) bool { return same(u, object) }) {
				// An old user is said to be new. Who goes has no password any more, and who is
				// kept needs another one.
				s.add(schemas.StepRemoval, m.Kind+":"+object, m.User)
				continue
			}
		}
		made[m.Kind+":"+object] = true
		s.add(schemas.StepRemoval, m.Kind+":"+object, m.User)
	}
	if a != nil && !c.Window.From.IsZero() && a.Lost >= c.Window.From.UnixMilli() {
		s.add(schemas.StepRemoval, others, "")
	}
	if a != nil && c.Entity.Kind == schemas.KindAccount {
		keys, users := a.asOf(c.Contained.UnixMilli())
		for _, k := range keys {
			if !made[k.Kind+":"+k.ID] {
				s.add(stepOfKey(k.Kind), k.ID, "")
			}
		}
		for _, u := range users {
			if !made[kindPassword+":"+u] {
				s.add(schemas.StepPassword, u, u)
				s.add(schemas.StepMFA, u, u)
			}
		}
	}
	slices.SortStableFunc(c.Steps, func(a, b schemas.Step) int { return stepOrder(a.Kind) - stepOrder(b.Kind) })
}

// stepOrder is the order in which people are told to go.
func stepOrder(kind string) int {
	return slices.Index([]string{schemas.StepSessions, schemas.StepInvestigation, schemas.StepPassword, schemas.StepMFA, schemas.StepRemoval,
		schemas.StepAPIKey, schemas.StepSMTP, schemas.StepConfirmation}, kind)
}

func stepOfKey(kind string) string {
	if kind == kindSMTP {
		return schemas.StepSMTP
	}
	return schemas.StepAPIKey
}

type steps struct{ c *schemas.Case }

func (s steps) add(kind, object, user string) bool {
	id := kind
	if object != "" {
		id += ":" + object
	}
	if len(s.c.Steps) >= maxSteps || slices.ContainsFunc(s.c.Steps, func(x schemas.Step) bool { return x.ID == id }) {
		return false
	}
	s.c.Steps = append(s.c.Steps, schemas.Step{ID: id, Kind: kind, Object: object, User: user, Opened: s.c.Contained})
	return true
}

// FindStep returns a step by its id, or nil.
func FindStep(c *schemas.Case, id string) *schemas.Step {
	i := slices.IndexFunc(c.Steps, func(s schemas.Step) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return &c.Steps[i]
}

// Conclude finds the proofs of all steps that events prove, from all that is remembered.
// What people said of steps stays.
func Conclude(c *schemas.Case, a *Account) {
	if len(c.Steps) == 0 || a == nil {
		return
	}
	p := prover{on: c, who: foesOf(c), resets: map[string]time.Time{}}
	if len(a.Changes) > 0 {
		p.since = fromMilli(a.Changes[0].At)
	}
	for i := range a.Changes {
		if x := &a.Changes[i]; fromMilli(x.At).After(c.Contained) {
			p.changes = append(p.changes, x)
		}
	}
	for _, kind := range []string{schemas.StepPassword, schemas.StepMFA, schemas.StepRemoval, schemas.StepAPIKey, schemas.StepSMTP} {
		for i := range c.Steps {
			if s := &c.Steps[i]; s.Kind == kind {
				p.prove(s)
			}
		}
	}
	for i := range c.Steps {
		// Whoever confirmed did not know what is open now.
		if s := &c.Steps[i]; s.Kind == schemas.StepConfirmation && s.Done() && s.Proof.What != schemas.ProofWaived && len(Missing(c, s.ID)) > 0 {
			s.Proof, s.Ignored = nil, "it was confirmed while other steps were open"
		}
	}
}

// prover goes over the changes since the stop.
type prover struct {
	on      *schemas.Case
	who     foes
	changes []*Change
	since   time.Time            // of the oldest change that is remembered
	resets  map[string]time.Time // of each user's password, zero where none is needed
}

func (p *prover) prove(s *schemas.Step) {
	if s.Done() && s.Proof.Basis == schemas.BasisSaid {
		if s.Kind == schemas.StepPassword {
			p.resets[schemas.NormalUser(s.Object)] = time.Time{}
		}
		return
	}
	if !p.forgotten(s.Proof) || p.who.has(&Change{Address: s.Proof.Address}) {
		s.Proof, s.Ignored = nil, ""
	}
	for _, x := range p.changes {
		what, undone := outcome(s, x)
		switch {
		case what == "" && !undone:
		case p.who.has(x):
			s.Proof, s.Ignored = nil, fmt.Sprintf("%s on %s from a source of the case (%s)", x.What, stamp(x.At), source(x))
		case undone:
			s.Proof, s.Ignored = nil, fmt.Sprintf("%s again on %s", x.What, stamp(x.At))
		case s.Proof != nil:
		default:
			if why := p.early(s, x); why != "" {
				s.Ignored = why
				continue
			}
			s.Proof, s.Ignored = &schemas.Proof{What: what, Address: x.Address, Row: x.row()}, ""
		}
	}
	if s.Kind == schemas.StepPassword {
		at := time.Unix(1<<40, 0) // never: no key of theirs counts
		if s.Proof != nil {
			at = s.Proof.At
		}
		p.resets[schemas.NormalUser(s.Object)] = at
	}
}

// forgotten reports whether the event behind a proof was one too many: the proof stays.
func (p *prover) forgotten(x *schemas.Proof) bool {
	return x != nil && !x.At.After(p.since) && !slices.ContainsFunc(p.changes, func(c *Change) bool { return c.ID == x.Cause && fromMilli(c.At).Equal(x.At) })
}

func source(x *Change) string {
	if x.Address != "" {
		return x.Address
	}
	return x.Employee
}

func stamp(ms int64) string { return fromMilli(ms).Format("2006-01-02 15:04:05 UTC") }

// early says why a rotation proves nothing: it comes before its user's password was reset,
// or from a user who was made inside the window.
func (p *prover) early(s *schemas.Step, x *Change) string {
	if s.Kind != schemas.StepAPIKey && s.Kind != schemas.StepSMTP || x.User == "" || x.What != rotated && x.What != reset || x.Actor == "employee" || x.Actor == "system" {
		return ""
	}
	for i := range p.on.Steps {
		m := &p.on.Steps[i]
		if user, ok := strings.CutPrefix(m.Object, kindPassword+":"); ok && m.Kind == schemas.StepRemoval && same(user, x.User) && (!m.Done() || m.Proof.Basis != schemas.BasisSaid) {
			return fmt.Sprintf("%s on %s by %s, who was made inside the window", x.What, stamp(x.At), x.User)
		}
	}
	at, needed := p.resets[schemas.NormalUser(x.User)]
	if !needed || !fromMilli(x.At).Before(at) {
		return ""
	}
	return fmt.Sprintf("%s by %s on %s, before the password of %s was reset", x.What, x.User, stamp(x.At), x.User)
}

// outcome is what a change proves of a step, or whether it undoes what was proven.
func outcome(s *schemas.Step, x *Change) (what string, undone bool) {
	switch s.Kind {
	case schemas.StepAPIKey, schemas.StepSMTP:
		if x.Object != s.Object || x.Kind != kindAPIKey && x.Kind != kindSMTP {
			return "", false
		}
		switch x.What {
		case rotated, reset:
			return schemas.ProofRotated, false
		case revoked, removed, disabled:
			return schemas.ProofRevoked, false
		}
		return "", true
	case schemas.StepPassword:
		if x.Kind != kindPassword || !same(x.user(), s.Object) {
			return "", false
		}
		switch x.What {
		case reset, rotated:
			return schemas.ProofReset, false
		case revoked, removed, disabled:
			return schemas.ProofRevoked, false
		}
		return "", true
	case schemas.StepMFA:
		switch {
		case x.Kind == kindPassword && same(x.user(), s.Object) && (x.What == revoked || x.What == removed):
			return schemas.ProofRevoked, false // the user is gone
		case x.Kind != kindMFA || !same(x.user(), s.Object):
			return "", false
		case x.What == enabled || x.What == created || x.What == added || x.What == rotated:
			return schemas.ProofEnabled, false
		}
		return "", true // it is gone, also by a reset
	case schemas.StepRemoval:
		kind, object, _ := strings.Cut(s.Object, ":")
		if x.Kind != kind || x.Object != object && !(kind == kindPassword && same(x.user(), object)) {
			return "", false
		}
		switch x.What {
		case revoked, removed, disabled:
			return schemas.ProofRemoved, false
		}
		return "", true
	}
	return "", false
}

// Missing are the ids of the steps that are open, but for the named one.
func Missing(c *schemas.Case, but string) (open []string) {
	for i := range c.Steps {
		if s := &c.Steps[i]; !s.Done() && s.ID != but {
			open = append(open, s.ID)
		}
	}
	return open
}

// Ready reports whether the way back has been gone to its end.
func Ready(c *schemas.Case) bool { return len(c.Steps) > 0 && len(Missing(c, "")) == 0 }

// Reopen opens the steps again that a relapse puts into question: how they came in, which
// sessions are open, and the word that all is well.
func Reopen(c *schemas.Case, why string) {
	for i := range c.Steps {
		switch s := &c.Steps[i]; s.Kind {
		case schemas.StepInvestigation, schemas.StepSessions, schemas.StepConfirmation:
			s.Proof, s.Ignored = nil, why
		}
	}
}

// Tick proves a step by what was said. It returns why that cannot be.
func Tick(c *schemas.Case, id, what string, said schemas.Proof) string {
	s := FindStep(c, id)
	if s == nil {
		return fmt.Sprintf("the case has no step %q: its steps are %s", id, strings.Join(stepIDs(c), ", "))
	}
	if s.Done() {
		return fmt.Sprintf("step %s is done already (%s)", id, s.Proof.What)
	}
	switch what {
	case schemas.ProofWaived:
	case schemas.ProofKept:
		if s.Kind != schemas.StepRemoval {
			return fmt.Sprintf("step %s is not about something that was made inside the window: only such a thing can be kept", id)
		}
	default:
		switch s.Kind {
		case schemas.StepInvestigation:
			if what = schemas.ProofAnswered; strings.TrimSpace(said.Text) == "" {
				return "say how it leaked: the answer is empty"
			}
		case schemas.StepConfirmation:
			what = schemas.ProofConfirmed
			if open := Missing(c, id); len(open) > 0 {
				return "other steps are open: " + strings.Join(open, ", ")
			}
		case schemas.StepSessions:
			what = schemas.ProofEnded
		default:
			return fmt.Sprintf("step %s is proven by an event of the platform's alone: waive it, with a reason", id)
		}
	}
	said.What, said.Basis = what, schemas.BasisSaid
	s.Proof, s.Ignored = &said, ""
	return ""
}

func stepIDs(c *schemas.Case) (ids []string) {
	for i := range c.Steps {
		ids = append(ids, c.Steps[i].ID)
	}
	return ids
}
