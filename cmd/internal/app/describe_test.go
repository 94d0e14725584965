package app

import (
	"testing"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/history"
	"holdfast/schemas"
)

// A decision on the timeline shows the risk, and how much of it each finding is,
// also where the policy's own words leave the evidence out.
func TestDescribeDecision(t *testing.T) {
	d := schemas.Decision{
		Verdict: schemas.VerdictSuspend, Proposed: schemas.VerdictSuspend, Policy: "two", PolicyVersion: 3, Mode: schemas.ModeLive, Score: .94,
		Seen: []schemas.Seen{{Detector: "volume", Share: .7, Text: "4312 recipients"}, {Detector: "fan_out", Share: .3, Text: "14 addresses"}},
	}
	for reason, want := range map[string]string{
		"4312 recipients [70 %]; 14 addresses [30 %]": "SUSPEND by policy two v3, risk 0.940: 4312 recipients [70 %]; 14 addresses [30 %]",
		"see the runbook": "SUSPEND by policy two v3, risk 0.940 (volume 70 %, fan_out 30 %): see the runbook",
	} {
		d.Reason = reason
		body, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := Describe(history.Entry{Kind: schemas.KindDecision, Body: body}, schemas.Entity{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	d.By, d.Reason, d.Policy = "ann", "by ann: the key is on a paste site", "operator"
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := Describe(history.Entry{Kind: schemas.KindDecision, Body: body}, schemas.Entity{}); got != "SUSPEND by ann: the key is on a paste site" {
		t.Errorf("%q: people give no risk and are no policy", got)
	}
}

// What an event does not say leaves no gap in its sentence.
func TestDescribeEvent(t *testing.T) {
	e := schemas.Event{Type: schemas.TypeLogin, User: "ann", Outcome: "failure", Method: "password"}
	if got := describeEvent(&e); got != "login of ann: failure password" {
		t.Errorf("%q", got)
	}
	e.Method = ""
	if got := describeEvent(&e); got != "login of ann: failure" {
		t.Errorf("%q", got)
	}
}
