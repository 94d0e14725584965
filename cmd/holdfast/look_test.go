package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// What an attacker put into an event must never reach a terminal as a command.
func TestNothingRawIsPrinted(t *testing.T) {
	hostile := "a\x1b[2J\u009b31m\u202eb\x7f\n"
	if got := clean(hostile); strings.ContainsAny(got, "\x1b\u009b\u202e\x7f\n") {
		t.Errorf("clean left %q", got)
	}
	raw, err := json.Marshal(map[string]string{"x": hostile + "\U000e0001é"})
	if err != nil {
		t.Fatal(err)
	}
	out := escaped(raw)
	for _, r := range string(out) {
		if !isGraphic(r) {
			t.Errorf("escaped left %U in %q", r, out)
		}
	}
	var back map[string]string
	if err := json.Unmarshal(out, &back); err != nil || back["x"] != hostile+"\U000e0001é" {
		t.Errorf("escaping changed the value: %q, %v", back["x"], err)
	}
}

func TestFoldKeepsWithinTheWidth(t *testing.T) {
	got := fold("one two "+strings.Repeat("x", 25)+" three", 10)
	want := []string{"one two", "xxxxxxxxxx", "xxxxxxxxxx", "xxxxx", "three"}
	if !slices.Equal(got, want) {
		t.Errorf("folded to %q, want %q", got, want)
	}
	if got := fold("", 10); len(got) != 1 {
		t.Errorf("nothing folds to %q, want one empty line", got)
	}
}

func TestEntityAsPeopleWriteIt(t *testing.T) {
	for in, want := range map[string]string{
		"acct-1": "account:acct-1", "192.0.2.1": "ip:192.0.2.1", "2001:db8::1": "ip:2001:db8::/64", "employee:emp-1": "employee:emp-1", "ip:192.0.2.1": "ip:192.0.2.1",
		"ip:2001:db8::1": "ip:2001:db8::/64", "ip:2001:db8::/64": "ip:2001:db8::/64",
	} {
		if e, err := entity(in); err != nil || e.Key() != want {
			t.Errorf("%s is %s (%v), want %s", in, e, err, want)
		}
	}
	for _, in := range []string{"person:x", "ip:nonsense", "account:", ""} {
		if e, err := entity(in); err == nil {
			t.Errorf("%s was taken for %s", in, e)
		}
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 16, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{"": {}, "24h": now.Add(-24 * time.Hour), "2d": now.Add(-48 * time.Hour), "2026-03-01T00:00:00Z": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)} {
		if got, err := pastTime("--since", in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v (%v), want %v", in, got, err, want)
		}
	}
	if _, err := pastTime("--since", "yesterday", now); err == nil {
		t.Error("a time that is none was taken")
	}
}
