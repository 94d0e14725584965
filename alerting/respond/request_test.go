package respond_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

func TestRequests(t *testing.T) {
	until := func(d time.Duration) func(*schemas.Request) {
		return func(r *schemas.Request) { r.Until = noon.Add(d) }
	}
	saw := func(episode, step int) func(*schemas.Request) {
		return func(r *schemas.Request) { r.Episode, r.Step = &episode, &step }
	}
	for _, c := range []struct {
		name, act     string
		stopped       bool
		entity        schemas.Entity
		change        func(*schemas.Request)
		after, refuse string
	}{
		{"suspend by hand", "suspend", false, alice, nil, "suspended", ""},
		{"suspend an employee", "suspend", false, staff, nil, "suspended", ""},
		{"block an address", "block", false, addr, nil, "blocked", ""},
		{"block an account", "block", false, alice, nil, "active", "addresses are blocked"},
		{"suspend what a policy has suspended", "suspend", true, alice, nil, "suspended", ""},
		{"release what is active", "release", false, alice, nil, "active", "nothing to release"},
		{"dismiss what is stopped", "dismiss", true, alice, nil, "suspended", "release it instead"},
		{"snooze", "snooze", false, alice, until(time.Hour), "active", ""},
		{"snooze without an end", "snooze", false, alice, nil, "active", "no end"},
		{"confirm", "confirm", true, alice, nil, "suspended", ""},
		{"unknown", "obliterate", false, alice, nil, "active", "unknown"},
		{"no reason", "suspend", false, alice, func(r *schemas.Request) { r.Why = "" }, "active", "say why"},
		{"stale", "release", true, alice, saw(0, 0), "suspended", "changed since"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newInbox(t, testConfig())
			if c.stopped {
				b = stopped(t, testConfig())
			}
			var change []func(*schemas.Request)
			if c.change != nil {
				change = append(change, c.change)
			}
			op := b.request(c.act, c.entity, noon.Add(time.Minute), change...)
			if op.After != c.after || (c.refuse == "") != (op.Refused == "") || !strings.Contains(op.Refused, c.refuse) {
				t.Errorf("got %+v, want after %q, refused %q", op, c.after, c.refuse)
			}
		})
	}
}

func TestRequestSeesTheRightVersion(t *testing.T) {
	b := stopped(t, testConfig())
	s := b.status[alice.Key()]
	op := b.request("release", alice, noon.Add(time.Minute), func(r *schemas.Request) { r.Episode, r.Step = &s.Episode, &s.Step })
	if op.Refused != "" {
		t.Errorf("refused: %s", op.Refused)
	}
}

// What a person dismissed is answered for good: those signals never count again,
// neither by themselves, nor when they come again, nor together with new ones.
func TestDismissedReviewComesBackOnlyForNewSignals(t *testing.T) {
	b := newInbox(t, testConfig())
	old := sig("a", alice, vol, high, noon)
	b.signal(old)
	before := b.status[alice.Key()]
	b.request("dismiss", alice, noon.Add(time.Minute))
	wantStatus := func(want, why string) {
		t.Helper()
		if got := b.status[alice.Key()].Status; got != want {
			t.Fatalf("status %q, want %s: %s", got, want, why)
		}
	}
	wantStatus("active", "it was dismissed")
	b.restart()
	b.signal(old)
	wantStatus("active", "the dismissed signal came again")
	b.signal(sig("b", alice, net, low, noon.Add(2*time.Minute)))
	wantStatus("active", "a weak signal does not bring the dismissed one back")
	b.signal(sig("c", alice, net, medium, noon.Add(3*time.Minute)))
	wantStatus("review", "a new signal is enough for a review, but not with the dismissed one for a stop")
	if now := b.status[alice.Key()]; now.Episode <= before.Episode {
		t.Errorf("episode %d after %d: a reopened case is another one", now.Episode, before.Episode)
	}
	for _, r := range b.decisions()[2:] { // after the review and the dismissal
		if slices.Contains(r.Signals, "a") {
			t.Errorf("%s names the dismissed signal", r.ID)
		}
	}
	b.signal(sig("d", alice, vol, high, noon.Add(4*time.Minute)))
	wantStatus("suspended", "new signals of two families stop")
}

