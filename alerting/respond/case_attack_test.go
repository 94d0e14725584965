package respond_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

func stepOf(t *testing.T, c schemas.Case, id string) schemas.Step {
	t.Helper()
	i := slices.IndexFunc(c.Steps, func(s schemas.Step) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("no step %s: %q", id, stepIDs(c))
	}
	return c.Steps[i]
}

// walkBack goes the way back from home.
func walkBack(b *inbox) {
	for i, s := range wayBack {
		s.do(b, home, noon.Add(time.Duration(i+1)*time.Hour))
	}
}

// A policy that fires again in the next episode does not weaken its own hold meanwhile, and
// takes nothing back that was proven.
func TestAStopThatIsDecidedAgainTakesNoProofAway(t *testing.T) {
	b := compromised(t, testConfig(), false)
	b.request("tick", alice, noon.Add(time.Hour), func(r *schemas.Request) { r.Item, r.Text = "investigation", "a public repository" })
	b.change("user_password", "reset", "pw", "ann@example.org", home, noon.Add(time.Hour))
	b.signal(sig("again", alice, ins, high, noon.Add(49*time.Hour), certain, from(enemy)))
	c := b.theCase(alice)
	if len(c.Holds) != 1 || c.Holds[0].Verdict != schemas.VerdictSuspend {
		t.Errorf("holds %+v", c.Holds)
	}
	for _, id := range []string{"investigation", "user_password:ann@example.org"} {
		if s := stepOf(t, c, id); !s.Done() {
			t.Errorf("step %+v is open again", s)
		}
	}
	if b.status[alice.Key()].Status != "suspended" {
		t.Errorf("status %+v", b.status[alice.Key()])
	}
}

// However much an intruder makes, the account is not released while a part of it may stay,
// each act is one relapse, and nothing that was known at the release stops it again.
func TestAFloodOfChanges(t *testing.T) {
	b := compromised(t, testConfig(), false)
	for i := range 80 {
		b.change("webhook", "added", fmt.Sprint("flood-", i), "", enemy, noon.Add(time.Minute+time.Duration(i)*time.Second))
	}
	c := b.theCase(alice)
	if c.Relapses != 80 {
		t.Errorf("%d relapses of 80 acts", c.Relapses)
	}
	b.change("user_password", "reset", "pw", "ann@example.org", home, noon.Add(time.Hour))
	if c = b.theCase(alice); c.Relapses != 80 {
		t.Errorf("a change of the customer's makes it %d relapses", c.Relapses)
	}
	if s := stepOf(t, c, "removal:others"); s.Done() {
		t.Errorf("step %+v", s)
	}
	for _, id := range []string{"sessions", "investigation", "confirmation"} {
		stepOf(t, c, id)
	}
	b.request("release", alice, noon.Add(2*time.Hour), func(r *schemas.Request) { r.Verdict = schemas.CaseCompromised })
	b.restart()
	b.change("api_key", "rotated", "key-1", "ann@example.org", home, noon.Add(3*time.Hour))
	if st := b.status[alice.Key()]; st.Status != "active" {
		t.Errorf("the customer's own change after the release: %+v", st)
	}
}

// Steps for everything that an account can have fit into a case, with those that people end.
func TestTheLargestAccountKeepsItsLastSteps(t *testing.T) {
	b := newInbox(t, testConfig())
	var keys []map[string]string
	var users []string
	for i := range 128 {
		keys = append(keys, map[string]string{"id": fmt.Sprint("k", i), "kind": "api_key"})
		users = append(users, fmt.Sprintf("u%d@example.org", i))
	}
	b.put(schemas.KindEvent, "snap", alice, map[string]any{"id": "snap", "type": "account", "time": noon.Add(-time.Hour).Format(time.RFC3339), "account": "alice", "users": users, "credentials": keys})
	b.signal(sig("a", alice, ins, high, noon, certain, from(enemy)))
	c := b.theCase(alice)
	if len(c.Steps) != 128*3+3 {
		t.Errorf("%d steps", len(c.Steps))
	}
	for _, id := range []string{"sessions", "investigation", "confirmation"} {
		stepOf(t, c, id)
	}
}

