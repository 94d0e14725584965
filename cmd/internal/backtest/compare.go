package backtest

import (
	"cmp"
	"slices"
	"time"

	"holdfast/schemas"
)

// near is how far apart two stops of an entity may lie and be the same one: the
// length of an episode's cell.
const near = 48 * time.Hour

// operatorPolicy stands where a person decided.
const operatorPolicy = "operator"

// Effect is what one policy does: its decisions of one mode and proposed verdict,
// then and now, by their ids; by the signals of a trial, where one is named.
type Effect struct {
	Policy   string          `json:"policy"`
	Mode     schemas.Mode    `json:"mode"`
	Trial    string          `json:"trial,omitempty"`
	Verdict  schemas.Verdict `json:"verdict"`
	Then     int             `json:"then"`
	Now      int             `json:"now"`
	OnlyThen int             `json:"only_then"`
	OnlyNow  int             `json:"only_now"`
}

// Stop is one stop of an entity by policies: then, now, or both. The stops of an
// entity within 48 h of each other are one.
type Stop struct {
	Entity  schemas.Entity `json:"entity"`
	Account string         `json:"account,omitempty"`
	Then    *Stopped       `json:"then,omitempty"`
	Now     *Stopped       `json:"now,omitempty"`
	Judged  string         `json:"judged,omitempty"` // confirmed, dismissed, released
}

// Stopped is a stop on one side of the comparison.
type Stopped struct {
	Time     time.Time    `json:"time"`
	Policies []string     `json:"policies"`
	Mode     schemas.Mode `json:"mode"`
	Reason   string       `json:"reason"`
	// Braked says that the gate held the stop back, so that it was a throttle and a
	// review.
	Braked    bool     `json:"braked,omitempty"`
	Decisions []string `json:"decisions"`
	last      time.Time
	account   string
}

// compare joins what was with what would have been.
func compare(then, now []schemas.Decision, acts []schemas.Operator) *Result {
	out := &Result{Cases: judge(then, acts)}
	was, would := byPolicies(then), byPolicies(now)
	out.Policies, out.Summary.Same = effects(was, would)
	was, would = liveNumbers(was), liveNumbers(would)
	out.Stops = pair(stopsOf(was), stopsOf(would))
	s := &out.Summary
	s.Then.Decisions, s.Now.Decisions = len(was), len(would)
	for i := range out.Stops {
		s.count(&out.Stops[i], out.Cases)
	}
	s.Then.Accuracy, s.Now.Accuracy = accuracies(out.Cases)
	return out
}

// count adds a stop to the numbers, and to the cases that it belongs to.
func (s *Summary) count(x *Stop, cases []Case) {
	switch {
	case x.Then == nil:
		s.OnlyNow++
	case x.Now == nil:
		s.OnlyThen++
	default:
		s.Both++
	}
	if x.Then != nil {
		if c := s.Then.count(x, x.Then, cases); c != nil {
			c.Then = earlier(c.Then, x.Then.Time)
		}
	}
	if x.Now != nil {
		if c := s.Now.count(x, x.Now, cases); c != nil {
			c.Now = earlier(c.Now, x.Now.Time)
		}
	}
}

func (r *Run) count(x *Stop, side *Stopped, cases []Case) *Case {
	r.Stops++
	c := caseOf(cases, x.Entity, side.Time)
	if c == nil || c.Word == wordReleased {
		r.Unjudged++
	}
	if c != nil {
		x.Judged = c.Word
	}
	return c
}

func earlier(a *time.Time, b time.Time) *time.Time {
	if a != nil && a.Before(b) {
		return a
	}
	return &b
}

// byPolicies leaves out what people decided.
func byPolicies(all []schemas.Decision) []schemas.Decision {
	return slices.DeleteFunc(slices.Clone(all), func(d schemas.Decision) bool { return d.Policy == operatorPolicy })
}

// liveNumbers leaves out what was decided by signals on trial.
func liveNumbers(all []schemas.Decision) []schemas.Decision {
	return slices.DeleteFunc(all, func(d schemas.Decision) bool { return d.Trial != "" })
}

