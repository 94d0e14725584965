package main

import (
	"fmt"
	"slices"
	"time"

	"holdfast/alerting/api"
	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/app"
)

// progress is how far an entity's status is carried out, by receiver.
type progress []api.Receipt

// settled reports whether waiting a little longer tells nothing new.
func (p progress) settled() bool {
	return !slices.ContainsFunc(p, func(r api.Receipt) bool { return r.State == enforce.StateWaiting })
}

// inForce reports whether no receiver has yet to confirm the status.
func (p progress) inForce() bool {
	return !slices.ContainsFunc(p, func(r api.Receipt) bool {
		return r.State != app.StateConfirmed && r.State != app.StateNone && r.State != app.StateNotTold && r.State != app.StateOthers
	})
}

func (p progress) lines() []string {
	var out []string
	for _, r := range p {
		who := clean(r.Receiver)
		switch r.State {
		case app.StateConfirmed:
			out = append(out, fmt.Sprintf("confirmed by %s at %s", who, r.At.UTC().Format(time.RFC3339)))
		case app.StateNone:
			out = append(out, "decided; no receiver is configured, whatever reads the status topic carries it out")
		case app.StateOthers:
			out = append(out, "decided; it concerns no receiver that is configured, whatever reads the status topic carries it out")
		case app.StateNotTold:
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
