package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"holdfast/schemas"
)

// The page has the schema that `holdfast schema change` prints, and for each status the acts
// that are sent.
func TestReferenceOfChanges(t *testing.T) {
	b := new(bytes.Buffer)
	fmt.Fprint(b, "The body of the platform's webhook. [webhook.md](../webhook.md) says what the platform does with it.\n")
	fmt.Fprint(b, "\n## Acts by status\n| entity | status | acts | inverse of each |\n|---|---|---|---|\n")
	account, address, employee := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, schemas.Entity{Kind: schemas.KindIP, ID: "192.0.2.1"}, schemas.Entity{Kind: schemas.KindEmployee, ID: "ann"}
	for _, s := range []schemas.Status{
		{Entity: account, Status: schemas.StatusThrottled}, {Entity: account, Status: schemas.StatusRevoked, Revoked: []string{"key-1", "key-2"}},
		{Entity: account, Status: schemas.StatusSuspended, Revoked: []string{"key-1"}}, {Entity: account, Status: schemas.StatusActive, PerDay: 500},
		{Entity: account, Status: schemas.StatusActive}, {Entity: address, Status: schemas.StatusBlocked}, {Entity: address, Status: schemas.StatusActive},
		{Entity: employee, Status: schemas.StatusSuspended}, {Entity: employee, Status: schemas.StatusActive},
	} {
		acts, inverses := "", ""
		for i, a := range schemas.ActsOf(&s) {
			if i > 0 {
				acts, inverses = acts+", ", inverses+", "
			}
			acts += fmt.Sprintf("`%s` %s", a.Do, a.Object)
			if a.PerDay > 0 {
				acts += fmt.Sprintf(" (%d)", a.PerDay)
			}
			if a.Inverse == "" {
				inverses += "none"
			} else {
				inverses += fmt.Sprintf("`%s`", a.Inverse)
			}
		}
		word := s.Status
		if s.PerDay > 0 {
			word += ", in probation"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", s.Entity.Kind, word, acts, inverses)
	}
	text, err := schemas.JSONSchema("change")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(b, "\n## JSON Schema\n`holdfast schema change` prints it.\n\n```json\n%s```\n", text)
	reference(t, "change.md", "What the platform is told", b.Bytes())
}

// The body that the page shows is one that the schema allows.
func TestTheWebhooksPageShowsARealBody(t *testing.T) {
	page, err := os.ReadFile("../../../deploy/docs/webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "webhook-signature: ")
	_, rest, _ = strings.Cut(rest, "\n\n")
	body, _, ok := strings.Cut(rest, "\n    }\n")
	text, err := schemas.JSONSchema("change")
	var s jsonschema.Schema
	if err := errors.Join(err, json.Unmarshal(text, &s)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	whole, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var c schemas.Change
	var shown any
	if err := errors.Join(jsonv2.Unmarshal([]byte(body+"}"), &c, jsonv2.RejectUnknownMembers(true)), json.Unmarshal([]byte(body+"}"), &shown)); err != nil {
		t.Fatal(err)
	}
	if err := whole.Validate(shown); err != nil {
		t.Error(err)
	}
	want := schemas.ActsOf(&schemas.Status{Entity: c.Entity, Status: c.Status})
	if diff := cmp.Diff(want, c.Acts); diff != "" {
		t.Error(diff)
	}
}