// Who says that an old user is new does not spare them their password; keys that a user
// renews who was made inside the window are not renewed; a second factor that is reset is
// gone; and a key's reset is early like a rotation.
func TestOddChangesProveNothing(t *testing.T) {
	b := newInbox(t, testConfig())
	b.put(schemas.KindEvent, "snap", alice, map[string]any{"id": "snap", "type": "account", "time": noon.Add(-24 * time.Hour).Format(time.RFC3339), "account": "alice",
		"users": []string{"ann@example.org"}, "credentials": []map[string]string{{"id": "key-1", "kind": "api_key"}}})
	b.signal(sig("v", alice, vol, high, noon.Add(-time.Hour), from(enemy)))
	b.change("user_password", "created", "pw", "ANN@example.org", home, noon.Add(-30*time.Minute))
	b.change("user_password", "created", "pw-eve", "eve@example.org", home, noon.Add(-29*time.Minute))
	b.signal(sig("a", alice, ins, high, noon, certain, from(enemy)))
	if c := b.theCase(alice); !c.Window.From.Equal(noon.Add(-time.Hour)) {
		t.Fatalf("window %+v", c.Window)
	}
	stepOf(t, b.theCase(alice), "user_password:ann@example.org")
	b.change("api_key", "reset", "key-1", "ann@example.org", home, noon.Add(time.Minute))
	if s := stepOf(t, b.theCase(alice), "api_key:key-1"); s.Done() {
		t.Errorf("a reset before the password's: %+v", s.Proof)
	}
	b.change("user_password", "reset", "pw", "ann@example.org", home, noon.Add(2*time.Minute))
	b.change("api_key", "rotated", "key-1", "Eve@example.org", "198.51.100.7", noon.Add(3*time.Minute))
	if s := stepOf(t, b.theCase(alice), "api_key:key-1"); s.Done() || !strings.Contains(s.Ignored, "made inside the window") {
		t.Errorf("by a user of the intruder's: %+v", s)
	}
	b.change("mfa", "reset", "m", "ann@example.org", home, noon.Add(4*time.Minute))
	if s := stepOf(t, b.theCase(alice), "mfa:ann@example.org"); s.Done() {
		t.Errorf("a second factor that was reset: %+v", s.Proof)
	}
}

// Two changes with one id are two changes.
func TestAnIDThatIsUsedTwiceHidesNothing(t *testing.T) {
	b := newInbox(t, testConfig())
	b.signal(sig("v", alice, vol, high, noon.Add(-time.Hour), from(enemy)))
	for i, hook := range []string{"hook-1", "hook-2"} {
		at := noon.Add(time.Duration(i-30) * time.Minute)
		b.put(schemas.KindEvent, "same", alice, map[string]any{"id": "same", "type": "credential", "time": at.Format(time.RFC3339), "account": "alice",
			"kind": "webhook", "change": "added", "credential": hook, "ip": enemy})
	}
	b.signal(sig("a", alice, ins, high, noon, certain, from(enemy)))
	stepOf(t, b.theCase(alice), "removal:webhook:hook-1")
	stepOf(t, b.theCase(alice), "removal:webhook:hook-2")
}

// A signal that comes late widens the window: what was made in it has to go, and what came
// from the address that it names is no proof any more.
func TestALateSignalWidensTheWindow(t *testing.T) {
	b := compromised(t, testConfig(), false)
	other := "198.51.100.9"
	b.change("webhook", "added", "hook-2", "", other, noon.Add(-65*time.Minute))
	b.change("user_password", "reset", "pw", "ann@example.org", other, noon.Add(time.Minute))
	if s := stepOf(t, b.theCase(alice), "user_password:ann@example.org"); !s.Done() {
		t.Fatalf("step %+v", s)
	}
	b.signal(sig("late", alice, net, high, noon.Add(-70*time.Minute), certain, from(other)))
	c := b.theCase(alice)
	stepOf(t, c, "removal:webhook:hook-2")
	if s := stepOf(t, c, "user_password:ann@example.org"); s.Done() {
		t.Errorf("step %+v is still proven", s)
	}
}

