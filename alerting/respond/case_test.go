package respond_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// theCase is the entity's case as it was written last.
func (b *inbox) theCase(e schemas.Entity) schemas.Case {
	b.t.Helper()
	var c schemas.Case
	for _, o := range b.outs {
		if o.Topic == schemas.TopicCasebook && o.Key == e.Key() {
			c = decode[schemas.Case](b.t, o)
		}
	}
	if c.ID == "" {
		b.t.Fatalf("%s has no case", e)
	}
	return c
}

// change is a credential event of alice's.
func (b *inbox) change(kind, what, object, user, ip string, at time.Time) {
	b.t.Helper()
	id := fmt.Sprintf("cred-%d", b.offset)
	v := map[string]any{"id": id, "type": "credential", "time": at.Format(time.RFC3339), "account": "alice", "kind": kind, "change": what, "credential": object, "actor": "customer"}
	if user != "" {
		v["user"] = user
	}
	if ip != "" {
		v["ip"] = ip
	}
	b.put(schemas.KindEvent, id, alice, v)
}

const (
	home  = "192.0.2.10"
	enemy = "203.0.113.66"
)

func from(address string) func(*schemas.Signal) {
	return func(s *schemas.Signal) { s.Address, s.Credential, s.Usual = address, "key-1", 1000 }
}

// compromised is alice's account, stopped at noon: one API key, one SMTP password, one
// user; inside the window somebody made key-2 and a webhook.
func compromised(t *testing.T, cfg respond.Config, protected bool) *inbox {
	b := newInbox(t, cfg)
	b.put(schemas.KindEvent, "snap", alice, map[string]any{
		"id": "snap", "type": "account", "time": noon.Add(-24 * time.Hour).Format(time.RFC3339), "account": "alice", "protected": protected,
		"users": []string{"ann@example.org"}, "domains": []string{"example.org"},
		"credentials": []map[string]string{{"id": "key-1", "kind": "api_key"}, {"id": "mx@example.org", "kind": "smtp_password"}},
		"contacts":    []map[string]string{{"email": "owner@example.com", "role": "owner"}},
	})
	b.signal(sig("v", alice, vol, high, noon.Add(-time.Hour), from(enemy)))
	b.change("api_key", "created", "key-2", "ann@example.org", enemy, noon.Add(-30*time.Minute))
	b.change("webhook", "added", "hook-1", "", enemy, noon.Add(-20*time.Minute))
	b.change("webhook", "added", "hook-0", "", home, noon.Add(-3*time.Hour)) // before the window
	b.signal(sig("a", alice, ins, high, noon, certain, from(enemy)))
	return b
}

// wayBack are the steps of the compromised account in the order in which they are gone.
var wayBack = []struct {
	step string
	do   func(b *inbox, address string, at time.Time)
}{
	{"sessions", func(b *inbox, _ string, at time.Time) {
		b.request("tick", alice, at, func(r *schemas.Request) { r.Item, r.From, r.Text = "sessions", schemas.FromHoldfast, "confirmed" })
	}},
	{"investigation", func(b *inbox, _ string, at time.Time) {
		b.request("tick", alice, at, func(r *schemas.Request) { r.Item, r.Text = "investigation", "the key was in a public repository" })
	}},
	{"user_password:ann@example.org", func(b *inbox, ip string, at time.Time) {
		b.change("user_password", "reset", "pw-ann", "Ann@example.org", ip, at)
	}},
	{"mfa:ann@example.org", func(b *inbox, ip string, at time.Time) {
		b.change("mfa", "enabled", "mfa-ann", "ann@example.org", ip, at)
	}},
	{"removal:webhook:hook-1", func(b *inbox, ip string, at time.Time) { b.change("webhook", "removed", "hook-1", "", ip, at) }},
	{"removal:api_key:key-2", func(b *inbox, ip string, at time.Time) {
		b.change("api_key", "revoked", "key-2", "ann@example.org", ip, at)
	}},
	{"api_key:key-1", func(b *inbox, ip string, at time.Time) {
		b.change("api_key", "rotated", "key-1", "ann@example.org", ip, at)
	}},
	{"smtp_password:mx@example.org", func(b *inbox, ip string, at time.Time) {
		b.change("smtp_password", "rotated", "mx@example.org", "ann@example.org", ip, at)
	}},
	{"confirmation", func(b *inbox, _ string, at time.Time) {
		b.request("tick", alice, at, func(r *schemas.Request) { r.Item, r.From = "confirmation", schemas.FromCustomer })
	}},
}