func effects(then, now []schemas.Decision) (out []Effect, same int) {
	type key struct {
		policy  string
		mode    schemas.Mode
		trial   string
		verdict schemas.Verdict
	}
	of := func(d *schemas.Decision) key { return key{d.Policy, d.Mode, d.Trial, d.Proposed} }
	all := map[key]*Effect{}
	at := func(k key) *Effect {
		if all[k] == nil {
			all[k] = &Effect{Policy: k.policy, Mode: k.mode, Trial: k.trial, Verdict: k.verdict}
		}
		return all[k]
	}
	ids := map[string]bool{}
	for i := range then {
		ids[then[i].ID] = true
		at(of(&then[i])).Then++
	}
	shared := map[key]int{}
	for i := range now {
		k := of(&now[i])
		at(k).Now++
		if ids[now[i].ID] {
			shared[k]++
			if k.trial == "" {
				same++
			}
		}
	}
	for k, e := range all {
		e.OnlyThen, e.OnlyNow = e.Then-shared[k], e.Now-shared[k]
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Trial, b.Trial), cmp.Compare(a.Verdict, b.Verdict))
	})
	return out, same
}

// stopsOf gives each entity's stops in the order of time. What runs in shadow stops
// nobody; what was imported would have.
func stopsOf(decisions []schemas.Decision) map[schemas.Entity][]*Stopped {
	sorted := slices.Clone(decisions)
	slices.SortFunc(sorted, func(a, b schemas.Decision) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	out := map[schemas.Entity][]*Stopped{}
	for i := range sorted {
		d := &sorted[i]
		if d.Mode == schemas.ModeShadow || !d.Verdict.Stops() && !d.Braked {
			continue
		}
		all := out[d.Entity]
		if len(all) == 0 || d.Time.Sub(all[len(all)-1].last) > near {
			all = append(all, &Stopped{Time: d.Time.UTC(), Mode: d.Mode, Reason: d.Reason, Braked: true, account: d.Account})
			out[d.Entity] = all
		}
		s := all[len(all)-1]
		s.last, s.Braked, s.Decisions = d.Time, s.Braked && d.Braked, append(s.Decisions, d.ID)
		if !slices.Contains(s.Policies, d.Policy) {
			s.Policies = append(s.Policies, d.Policy)
		}
	}
	return out
}

// pair joins the stops of both sides: the first of each that are near.
func pair(then, now map[schemas.Entity][]*Stopped) []Stop {
	var out []Stop
	for e, was := range then {
		out = append(out, merge(e, was, now[e])...)
	}
	for e, would := range now {
		if then[e] == nil {
			out = append(out, merge(e, nil, would)...)
		}
	}
	slices.SortFunc(out, func(a, b Stop) int {
		return cmp.Or(cmp.Compare(a.Entity.Key(), b.Entity.Key()), a.time().Compare(b.time()))
	})
	return out
}

func merge(e schemas.Entity, was, would []*Stopped) (out []Stop) {
	for len(was) > 0 || len(would) > 0 {
		s := Stop{Entity: e}
		switch {
		case len(would) == 0 || len(was) > 0 && would[0].Time.Sub(was[0].Time) > near:
			s.Then, was = was[0], was[1:]
		case len(was) == 0 || was[0].Time.Sub(would[0].Time) > near:
			s.Now, would = would[0], would[1:]
		default:
			s.Then, s.Now, was, would = was[0], would[0], was[1:], would[1:]
		}
		for _, side := range []*Stopped{s.Then, s.Now} {
			if side != nil && side.account != e.ID {
				s.Account = side.account
			}
		}
		out = append(out, s)
	}
	return out
}

// time is when the entity was stopped first, on either side.
func (s *Stop) time() time.Time {
	if s.Then == nil || s.Now != nil && s.Now.Time.Before(s.Then.Time) {
		return s.Now.Time
	}
	return s.Then.Time
}
