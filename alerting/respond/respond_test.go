package respond_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/policy"
	"holdfast/alerting/respond"
	"holdfast/schemas"
)

const (
	vol = schemas.FamilyVolume
	net = schemas.FamilyNetwork
	cre = schemas.FamilyCredential
	ins = schemas.FamilyInsider
	src = schemas.FamilySource

	low    = schemas.SeverityLow
	medium = schemas.SeverityMedium
	high   = schemas.SeverityHigh
)

// TestVerdicts shows, signal by signal, what policies make of them.
func TestVerdicts(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for _, c := range []struct {
		name    string
		signals []schemas.Signal
		want    []string
		status  string
	}{
		{"a weak signal does nothing", []schemas.Signal{sig("a", alice, vol, low, noon)}, nil, ""},
		{"one signal is reviewed", []schemas.Signal{sig("a", alice, vol, high, noon)}, []string{"account-review review"}, "review"},
		{"one family is never enough", []schemas.Signal{sig("a", alice, vol, high, noon), sig("b", alice, vol, high, at(time.Minute))},
			[]string{"account-review review"}, "review"},
		{"two families stop", []schemas.Signal{sig("a", alice, vol, high, noon), sig("b", alice, net, medium, at(time.Hour))},
			[]string{"account-review review", "account-two-families throttle", "account-two-families suspend"}, "suspended"},
		{"two families too far apart", []schemas.Signal{sig("a", alice, vol, high, noon), sig("b", alice, net, medium, at(25*time.Hour))},
			[]string{"account-review review"}, "review"},
		{"a review is given again in the next 48 hours", []schemas.Signal{sig("a", alice, vol, high, noon), sig("b", alice, vol, high, at(49*time.Hour))},
			[]string{"account-review review", "account-review review"}, "review"},
		{"a certain signal stops", []schemas.Signal{sig("a", alice, ins, high, noon, certain)},
			[]string{"account-certain throttle", "account-certain suspend", "account-review review→observe"}, "suspended"},
		{"a signal on the short list is certain", []schemas.Signal{sig("a", alice, ins, high, noon, func(s *schemas.Signal) { s.Detector = "exposed_key" })},
			[]string{"account-certain throttle", "account-certain suspend", "account-review review→observe"}, "suspended"},
		{"below the floor", []schemas.Signal{
			sig("a", alice, vol, high, noon, observed(49)), sig("b", alice, net, medium, noon, func(s *schemas.Signal) { s.Evidence.Unit = "addresses" })},
			[]string{"account-review review"}, "review"},
		{"an import stops nobody", []schemas.Signal{sig("a", alice, ins, high, noon, certain, imported)},
			[]string{"account-certain suspend history", "account-review review history"}, ""},
		{"what arrived too late stops nobody", []schemas.Signal{sig("a", alice, ins, high, noon, certain, lateBy(6*time.Hour+time.Second))},
			[]string{"account-certain suspend history", "account-review review history"}, ""},
		{"what arrived just in time stops", []schemas.Signal{sig("a", alice, ins, high, noon, certain, lateBy(6*time.Hour))},
			[]string{"account-certain throttle", "account-certain suspend", "account-review review→observe"}, "suspended"},
		{"history does not join live", []schemas.Signal{sig("a", alice, vol, high, noon, imported), sig("b", alice, net, medium, noon)},
			[]string{"account-review review history", "account-review review"}, "review"},
		{"an employee", []schemas.Signal{sig("a", staff, ins, high, noon, func(s *schemas.Signal) { s.Detector, s.Evidence.Unit, s.Evidence.Observed = "reach", "customers", 120 })},
			[]string{"employee-certain throttle", "employee-certain suspend", "employee-review review→observe"}, "suspended"},
		{"an employee's bulk read is reviewed", []schemas.Signal{sig("a", staff, ins, high, noon, func(s *schemas.Signal) { s.Detector, s.Evidence.Unit = "reach", "customers" })},
			[]string{"employee-review review"}, "review"},
		{"an address is not throttled", []schemas.Signal{sig("a", addr, src, high, noon, certain)},
			[]string{"address-certain block", "address-review review→observe"}, "blocked"},
		{"a doubled signal", []schemas.Signal{sig("a", alice, vol, high, noon), sig("a", alice, vol, high, noon)}, []string{"account-review review"}, "review"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newInbox(t, testConfig())
			for _, s := range c.signals {
				b.signal(s)
			}
			// An address waits for the gate, so its stop comes after its review.
			if got := b.verdicts(); !sameSet(got, c.want) {
				t.Errorf("decisions: %s", cmp.Diff(c.want, got))
			}
			if got := b.status[c.signals[0].Entity.Key()].Status; got != c.status {
				t.Errorf("status %q, want %q", got, c.status)
			}
		})
	}
}