func stepIDs(c schemas.Case) (ids []string) {
	for _, s := range c.Steps {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

// A leaked key from its stop to closing: every step is derived, proven by an event or a
// person, and only then is the account released, on probation.
func TestTheWayBack(t *testing.T) {
	b := compromised(t, testConfig(), false)
	c := b.theCase(alice)
	var want []string
	for _, s := range wayBack {
		want = append(want, s.step)
	}
	slices.Sort(want)
	if got := stepIDs(c); !slices.Equal(got, want) {
		t.Fatalf("steps %q, want %q", got, want)
	}
	if c.Stage != schemas.StageContained || len(c.Holds) != 1 || c.Holds[0].Verdict != schemas.VerdictSuspend || c.Holds[0].Owner != "policy:account-certain" {
		t.Fatalf("case %+v", c)
	}
	if len(c.Made) != 2 || c.Made[0].ID != "key-2" || c.Made[1].ID != "hook-1" {
		t.Errorf("made inside the window: %+v", c.Made)
	}
	if w := c.Window; !w.From.Equal(noon.Add(-time.Hour)) && !w.From.Equal(noon) || w.Confidence != "high" {
		t.Errorf("window %+v", w)
	}
	for i, s := range wayBack {
		if got := b.status[alice.Key()]; got.Status != "suspended" || got.Case != c.ID {
			t.Fatalf("before step %s the status is %+v", s.step, got)
		}
		s.do(b, home, noon.Add(time.Duration(i+1)*time.Hour))
		b.restart()
	}
	got := b.status[alice.Key()]
	if got.Status != "active" || got.PerDay != 100 {
		t.Fatalf("at the end the status is %+v", got)
	}
	c = b.theCase(alice)
	if c.Stage != schemas.StageProbation || c.Ramp.Share != 10 || c.Next.IsZero() {
		t.Fatalf("case %+v", c)
	}
	// The ramp rises by the day and ends by itself.
	for _, want := range []struct {
		perDay int64
		stage  schemas.Stage
	}{{250, "probation"}, {500, "probation"}, {1000, "probation"}, {0, "closed"}} {
		b.due(alice, c.Next)
		c = b.theCase(alice)
		if got := b.status[alice.Key()]; got.PerDay != want.perDay || got.Status != "active" || c.Stage != want.stage {
			t.Errorf("limit %d in stage %s, want %+v", got.PerDay, c.Stage, want)
		}
	}
	if !c.Next.IsZero() {
		t.Errorf("a closed case waits for %s", c.Next)
	}
}

// due tells the entity that a time has come.
func (b *inbox) due(e schemas.Entity, at time.Time) {
	b.t.Helper()
	r := schemas.Request{ID: fmt.Sprintf("due-%d", b.offset), Time: at, Entity: e, Act: "due", Actor: "holdfast", From: schemas.FromHoldfast}
	b.put(schemas.KindRequest, r.ID, e, r)
}

// Whichever step is left out, the account stays stopped.
func TestSkippingAnyStepDoesNotRelease(t *testing.T) {
	for skipped := range wayBack {
		t.Run(wayBack[skipped].step, func(t *testing.T) {
			b := compromised(t, testConfig(), false)
			for i, s := range wayBack {
				if i != skipped && (s.step != "confirmation" || skipped == len(wayBack)-1) {
					s.do(b, home, noon.Add(time.Duration(i+1)*time.Hour))
				}
			}
			op := b.request("tick", alice, noon.Add(12*time.Hour), func(r *schemas.Request) { r.Item, r.From = "confirmation", schemas.FromCustomer })
			if got := b.status[alice.Key()].Status; skipped < len(wayBack)-1 && (got != "suspended" || !strings.Contains(op.Refused, wayBack[skipped].step)) {
				t.Errorf("status %q; confirming: %q", got, op.Refused)
			}
		})
	}
}

// The same events from the intruder's address prove nothing, and are a relapse.
func TestTheIntrudersEventsProveNothing(t *testing.T) {
	b := compromised(t, testConfig(), false)
	for i, s := range wayBack {
		if s.step != "confirmation" {
			s.do(b, enemy, noon.Add(time.Duration(i+1)*time.Hour))
		}
	}
	c := b.theCase(alice)
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Fatalf("status %q", got)
	}
	if c.Stage != schemas.StageContained || c.Relapses == 0 {
		t.Errorf("stage %s, %d relapses", c.Stage, c.Relapses)
	}
	for _, s := range c.Steps {
		if s.Done() {
			t.Errorf("step %s is proven by %+v", s.ID, s.Proof)
		}
	}
}

// After the release an act from the intruder's address stops the account again and opens
// the same case.
func TestARelapseOpensTheSameCase(t *testing.T) {
	b := compromised(t, testConfig(), false)
	for i, s := range wayBack {
		s.do(b, home, noon.Add(time.Duration(i+1)*time.Hour))
	}
	before := b.theCase(alice)
	b.change("api_key", "created", "key-9", "ann@example.org", enemy, noon.Add(20*time.Hour))
	c := b.theCase(alice)
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Fatalf("status %q", got)
	}
	if c.ID != before.ID || c.Stage != schemas.StageContained || c.Relapses != 1 {
		t.Errorf("case %s in stage %s with %d relapses", c.ID, c.Stage, c.Relapses)
	}
	if !slices.Contains(stepIDs(c), "removal:api_key:key-9") || !slices.Contains(stepIDs(c), "api_key:key-1") {
		t.Errorf("steps %q", stepIDs(c))
	}
	for _, s := range c.Steps {
		if s.Done() {
			t.Errorf("step %s is done by what was done before: %+v", s.ID, s.Proof)
		}
	}
}