// What the account made while one credential was revoked, and it went on, is inside the
// window of the stop that follows.
func TestAStopAfterARevocationBeginsTheWayBackAnew(t *testing.T) {
	cfg := testConfig()
	cfg.Policies = mustPolicies(t, lone)
	b := newInbox(t, cfg)
	by := func(key string) func(*schemas.Signal) {
		return func(s *schemas.Signal) { s.Credential, s.Alone = key, true }
	}
	b.signal(sig("a", alice, vol, high, noon, by("key-1")))
	b.signal(sig("b", alice, net, high, noon.Add(time.Minute), by("key-1")))
	b.change("api_key", "created", "key-7", "", "198.51.100.9", noon.Add(time.Hour))
	b.signal(sig("c", alice, net, high, noon.Add(2*time.Hour), by("key-2")))
	if s := b.status[alice.Key()]; s.Status != "suspended" {
		t.Fatalf("status %+v", s)
	}
	stepOf(t, b.theCase(alice), "removal:api_key:key-7")
}

// Where people have said that it was the customer all along, what comes from the same
// address is no relapse.
func TestAFalseAlarmHasNoRelapse(t *testing.T) {
	b := compromised(t, testConfig(), false)
	b.request("release", alice, noon.Add(time.Hour), func(r *schemas.Request) {
		r.Verdict, r.Reason = schemas.CaseExpected, "new_server"
	})
	b.change("api_key", "created", "key-9", "ann@example.org", enemy, noon.Add(2*time.Hour))
	if st, c := b.status[alice.Key()], b.theCase(alice); st.Status != "active" || c.Stage != schemas.StageClosed || c.Relapses != 0 {
		t.Errorf("status %+v, stage %s, %d relapses", st, c.Stage, c.Relapses)
	}
}

// A case that a person has opened again is stopped by a relapse like any other.
func TestARelapseOfACaseThatWasReopened(t *testing.T) {
	b := compromised(t, testConfig(), false)
	walkBack(b)
	b.request("close", alice, noon.Add(20*time.Hour))
	b.request("reopen", alice, noon.Add(21*time.Hour))
	b.change("api_key", "created", "key-9", "ann@example.org", enemy, noon.Add(22*time.Hour))
	if st, c := b.status[alice.Key()], b.theCase(alice); st.Status != "suspended" || c.Stage != schemas.StageContained || len(c.Holds) == 0 {
		t.Errorf("status %+v, stage %s, holds %+v", st, c.Stage, c.Holds)
	}
}

// A question that comes up during probation stays one until a person answers it, and the
// answer leaves probation and the case's verdict alone. The address that it was about is no
// intruder's.
func TestAQuestionDuringProbation(t *testing.T) {
	b := compromised(t, testConfig(), false)
	b.request("verdict", alice, noon.Add(time.Minute), func(r *schemas.Request) { r.Verdict = schemas.CaseCompromised })
	walkBack(b)
	server := "198.51.100.20"
	b.signal(sig("q", alice, vol, medium, noon.Add(12*time.Hour), from(server)))
	b.signal(sig("q2", alice, net, medium, noon.Add(12*time.Hour+time.Minute), from(server)))
	if st := b.status[alice.Key()]; st.Status != "review" || st.PerDay != 100 {
		t.Fatalf("status %+v", st)
	}
	b.change("api_key", "created", "key-5", "ann@example.org", server, noon.Add(13*time.Hour))
	b.due(alice, b.theCase(alice).Next)
	if st := b.status[alice.Key()]; st.Status != "review" || st.PerDay != 250 {
		t.Fatalf("after the ramp has risen: %+v", st)
	}
	if op := b.request("dismiss", alice, noon.Add(48*time.Hour)); op.Refused != "" {
		t.Fatalf("dismiss: %s", op.Refused)
	}
	c, st := b.theCase(alice), b.status[alice.Key()]
	if c.Verdict != schemas.CaseCompromised || c.Stage != schemas.StageProbation || c.Ramp.Share != 25 || st.Status != "active" || st.PerDay != 250 {
		t.Errorf("verdict %s, stage %s, ramp %+v, status %+v", c.Verdict, c.Stage, c.Ramp, st)
	}
}