func observed(n float64) func(*schemas.Signal) {
	return func(s *schemas.Signal) { s.Evidence.Observed = n }
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, x := range a {
		count[strings.ReplaceAll(x, "→observe", "")]++
	}
	for _, x := range b {
		count[strings.ReplaceAll(x, "→observe", "")]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func stopped(t *testing.T, cfg respond.Config) *inbox {
	b := newInbox(t, cfg)
	b.signal(sig("a", alice, ins, high, noon, certain))
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Fatalf("status %q, want suspended", got)
	}
	return b
}

func TestGateGo(t *testing.T) {
	b := newInbox(t, testConfig())
	b.auto = false
	b.signal(sig("a", alice, ins, high, noon, certain))
	if got := b.status[alice.Key()].Status; got != "throttled" {
		t.Fatalf("while the gate is asked the status is %q, want throttled", got)
	}
	if len(b.proposals) != 1 {
		t.Fatalf("%d proposals, want 1", len(b.proposals))
	}
	b.restart()
	b.answer(b.proposals[0], true, false)
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Fatalf("after go the status is %q, want suspended", got)
	}
	b.answer(b.proposals[0], true, false) // twice changes nothing
	if n := len(b.of(schemas.KindStatus)); n != 2 {
		t.Errorf("%d status records, want 2", n)
	}
}

func TestGateBraked(t *testing.T) {
	b := newInbox(t, testConfig())
	b.auto = false
	b.signal(sig("a", alice, ins, high, noon, certain))
	b.answer(b.proposals[0], false, true)
	if got := b.status[alice.Key()].Status; got != "throttled" {
		t.Errorf("status %q, want throttled", got)
	}
	var braked bool
	for _, r := range b.decisions() {
		if r.Braked && r.Proposed == schemas.VerdictSuspend {
			braked = r.Verdict == schemas.VerdictThrottle && r.Page
		}
	}
	if !braked {
		t.Errorf("no braked decision that pages: %v", b.verdicts())
	}
	if got := strings.Join(b.verdicts(), ","); !strings.Contains(got, "account-review review") {
		t.Errorf("no review in %s", got)
	}
}

func TestReleaseOvertakesTheGate(t *testing.T) {
	b := newInbox(t, testConfig())
	b.auto = false
	b.signal(sig("a", alice, ins, high, noon, certain))
	if op := b.request("release", alice, noon.Add(time.Second)); op.Refused != "" || op.Before != "throttled" || op.After != "active" {
		t.Fatalf("release: %+v", op)
	}
	b.answer(b.proposals[0], true, false)
	if got := b.status[alice.Key()].Status; got != "active" {
		t.Errorf("status %q: the answer stopped a released account", got)
	}
}

func TestReleaseEndsTheEpisode(t *testing.T) {
	b := stopped(t, testConfig())
	first := b.status[alice.Key()]
	if op := b.request("release", alice, noon.Add(time.Hour)); op.Before != "suspended" || op.After != "active" || op.Refused != "" {
		t.Fatalf("release: %+v", op)
	}
	if s := b.status[alice.Key()]; s.Episode <= first.Episode || s.By != "ann" {
		t.Errorf("status after release: %+v, before: %+v", s, first)
	}
	n := len(b.decisions())
	b.restart()
	b.signal(sig("a", alice, ins, high, noon, certain))
	if len(b.decisions()) != n {
		t.Errorf("the same signal was answered again: %v", b.verdicts()[n:])
	}
	b.signal(sig("b", alice, ins, high, noon.Add(2*time.Hour), certain))
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Errorf("a new signal after the release: status %q, want suspended", got)
	}
	if ids := b.ids(); len(ids) != len(b.decisions()) {
		t.Errorf("decision ids repeat between episodes: %v", b.verdicts())
	}
}

func TestAStoppedAccountThatGoesOnIsStoppedAgain(t *testing.T) {
	b := stopped(t, testConfig())
	n := len(b.decisions())
	b.signal(sig("b", alice, ins, high, noon.Add(72*time.Hour), certain))
	var again int
	for _, r := range b.decisions()[n:] {
		if r.Verdict == schemas.VerdictSuspend && r.Status != nil && r.Again {
			again++
		}
	}
	if again != 1 || len(b.proposals) != 1 {
		t.Errorf("%d repeated stops, want 1; %d proposals, want the first alone", again, len(b.proposals))
	}
}