// What is proven does not depend on the order in which the events arrive.
func TestProofsDoNotDependOnTheOrder(t *testing.T) {
	run := func(order []int) schemas.Case {
		b := compromised(t, testConfig(), false)
		for _, i := range order {
			if s := wayBack[i]; i >= 2 && i < len(wayBack)-1 {
				s.do(b, home, noon.Add(time.Duration(i+1)*time.Minute))
			}
		}
		// A rotation before the password was reset does not count.
		return b.theCase(alice)
	}
	a, z := run([]int{2, 3, 4, 5, 6, 7}), run([]int{7, 6, 5, 4, 3, 2})
	for i := range a.Steps {
		if a.Steps[i].Done() != z.Steps[i].Done() {
			t.Errorf("step %s: %v and %v", a.Steps[i].ID, a.Steps[i].Proof, z.Steps[i].Proof)
		}
	}
	if a.Stage != schemas.StageRecovering {
		t.Errorf("stage %s", a.Stage)
	}
}

func TestAKeyThatIsRotatedBeforeThePasswordDoesNotCount(t *testing.T) {
	b := compromised(t, testConfig(), false)
	b.change("api_key", "rotated", "key-1", "ann@example.org", home, noon.Add(time.Minute))
	b.change("user_password", "reset", "pw", "ann@example.org", home, noon.Add(2*time.Minute))
	step := func() schemas.Step {
		c := b.theCase(alice)
		return c.Steps[slices.IndexFunc(c.Steps, func(s schemas.Step) bool { return s.ID == "api_key:key-1" })]
	}
	if s := step(); s.Done() || !strings.Contains(s.Ignored, "before the password") {
		t.Errorf("step %+v", s)
	}
	b.change("api_key", "rotated", "key-1", "ann@example.org", home, noon.Add(3*time.Minute))
	if s := step(); !s.Done() {
		t.Errorf("step %+v", s)
	}
}

// A protected account is released by two people.
func TestProtectedAccountsNeedTwoPeople(t *testing.T) {
	b := compromised(t, testConfig(), true)
	by := func(who string) func(*schemas.Request) { return func(r *schemas.Request) { r.Actor = who } }
	at := noon.Add(time.Minute)
	if op := b.request("suspend", alice, at, by("ann")); !op.Awaits || op.Refused != "" || op.After != "review" {
		t.Fatalf("suspend: %+v", op)
	}
	b.restart()
	if op := b.request("approve", alice, at, by("ann")); !strings.Contains(op.Refused, "another one") {
		t.Fatalf("approve by the same: %+v", op)
	}
	if op := b.request("approve", alice, at, by("bob")); op.Refused != "" || op.After != "suspended" {
		t.Fatalf("approve: %+v", op)
	}
	if c := b.theCase(alice); len(c.Holds) != 1 || c.Holds[0].Owner != "person:ann" {
		t.Errorf("holds %+v", c.Holds)
	}
	if op := b.request("release", alice, at, by("ann")); !op.Awaits || op.After != "suspended" {
		t.Fatalf("release: %+v", op)
	}
	b.due(alice, b.theCase(alice).Next)
	if op := b.request("approve", alice, noon.Add(48*time.Hour), by("bob")); !strings.Contains(op.Refused, "nothing waits") {
		t.Errorf("approve what expired: %+v", op)
	}
}

