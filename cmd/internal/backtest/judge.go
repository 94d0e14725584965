package backtest

import (
	"cmp"
	"slices"
	"time"

	"holdfast/schemas"
)

// What people said of a case.
const (
	wordConfirmed = "confirmed"
	wordDismissed = "dismissed"
	wordReleased  = "released" // let go without a word on whether it was right
)

// Case is one stretch of an entity's decisions that a person judged: from its first
// decision until the person ended it. Then and Now are when a policy stopped the
// entity in it, on either side of the comparison.
type Case struct {
	Entity schemas.Entity `json:"entity"`
	Opened time.Time      `json:"opened"`
	Ended  time.Time      `json:"ended"` // of the last decision where nobody ended it
	Word   string         `json:"word"`
	By     string         `json:"by"`
	Why    string         `json:"why"`
	Then   *time.Time     `json:"then,omitempty"`
	Now    *time.Time     `json:"now,omitempty"`
}

// Accuracy is how stops agree with what people found. A stop of a confirmed case is
// right, one of a dismissed case false. Precision is right / (right + false), recall
// right / confirmed; a case that a policy did not stop counts for recall as well,
// also where a person stopped it.
type Accuracy struct {
	Right     int `json:"right"`
	False     int `json:"false"`
	Confirmed int `json:"confirmed"`
	Dismissed int `json:"dismissed"`
}

// Precision is the share of judged stops that were right; false where none was judged.
func (a Accuracy) Precision() (float64, bool) { return share(a.Right, a.Right+a.False) }

// Recall is the share of confirmed cases that were stopped; false where there is none.
func (a Accuracy) Recall() (float64, bool) { return share(a.Right, a.Confirmed) }

func share(part, whole int) (float64, bool) {
	if whole == 0 {
		return 0, false
	}
	return float64(part) / float64(whole), true
}

func accuracies(cases []Case) (then, now Accuracy) {
	for i := range cases {
		c := &cases[i]
		then.add(c.Word, c.Then != nil)
		now.add(c.Word, c.Now != nil)
	}
	return then, now
}

func (a *Accuracy) add(word string, stopped bool) {
	switch word {
	case wordConfirmed:
		a.Confirmed++
		if stopped {
			a.Right++
		}
	case wordDismissed:
		a.Dismissed++
		if stopped {
			a.False++
		}
	}
}

// happening is a decision or an act, in an entity's order of time.
type happening struct {
	time time.Time
	act  *schemas.Operator // nil: a decision
	id   string
}

// judge reads the cases out of what was decided and what people then did. An act
// judges the live decisions since the last act that ended a case. One that follows
// no decision of the stretch judges something else.
func judge(decisions []schemas.Decision, acts []schemas.Operator) []Case {
	all := map[schemas.Entity][]happening{}
	for i := range decisions {
		if d := &decisions[i]; d.Mode == schemas.ModeLive && d.Verdict != schemas.VerdictRelease && d.Proposed.Rank() > 0 {
			all[d.Entity] = append(all[d.Entity], happening{time: d.Time, id: d.ID})
		}
	}
	for i := range acts {
		if a := &acts[i]; a.Refused == "" && (a.Act == "confirm" || a.Act == "dismiss" || a.Act == "release") {
			all[a.Entity] = append(all[a.Entity], happening{a.Time, a, a.ID})
		}
	}
	var out []Case
	for e, hs := range all {
		slices.SortFunc(hs, func(a, b happening) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id)) })
		out = append(out, casesOf(e, hs)...)
	}
	slices.SortFunc(out, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.Entity.Key(), b.Entity.Key()), a.Opened.Compare(b.Opened))
	})
	return out
}

func casesOf(e schemas.Entity, hs []happening) (out []Case) {
	var open *Case
	end := func() {
		if open != nil && open.Word != "" {
			out = append(out, *open)
		}
		open = nil
	}
	for _, h := range hs {
		switch {
		case h.act == nil && open == nil:
			open = &Case{Entity: e, Opened: h.time.UTC(), Ended: h.time.UTC()}
		case h.act == nil:
			open.Ended = h.time.UTC()
		case open == nil:
			continue
		default:
			open.said(h.act)
			if h.act.Act != "confirm" {
				end()
			}
		}
	}
	end()
	return out
}

// said notes a person's word. The last of confirm and dismiss counts; a release
// after a confirmation takes nothing back.
func (c *Case) said(a *schemas.Operator) {
	word := map[string]string{"confirm": wordConfirmed, "dismiss": wordDismissed, "release": wordReleased}[a.Act]
	c.Ended = a.Time.UTC()
	if word == wordReleased && c.Word != "" {
		return
	}
	c.Word, c.By, c.Why = word, a.Actor, a.Why
}

// caseOf returns the case that a stop belongs to: one that it lies in, or 48 h
// before or after.
func caseOf(cases []Case, e schemas.Entity, at time.Time) *Case {
	for i := range cases {
		c := &cases[i]
		if c.Entity == e && !at.Before(c.Opened.Add(-near)) && !at.After(c.Ended.Add(near)) {
			return c
		}
	}
	return nil
}