func TestSnooze(t *testing.T) {
	b := newInbox(t, testConfig())
	b.request("snooze", alice, noon, func(r *schemas.Request) { r.Until = noon.Add(time.Hour) })
	b.signal(sig("a", alice, ins, high, noon.Add(time.Hour), certain))
	if n := len(b.decisions()); n != 0 {
		t.Fatalf("%d decisions while snoozed", n)
	}
	b.restart()
	b.signal(sig("b", alice, ins, high, noon.Add(time.Hour+time.Second), certain))
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Errorf("status %q after the snooze, want suspended", got)
	}
}

// A snooze has a longest length, is listed by its operator record, and can be ended: then
// signals are answered again.
func TestSnoozesEnd(t *testing.T) {
	cfg := testConfig()
	cfg.SnoozeMax = 24 * time.Hour
	b := newInbox(t, cfg)
	until := func(d time.Duration) func(*schemas.Request) {
		return func(r *schemas.Request) { r.Until = r.Time.Add(d) }
	}
	if op := b.request("snooze", alice, noon, until(25*time.Hour)); !strings.Contains(op.Refused, "at most 1d ") || !op.Until.IsZero() {
		t.Errorf("too long: %+v", op)
	}
	if op := b.request("unsnooze", alice, noon); !strings.Contains(op.Refused, "not snoozed") {
		t.Errorf("nothing to end: %+v", op)
	}
	if op := b.request("snooze", alice, noon, until(24*time.Hour)); op.Refused != "" || !op.Until.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("snooze: %+v", op)
	}
	b.signal(sig("a", alice, vol, high, noon.Add(time.Minute)))
	if s := b.status[alice.Key()].Status; s != "" {
		t.Errorf("while it is snoozed the status is %q", s)
	}
	if op := b.request("unsnooze", alice, noon.Add(2*time.Minute)); op.Refused != "" {
		t.Errorf("end: %+v", op)
	}
	b.signal(sig("b", alice, vol, high, noon.Add(3*time.Minute)))
	if s := b.status[alice.Key()].Status; s != "review" {
		t.Errorf("after its end the status is %q", s)
	}
}

// A person may let one detector's signals be: the others are answered, and all of them
// again once it ends.
func TestAllowances(t *testing.T) {
	cfg := testConfig()
	cfg.SnoozeMax = 24 * time.Hour
	b := newInbox(t, cfg)
	of := func(detector string, d time.Duration) func(*schemas.Request) {
		return func(r *schemas.Request) { r.Item, r.Until = detector, r.Time.Add(d) }
	}
	first, other := sig("a", alice, vol, high, noon.Add(time.Minute)), sig("b", alice, vol, high, noon.Add(2*time.Minute))
	other.Detector = "another"
	for name, op := range map[string]schemas.Operator{
		"no detector": b.request("allow", alice, noon, of("", time.Hour)), "no end": b.request("allow", alice, noon, of("x", 0)),
		"too long": b.request("allow", alice, noon, of("x", 25*time.Hour)), "nothing to end": b.request("disallow", alice, noon, of("x", 0)),
	} {
		if op.Refused == "" {
			t.Errorf("%s was taken", name)
		}
	}
	if op := b.request("allow", alice, noon, of(first.Detector, time.Hour)); op.Refused != "" || !op.Until.Equal(noon.Add(time.Hour)) || op.Item != first.Detector {
		t.Fatalf("allow: %+v", op)
	}
	b.signal(first)
	if s := b.status[alice.Key()].Status; s != "" {
		t.Errorf("the status is %q by what is allowed", s)
	}
	b.signal(other)
	if s := b.status[alice.Key()].Status; s != "review" {
		t.Errorf("the status is %q, and another detector's signal is not allowed", s)
	}
	bob := schemas.Entity{Kind: schemas.KindAccount, ID: "bob"}
	b.request("allow", bob, noon, of(first.Detector, time.Hour))
	if op := b.request("disallow", bob, noon.Add(time.Minute), of(first.Detector, 0)); op.Refused != "" {
		t.Errorf("disallow: %+v", op)
	}
	late := sig("c", bob, vol, high, noon.Add(3*time.Minute))
	b.signal(late)
	if s := b.status[bob.Key()].Status; s != "review" {
		t.Errorf("after its end the status is %q", s)
	}
}