// What waited for a second person and cannot be done any more waits no longer, and the case
// says so. Another spelling is no other person.
func TestApprovingTheImpossible(t *testing.T) {
	b := compromised(t, testConfig(), true)
	at := noon.Add(time.Minute)
	b.request("suspend", alice, at, func(r *schemas.Request) { r.Until = at.Add(time.Hour) })
	if op := b.request("approve", alice, at, func(r *schemas.Request) { r.Actor = " ＡNN" }); !strings.Contains(op.Refused, "another one") {
		t.Errorf("approve by another spelling: %+v", op)
	}
	if op := b.request("suspend", alice, at, func(r *schemas.Request) { r.Second = "Ann" }); op.After == "suspended" {
		t.Errorf("a second person by another spelling: %+v", op)
	}
	op := b.request("approve", alice, at.Add(2*time.Hour), func(r *schemas.Request) { r.Actor = "bob" })
	if !strings.Contains(op.Refused, "its end is not after now") || op.After == "suspended" {
		t.Errorf("approve: %+v", op)
	}
	if c := b.theCase(alice); c.Awaits != nil {
		t.Errorf("the case still waits for %+v", c.Awaits)
	}
}

// Through the customer's page nobody says that sessions have ended, and nobody says anything
// from an address of the case.
func TestTheCustomersPageIsNotTheIntruders(t *testing.T) {
	b := compromised(t, testConfig(), false)
	tick := func(item, address string) string {
		return b.request("tick", alice, noon.Add(time.Hour), func(r *schemas.Request) {
			r.Item, r.Text, r.From, r.Address = item, "it was the repository", schemas.FromCustomer, address
		}).Refused
	}
	for _, x := range []struct{ item, address, refused string }{
		{"sessions", home, "not the customer's"}, {"investigation", enemy, "an address of the case"}, {"investigation", home, ""},
	} {
		if got := tick(x.item, x.address); (x.refused == "") != (got == "") || !strings.Contains(got, x.refused) {
			t.Errorf("%s from %s: %q", x.item, x.address, got)
		}
	}
}

// An import proves steps, but releases nobody.
func TestAnImportReleasesNobody(t *testing.T) {
	b := compromised(t, testConfig(), false)
	for i, s := range wayBack {
		if s.step == "confirmation" {
			b.request("waive", alice, noon.Add(8*time.Hour), func(r *schemas.Request) { r.Item = "confirmation" })
		} else if s.step != "smtp_password:mx@example.org" {
			s.do(b, home, noon.Add(time.Duration(i+1)*time.Minute))
		}
	}
	v := []byte(`{"id":"old","type":"credential","time":"2026-03-12T18:00:00Z","account":"alice","kind":"smtp_password","change":"revoked","credential":"mx@example.org"}`)
	b.offset++
	b.apply(&schemas.Input{Topic: schemas.TopicInbox, Offset: b.offset - 1, Arrival: noon.UnixMilli(), Kind: schemas.KindEvent, ID: "old", Origin: schemas.OriginImport, Key: alice.Key(), Value: v})
	if st := b.status[alice.Key()]; st.Status != "suspended" {
		t.Errorf("status %+v", st)
	}
}

// An account that has a credential revoked can be throttled beside that; of two stops with
// an end the later one counts; one act that is done again has another id.
func TestHoldsBesideEachOther(t *testing.T) {
	b := newInbox(t, testConfig())
	b.request("revoke", alice, noon, func(r *schemas.Request) { r.Item = "key-1" })
	b.request("throttle", alice, noon)
	if st := b.status[alice.Key()]; st.Status != "throttled" || !slices.Equal(st.Revoked, []string{"key-1"}) {
		t.Fatalf("status %+v", st)
	}
	until := func(who string, d time.Duration) func(*schemas.Request) {
		return func(r *schemas.Request) { r.Actor, r.Until = who, noon.Add(d) }
	}
	b.request("suspend", alice, noon, until("bob", time.Hour))
	b.request("suspend", alice, noon, until("cid", 2*time.Hour))
	b.due(alice, noon.Add(time.Hour))
	if st := b.status[alice.Key()]; st.Status != "suspended" || !st.Until.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("status %+v", st)
	}
	b.due(alice, noon.Add(2*time.Hour))
	b.request("suspend", alice, noon.Add(3*time.Hour), until("bob", 4*time.Hour))
	if st := b.status[alice.Key()]; st.Status != "suspended" {
		t.Errorf("status %+v", st)
	}
	ids := map[string]int{}
	for _, d := range b.decisions() {
		if ids[d.ID]++; ids[d.ID] > 1 {
			t.Errorf("decision %s (%s) was made twice", d.ID, d.Verdict)
		}
	}
}

