package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"holdfast/alerting/enforce"
	"holdfast/schemas"
)

// progress is how far an entity's status is carried out, by receiver.
type progress []receiverProgress

type receiverProgress struct {
	Receiver string    `json:"receiver,omitempty"`
	State    string    `json:"state"`          // confirmed, or as enforce.Undelivered has it; none: no receiver is configured; not told: the status is none that receivers are told; not concerned: no receiver takes it
	At       time.Time `json:"at,omitzero"`    // when it was confirmed
	Since    time.Time `json:"since,omitzero"` // since when it fails
	Attempts int       `json:"attempts,omitzero"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"next,omitzero"`
}

// The states beside those of enforce.Undelivered.
const (
	stateConfirmed = "confirmed"
	stateNone      = "none"
	stateNotTold   = "not told"
	stateOthers    = "not concerned"
)

// progressOf holds a status against what is kept of carrying it out.
func progressOf(st schemas.Status, x *enforce.State) progress {
	if st.Status == "review" {
		return progress{{State: stateNotTold}}
	}
	if x == nil || x.Last.Decision != st.Decision && (schemas.Status{Episode: st.Episode, Step: st.Step}).Newer(schemas.Status{Episode: x.Last.Episode, Step: x.Last.Step}) {
		return progress{{State: enforce.StateWaiting}} // enforcement has not read the decision yet
	}
	if len(x.Receivers) == 0 {
		return progress{{State: stateNone}}
	}
	var out progress
	waits := map[string]enforce.Undelivered{}
	for _, u := range x.Undelivered() {
		waits[u.Receiver] = u
	}
	for _, name := range slices.Sorted(maps.Keys(x.Receivers)) {
		if u, ok := waits[name]; ok {
			p := receiverProgress{Receiver: name, State: u.State, Attempts: u.Attempts, Error: u.Error, Next: u.Next}
			if f := x.Receivers[name].Failing; f != nil {
				p.Since = f.Since
			}
			out = append(out, p)
		} else if c := x.Receivers[name].Confirmed; c != nil && c.Decision == x.Last.Decision {
			out = append(out, receiverProgress{Receiver: name, State: stateConfirmed, At: c.At})
		}
	}
	if len(out) == 0 {
		return progress{{State: stateOthers}}
	}
	return out
}

// settled reports whether waiting a little longer tells nothing new.
func (p progress) settled() bool {
	return !slices.ContainsFunc(p, func(r receiverProgress) bool { return r.State == enforce.StateWaiting })
}

// inForce reports whether no receiver has yet to confirm the status.
func (p progress) inForce() bool {
	return !slices.ContainsFunc(p, func(r receiverProgress) bool {
		return r.State != stateConfirmed && r.State != stateNone && r.State != stateNotTold && r.State != stateOthers
	})
}

func (p progress) lines() []string {
	var out []string
	for _, r := range p {
		who := clean(r.Receiver)
		switch r.State {
		case stateConfirmed:
			out = append(out, fmt.Sprintf("confirmed by %s at %s", who, r.At.UTC().Format(time.RFC3339)))
		case stateNone:
			out = append(out, "decided; no receiver is configured, whatever reads the status topic carries it out")
		case stateOthers:
			out = append(out, "decided; it concerns no receiver that is configured, whatever reads the status topic carries it out")
		case stateNotTold:
			out = append(out, "decided; the platform is not told of reviews")
		case enforce.StateHeld:
			out = append(out, fmt.Sprintf("decided, held: its cause is too old, %s is not told before a person says so: holdfast enforce retry, or release", who))
		case enforce.StateFailing, enforce.StateRefused:
			word := "failing"
			if r.State == enforce.StateRefused {
				word = "refused"
			}
			out = append(out, fmt.Sprintf("decided, not confirmed yet: %s at %s since %s, %s, next try %s: %s", word, who, r.Since.UTC().Format(time.RFC3339),
				count(r.Attempts, "attempt", "attempts"), at(r.Next), clean(r.Error)))
		default:
			text := "decided, not confirmed yet"
			if who != "" {
				text += " by " + who
			}
			out = append(out, text)
		}
	}
	return out
}

// at writes a time, soon where it has come or is not known.
func at(t time.Time) string {
	if t.IsZero() || time.Until(t) <= 0 {
		return "now"
	}
	return t.UTC().Format(time.RFC3339)
}
