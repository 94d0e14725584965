package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/app"
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
		if got := describe(history.Entry{Kind: schemas.KindDecision, Body: body}, schemas.Entity{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	d.By, d.Reason, d.Policy = "ann", "by ann: the key is on a paste site", "operator"
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(history.Entry{Kind: schemas.KindDecision, Body: body}, schemas.Entity{}); got != "SUSPEND by ann: the key is on a paste site" {
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

// A query with quoted text, as in the README, can be put in place of the one in the printed
// command: a shell takes it as one word.
func TestPrintedCommandTakesQueriesWithQuotes(t *testing.T) {
	at := app.Endpoints{ClickHouseURL: "http://127.0.0.1:1", ReaderLogin: &app.Login{User: "reader", PasswordFile: "/nowhere/it's here", Database: "holdfast"}}
	const query = "SELECT entity FROM decisions_unique WHERE mode = 'live'"
	line := strings.Replace(curlCommand(at), "SELECT count() FROM events_unique", query, 1)
	out, err := exec.Command("sh", "-c", `cat() { :; }; curl() { for a; do :; done; printf %s "$a"; }; `+line).Output()
	if err != nil || string(out) != query {
		t.Errorf("%s runs %q, %v", line, out, err)
	}
}

func TestPhrase(t *testing.T) {
	op := schemas.Operator{Before: "review", After: "active"}
	r := schemas.Request{Entity: schemas.Entity{Kind: schemas.KindIP, ID: "192.0.2.1"}, Act: "dismiss"}
	if got := done(r, op); got != "ip:192.0.2.1: dismissed; active, before it was under review" {
		t.Errorf("%q", got)
	}
}