// An account with more to renew than changes are remembered gets to the end of the way back,
// and what an intruder proved is none once the address is known, however much came after.
func TestMoreProofsThanAreRemembered(t *testing.T) {
	b := newInbox(t, testConfig())
	var keys []map[string]string
	var users []string
	for i := range 120 {
		keys = append(keys, map[string]string{"id": fmt.Sprint("k", i), "kind": "api_key"})
		users = append(users, fmt.Sprintf("u%d@example.org", i))
	}
	b.put(schemas.KindEvent, "snap", alice, map[string]any{"id": "snap", "type": "account", "time": noon.Add(-time.Hour).Format(time.RFC3339), "account": "alice", "users": users, "credentials": keys})
	b.signal(sig("a", alice, ins, high, noon, certain, from(enemy)))
	unknown := "198.51.100.77"
	b.change("user_password", "reset", "pw", users[0], unknown, noon.Add(time.Second))
	at := noon
	for i := range 120 {
		at = at.Add(2 * time.Second)
		if i > 0 {
			b.change("user_password", "reset", "pw", users[i], home, at)
		}
		b.change("mfa", "enabled", "m", users[i], home, at)
		b.change("api_key", "rotated", keys[i]["id"], users[i], home, at.Add(time.Second))
	}
	c := b.theCase(alice)
	if open := len(c.Steps) - done(c); open != 3 {
		t.Errorf("%d steps are open", open)
	}
	b.request("theirs", alice, at.Add(time.Minute), func(r *schemas.Request) { r.Item = unknown })
	if s := stepOf(t, b.theCase(alice), "user_password:"+users[0]); s.Done() {
		t.Errorf("the intruder's reset proves %+v", s)
	}
}

func done(c schemas.Case) (n int) {
	for i := range c.Steps {
		if c.Steps[i].Done() {
			n++
		}
	}
	return n
}

// What was made inside the window and pushed out of memory before the stop is looked for by
// a person.
func TestAFloodBeforeTheStop(t *testing.T) {
	b := newInbox(t, testConfig())
	b.change("webhook", "added", "hook-1", "", enemy, noon)
	for i := range 200 {
		b.change("api_key", "rotated", "key-1", "", enemy, noon.Add(time.Duration(i)*time.Second))
	}
	b.signal(sig("v", alice, vol, high, noon.Add(-time.Minute), from(enemy)))
	b.signal(sig("a", alice, ins, high, noon.Add(time.Hour), certain, from(enemy)))
	if s := stepOf(t, b.theCase(alice), "removal:others"); s.Done() {
		t.Errorf("step %+v", s)
	}
}

// Between the decision and the platform's doing it the intruder may still act, from an
// address that nobody has seen.
func TestWhatIsMadeWhileTheStopIsCarriedOut(t *testing.T) {
	b := compromised(t, testConfig(), false)
	b.change("api_key", "created", "key-8", "ann@example.org", "198.51.100.9", noon.Add(2*time.Second))
	b.change("api_key", "created", "key-10", "ann@example.org", home, noon.Add(2*time.Hour))
	c := b.theCase(alice)
	stepOf(t, c, "removal:api_key:key-8")
	if c.Relapses != 0 || slices.Contains(stepIDs(c), "removal:api_key:key-10") {
		t.Errorf("%d relapses, steps %q", c.Relapses, stepIDs(c))
	}
}
