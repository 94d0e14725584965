package main

import (
	"os/exec"
	"strings"
	"testing"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/app"
	"holdfast/schemas"
)

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

func TestOutcome(t *testing.T) {
	o := api.ActOut{Done: true, Act: "dismiss", Entity: schemas.Entity{Kind: schemas.KindIP, ID: "192.0.2.1"}, Before: "review", After: "active"}
	if got := outcome(o); got != "ip:192.0.2.1: dismissed; active, before it was under review" {
		t.Errorf("%q", got)
	}
}