// What a person holds stays when the way back is complete; the automatic hold goes.
func TestAPersonsStopIsLiftedByAPerson(t *testing.T) {
	b := compromised(t, testConfig(), false)
	b.request("suspend", alice, noon.Add(time.Minute), func(r *schemas.Request) { r.Actor = "bob" })
	for i, s := range wayBack {
		s.do(b, home, noon.Add(time.Duration(i+1)*time.Hour))
	}
	c := b.theCase(alice)
	if got := b.status[alice.Key()].Status; got != "suspended" || len(c.Holds) != 1 || c.Holds[0].Owner != "person:bob" {
		t.Fatalf("status %q, holds %+v", got, c.Holds)
	}
	if op := b.request("release", alice, noon.Add(24*time.Hour)); op.After != "active" {
		t.Errorf("release: %+v", op)
	}
}

// A stop with an end falls back to what else is in force.
func TestHoldsEnd(t *testing.T) {
	b := newInbox(t, testConfig())
	b.request("throttle", alice, noon)
	b.request("suspend", alice, noon, func(r *schemas.Request) { r.Actor, r.Until = "bob", noon.Add(time.Hour) })
	if s := b.status[alice.Key()]; s.Status != "suspended" || !s.Until.Equal(noon.Add(time.Hour)) {
		t.Fatalf("status %+v", s)
	}
	b.due(alice, noon.Add(59*time.Minute))
	if s := b.status[alice.Key()]; s.Status != "suspended" {
		t.Fatalf("before the end: %+v", s)
	}
	b.due(alice, noon.Add(time.Hour))
	if s := b.status[alice.Key()]; s.Status != "throttled" {
		t.Fatalf("after the end: %+v", s)
	}
	if op := b.request("release", alice, noon.Add(2*time.Hour), func(r *schemas.Request) { r.Item = "person:ann" }); op.After != "active" {
		t.Errorf("release: %+v", op)
	}
}

// One credential is revoked and the account goes on; another one is revoked beside it; a
// stop is above both.
func TestRevoke(t *testing.T) {
	b := newInbox(t, testConfig())
	item := func(x string) func(*schemas.Request) { return func(r *schemas.Request) { r.Item = x } }
	b.request("revoke", alice, noon, item("key-1"))
	if s := b.status[alice.Key()]; s.Status != "revoked" || !slices.Equal(s.Revoked, []string{"key-1"}) {
		t.Fatalf("status %+v", s)
	}
	if op := b.request("revoke", alice, noon, item("key-1")); !strings.Contains(op.Refused, "revoked already") {
		t.Errorf("again: %+v", op)
	}
	b.request("revoke", alice, noon, item("key-2"))
	if s := b.status[alice.Key()]; s.Status != "revoked" || !slices.Equal(s.Revoked, []string{"key-1", "key-2"}) {
		t.Fatalf("status %+v", s)
	}
	b.request("suspend", alice, noon)
	if s := b.status[alice.Key()]; s.Status != "suspended" || len(s.Revoked) != 2 {
		t.Fatalf("status %+v", s)
	}
	ids := map[string]int{}
	for _, d := range b.decisions() {
		ids[d.ID]++
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("decision %s was made %d times", id, n)
		}
	}
}

const lone = `
policies:
  - {name: two, entity: account, verdict: suspend, when_alone: revoke, when: families >= 2, floor: {any: 1}}
`

// Where one credential is clearly the guilty one it alone is revoked; when another joins in
// the account is suspended.
func TestOneGuiltyCredentialIsRevoked(t *testing.T) {
	cfg := testConfig()
	cfg.Policies = mustPolicies(t, lone)
	b := newInbox(t, cfg)
	by := func(key string) func(*schemas.Signal) {
		return func(s *schemas.Signal) { s.Credential, s.Alone = key, true }
	}
	b.signal(sig("a", alice, vol, high, noon, by("key-1")))
	b.signal(sig("b", alice, net, high, noon.Add(time.Minute), by("key-1")))
	s := b.status[alice.Key()]
	if s.Status != "revoked" || !slices.Equal(s.Revoked, []string{"key-1"}) {
		t.Fatalf("status %+v", s)
	}
	if c := b.theCase(alice); len(c.Holds) != 1 || c.Holds[0].Object != "key-1" || c.Stage != schemas.StageContained || len(c.Steps) == 0 {
		t.Errorf("case %+v", c)
	}
	b.restart()
	b.signal(sig("c", alice, net, high, noon.Add(time.Hour), by("key-1")))
	if s := b.status[alice.Key()]; s.Status != "revoked" {
		t.Fatalf("more of the same: %+v", s)
	}
	b.signal(sig("d", alice, net, high, noon.Add(2*time.Hour), by("key-2")))
	if s := b.status[alice.Key()]; s.Status != "suspended" {
		t.Fatalf("another credential: %+v", s)
	}
}