const allowing = `
allow:
  - entity: account:alice
    detectors: [d-volume]
    until: 2026-03-12T12:00:00Z
    reason: a launch that they told us of
policies:
  - {name: look, entity: account, verdict: review, when: severity >= low}
`

func TestAllowList(t *testing.T) {
	cfg := testConfig()
	cfg.Policies = mustPolicies(t, allowing)
	b := newInbox(t, cfg)
	b.signal(sig("a", alice, vol, high, noon))
	if n := len(b.decisions()); n != 0 {
		t.Fatalf("%d decisions on an allowed signal", n)
	}
	b.signal(sig("b", alice, vol, high, noon.Add(time.Second)))
	if n := len(b.decisions()); n != 1 {
		t.Errorf("%d decisions after the entry ended, want 1", n)
	}
}

func TestProtectedAccountsAreReviewed(t *testing.T) {
	b := newInbox(t, testConfig())
	snapshot(b, noon, true, "owner@example.com")
	b.signal(sig("a", alice, ins, high, noon, certain))
	if got := b.status[alice.Key()].Status; got != "review" || len(b.proposals) != 0 {
		t.Errorf("status %q, %d proposals", got, len(b.proposals))
	}
	r := b.decisions()[0]
	if r.Proposed != schemas.VerdictSuspend || r.Verdict != schemas.VerdictReview || len(r.Contacts) != 1 {
		t.Errorf("decision %+v", r)
	}
}

func snapshot(b *inbox, at time.Time, protected bool, email string) {
	id := fmt.Sprintf("snap-%d", b.offset)
	b.put(schemas.KindEvent, id, alice, map[string]any{
		"id": id, "type": "account", "time": at.Format(time.RFC3339), "account": "alice", "protected": protected,
		"contacts": []map[string]string{{"email": email, "role": "owner"}},
	})
}

func TestNewestSnapshotWins(t *testing.T) {
	b := newInbox(t, testConfig())
	snapshot(b, noon, false, "new@example.com")
	snapshot(b, noon.Add(-time.Hour), true, "old@example.com")
	b.signal(sig("a", alice, ins, high, noon, certain))
	for _, r := range b.decisions() {
		if r.Verdict == schemas.VerdictSuspend && r.Contacts[0].Email != "new@example.com" {
			t.Errorf("contacts %v", r.Contacts)
		}
	}
	if got := b.status[alice.Key()].Status; got != "suspended" {
		t.Errorf("status %q, want suspended", got)
	}
}

const shadowed = `
policies:
  - {name: try, entity: account, mode: shadow, verdict: suspend, when: certain, floor: {any: 1}}
`

func TestShadowDecidesAndDoesNothing(t *testing.T) {
	cfg := testConfig()
	cfg.Policies = mustPolicies(t, shadowed)
	b := newInbox(t, cfg)
	b.signal(sig("a", alice, ins, high, noon, certain))
	if diff := cmp.Diff([]string{"try suspend shadow"}, b.verdicts()); diff != "" {
		t.Error(diff)
	}
	if len(b.status) != 0 || len(b.proposals) != 0 {
		t.Errorf("a shadow policy published %v, proposed %v", b.status, b.proposals)
	}
}

