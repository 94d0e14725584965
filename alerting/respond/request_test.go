package respond_test

import (
	"strings"
	"testing"
	"time"

	"holdfast/alerting/respond"
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
		{"suspend twice", "suspend", true, alice, nil, "suspended", "suspended already"},
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
			b := newInbox(t, respond.DefaultConfig())
			if c.stopped {
				b = stopped(t, respond.DefaultConfig())
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
	b := stopped(t, respond.DefaultConfig())
	s := b.status[alice.Key()]
	op := b.request("release", alice, noon.Add(time.Minute), func(r *schemas.Request) { r.Episode, r.Step = &s.Episode, &s.Step })
	if op.Refused != "" {
		t.Errorf("refused: %s", op.Refused)
	}
}

func TestDismissedReviewComesBackOnlyForNewSignals(t *testing.T) {
	b := newInbox(t, respond.DefaultConfig())
	b.signal(sig("a", alice, vol, high, noon))
	b.request("dismiss", alice, noon.Add(time.Minute))
	if got := b.status[alice.Key()].Status; got != "active" {
		t.Fatalf("status %q, want active", got)
	}
	b.signal(sig("b", alice, net, medium, noon.Add(2*time.Minute)))
	if got := b.status[alice.Key()].Status; got != "review" {
		t.Errorf("status %q, want review: the dismissed signal must not count", got)
	}
}

func TestSnooze(t *testing.T) {
	b := newInbox(t, respond.DefaultConfig())
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
