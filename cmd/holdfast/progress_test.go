package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/app"
	"holdfast/schemas"
)

// A receiver counts where it was asked for the status that stands, and only there.
func TestProgressNamesWhomTheStatusConcerns(t *testing.T) {
	at := time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	st := schemas.Status{Entity: schemas.Entity{Kind: "account", ID: "a"}, Status: "throttled", Episode: 1, Step: 2, Decision: "dec_2"}
	now, before := enforce.MarkOf(&st, at), enforce.Mark{Decision: "dec_1", Status: "active", Episode: 1, Step: 1}
	for name, c := range map[string]struct {
		receivers map[string]*enforce.Receipt
		want      []string
	}{
		"nobody is configured": {nil, []string{"decided; no receiver is configured"}},
		"it concerns nobody":   {map[string]*enforce.Receipt{"ses": {Confirmed: &before}}, []string{"decided; it concerns no receiver"}},
		"it concerns one":      {map[string]*enforce.Receipt{"ses": {Confirmed: &before}, "platform": {Confirmed: &now}}, []string{"confirmed by platform at"}},
		"one waits":            {map[string]*enforce.Receipt{"ses": {}, "platform": {Pending: []string{"dec_2"}}}, []string{"decided, not confirmed yet by platform"}},
	} {
		p := progress(app.Receipts(st, &enforce.State{Entity: st.Entity, Last: now, Receivers: c.receivers}))
		if got := p.lines(); !slices.EqualFunc(got, c.want, strings.HasPrefix) || p.inForce() != (name != "one waits") {
			t.Errorf("%s: %q, in force %v", name, got, p.inForce())
		}
	}
}

func TestTheStatusNamesItsActs(t *testing.T) {
	st := &schemas.Status{Entity: schemas.Entity{Kind: "account", ID: "a"}, Status: "active", Revoked: []string{"key\x1b1"}, PerDay: 100}
	want := []string{"act       release account:a", `act       revoke_credential key\x1b1 (undone by restore_credential)`, "act       set_limit account:a, 100 recipients a day (undone by release)"}
	if got := inForce(st); len(got) != 3 || got[0] != want[0] || got[2] != want[2] || strings.Contains(got[1], "\x1b") || !strings.Contains(got[1], "restore_credential") {
		t.Errorf("%q", got)
	}
}