func TestPoliciesFromControl(t *testing.T) {
	later := noon.Add(time.Hour)
	text, err := json.Marshal(strings.Replace(shadowed, "mode: shadow,", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	shadow, err := json.Marshal(shadowed)
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(schemas.Versioned{Versions: []schemas.Version{{From: noon.Add(-time.Hour), Value: shadow}, {From: later, Value: text}}})
	if err != nil {
		t.Fatal(err)
	}
	b := newInbox(t, testConfig())
	if err := b.fold.Control(schemas.ControlPolicies, value); err != nil {
		t.Fatal(err)
	}
	if err := b.fold.Control(schemas.ControlPolicies, []byte(`{"versions":[{"from":"2026-01-01T00:00:00Z","value":"policies: 3"}]}`)); err == nil {
		t.Error("bad policies were taken")
	}
	b.signal(sig("a", alice, ins, high, noon, certain))
	b.signal(sig("b", alice, ins, high, later, certain))
	want := []string{"try suspend shadow", "try throttle", "try suspend"}
	if diff := cmp.Diff(want, b.verdicts()); diff != "" {
		t.Errorf("each signal must use the version of its time: %s", diff)
	}
}

func TestNoticeTellsNoNumber(t *testing.T) {
	b := newInbox(t, testConfig())
	b.signal(sig("a", alice, vol, high, noon))
	b.signal(sig("b", alice, net, high, noon))
	for _, r := range b.decisions() {
		if strings.ContainsAny(r.NoticeReason, "0123456789") || strings.Contains(r.NoticeReason, "evidence of") {
			t.Errorf("notice reason %q", r.NoticeReason)
		}
		if !strings.Contains(r.Reason, "evidence of") {
			t.Errorf("reason %q names no evidence", r.Reason)
		}
	}
}

func TestBadRecordsChangeNothing(t *testing.T) {
	f := respond.New(testConfig())
	for _, in := range []schemas.Input{
		{Kind: schemas.KindSignal, Key: "account:alice", Value: []byte(`{`)},
		{Kind: schemas.KindSignal, Key: "account:bob", Value: []byte(`{"id":"a","time":"2026-01-01T00:00:00Z","entity":{"kind":"account","id":"alice"}}`)},
		{Kind: schemas.KindSignal, Key: "account:alice", Value: []byte(`{"id":"a","entity":{"kind":"account","id":"alice"}}`)},
		{Kind: schemas.KindRequest, Key: "account:alice", Value: []byte(`{"entity":{"kind":"account","id":"alice"}}`)},
		{Kind: schemas.KindAnswer, Key: "account:alice", Value: []byte(`[]`)},
		{Kind: schemas.KindEvent, Key: "account:alice", Value: []byte(`{"id":"x"}`)},
		{Kind: "song", Key: "account:alice"},
		{Kind: schemas.KindSignal, Key: "nobody"},
	} {
		touched, err := f.Apply(&in, func(o schemas.Output) { t.Errorf("%s: emitted %s", in.Value, o.Kind) })
		if err == nil || touched {
			t.Errorf("%s %s: touched %v, error %v", in.Kind, in.Value, touched, err)
		}
	}
	if f.Len() != 0 {
		t.Errorf("%d entities are known", f.Len())
	}
}

func TestStateStaysBounded(t *testing.T) {
	b := newInbox(t, testConfig())
	long := strings.Repeat("é", 10_000)
	for i := range 1200 {
		b.signal(sig(fmt.Sprintf("s-%d-%s", i, strings.Repeat("x", 90)), alice, schemas.Family(fmt.Sprintf("f%d", i)), high, noon.Add(time.Duration(i)*time.Second), func(s *schemas.Signal) {
			s.Evidence.Text, s.Credential = long, fmt.Sprintf("key-%d", i)
		}))
	}
	if n := len(b.saved[alice.Key()]); n > 128<<10 {
		t.Errorf("the state has %d bytes", n)
	}
}

func BenchmarkSignal(b *testing.B) {
	f := respond.New(testConfig())
	value, err := json.Marshal(sig("a", alice, vol, high, noon))
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		in := schemas.Input{Offset: int64(i), Kind: schemas.KindSignal, ID: "a", Key: fmt.Sprintf("account:%d", i%1000), Value: []byte(strings.Replace(string(value), `"id":"alice"`, fmt.Sprintf(`"id":"%d"`, i%1000), 1))}
		if _, err := f.Apply(&in, func(schemas.Output) {}); err != nil {
			b.Fatal(err)
		}
	}
	_ = policy.Default()
}

// TestReviewedForWorse shows that people who look at an account already are called
// again for something graver, and only for that.
func TestReviewedForWorse(t *testing.T) {
	guessed := func(s *schemas.Signal) { s.Detector, s.Family = "takeover", schemas.FamilyIdentity }
	guesses := sig("a", alice, schemas.FamilyIdentity, high, noon, guessed)
	success := sig("b", alice, schemas.FamilyIdentity, schemas.SeverityCritical, noon.Add(7*time.Minute), guessed)
	for _, c := range []struct {
		name    string
		signals []schemas.Signal
		want    []string
	}{
		{"guesses, then a success", []schemas.Signal{guesses, success}, []string{"account-review review", "account-guessed review"}},
		{"both at once", []schemas.Signal{success, guesses}, []string{"account-review review", "account-guessed review→observe"}},
		{"twice as grave", []schemas.Signal{guesses, success, sig("c", alice, schemas.FamilyIdentity, schemas.SeverityCritical, noon.Add(time.Hour), guessed)},
			[]string{"account-review review", "account-guessed review"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newInbox(t, parsed(policy.DefaultFile()))
			for _, s := range c.signals {
				b.signal(s)
			}
			if got := b.verdicts(); !cmp.Equal(got, c.want) {
				t.Errorf("decisions: %s", cmp.Diff(c.want, got))
			}
			if got := b.status[alice.Key()].Status; got != "review" {
				t.Errorf("status %q, want review", got)
			}
		})
	}
}
