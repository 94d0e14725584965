package respond_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast/alerting/casework"
	"holdfast/schemas"
)

// genLife draws what may happen to an entity, its case and its gate, as functions of the
// lane: the same ones are played to several.
func genLife(t *rapid.T, who schemas.Entity) []func(b *inbox) {
	addresses := []string{home, enemy, "", "2001:db8::66"}
	users := []string{"", "ann@example.org", "Ａnn@example.org", "ANN@EXAMPLE.ORG", "eve@example.org"}
	objects := []string{"key-1", "key-2", "mx@example.org", "hook-1", "ann@example.org", "eve@example.org", "a:b:c"}
	kinds := []string{"api_key", "smtp_password", "user_password", "mfa", "sender_domain", "ip_allowlist", "webhook"}
	changes := []string{"created", "rotated", "revoked", "reset", "enabled", "disabled", "added", "removed"}
	acts := []string{"suspend", "block", "throttle", "revoke", "release", "dismiss", "approve", "decline", "tick", "waive", "keep", "ours", "theirs",
		"verdict", "split", "reopen", "close", "protect", "unprotect", "confirm", "merge", "snooze", "unsnooze", "note"}
	at := noon
	var out []func(b *inbox)
	for i := range rapid.IntRange(1, 30).Draw(t, "records") {
		at = at.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Minute, time.Hour, 25 * time.Hour}).Draw(t, "step"))
		now, id := at, fmt.Sprintf("x%d", i)
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0, 1:
			s := sig(id, who, rapid.SampledFrom([]schemas.Family{vol, net, ins}).Draw(t, "family"), rapid.SampledFrom([]schemas.Severity{medium, high}).Draw(t, "severity"), now)
			s.Certain, s.Alone = rapid.IntRange(0, 2).Draw(t, "certain") == 0, rapid.Bool().Draw(t, "alone")
			s.Address, s.Credential = rapid.SampledFrom(addresses).Draw(t, "address"), rapid.SampledFrom([]string{"", "key-1", "key-2"}).Draw(t, "credential")
			s.Usual = int64(rapid.SampledFrom([]int{0, 5, 1000}).Draw(t, "usual"))
			out = append(out, func(b *inbox) { b.signal(s) })
		case 2:
			v := map[string]any{"id": id, "type": "credential", "time": now.Format(time.RFC3339Nano), "account": who.ID, "kind": rapid.SampledFrom(kinds).Draw(t, "kind"),
				"change": rapid.SampledFrom(changes).Draw(t, "change"), "credential": rapid.SampledFrom(objects).Draw(t, "object")}
			if u := rapid.SampledFrom(users).Draw(t, "user"); u != "" {
				v["user"] = u
			}
			if ip := rapid.SampledFrom(addresses).Draw(t, "ip"); ip != "" {
				v["ip"] = ip
			}
			out = append(out, func(b *inbox) {
				if who.Kind == schemas.KindAccount {
					b.put(schemas.KindEvent, id, who, v)
				}
			})
		case 3:
			protected := rapid.IntRange(0, 4).Draw(t, "protected") == 0
			v := map[string]any{"id": id, "type": "account", "time": now.Format(time.RFC3339Nano), "account": who.ID, "protected": protected,
				"users": []string{"ann@example.org"}, "credentials": []map[string]string{{"id": "key-1", "kind": "api_key"}}}
			out = append(out, func(b *inbox) {
				if who.Kind == schemas.KindAccount {
					b.put(schemas.KindEvent, id, who, v)
				}
			})
		case 4:
			out = append(out, func(b *inbox) {
				if c := b.lastCase(who); c != nil && !c.Next.IsZero() {
					b.put(schemas.KindRequest, id, who, schemas.Request{ID: id, Time: c.Next, Entity: who, Act: schemas.ActDue, Actor: "holdfast", From: schemas.FromHoldfast})
				}
			})
		case 5:
			ok := rapid.Bool().Draw(t, "go")
			out = append(out, func(b *inbox) {
				if n := len(b.proposals); n > 0 {
					b.answer(b.proposals[n-1], ok, !ok)
				}
			})
		default:
			act, actor := rapid.SampledFrom(acts).Draw(t, "act"), rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "who")
			item := rapid.SampledFrom([]string{"", "key-1", "key-2", "sessions", "investigation", "confirmation", "user_password:ann@example.org", "mfa:ann@example.org",
				"api_key:key-1", "person:ann", "person:bob", "policy:account-certain", home, enemy}).Draw(t, "item")
			verdict := rapid.SampledFrom([]schemas.CaseVerdict{"", "", schemas.CaseCompromised, schemas.CaseFalseAlarm, schemas.CaseExpected}).Draw(t, "verdict")
			until := rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 30 * time.Hour}).Draw(t, "until")
			out = append(out, func(b *inbox) {
				r := schemas.Request{ID: id, Time: now, Entity: who, Act: act, Actor: actor, Why: "checked", Item: item, Text: "a text", Verdict: verdict, Other: schemas.Entity{Kind: schemas.KindAccount, ID: "bea"}}
				if until > 0 {
					r.Until = now.Add(until)
				}
				if act == "split" {
					if c := b.lastCase(who); c != nil {
						r.Item = c.Decisions[len(c.Decisions)-1]
					}
				}
				b.put(schemas.KindRequest, id, who, r)
			})
		}
	}
	return out
}

// lastCase is the entity's case as it was written last, nil where there is none.
func (b *inbox) lastCase(e schemas.Entity) *schemas.Case {
	for i := len(b.outs) - 1; i >= 0; i-- {
		if o := b.outs[i]; o.Topic == schemas.TopicCasebook && o.Key == e.Key() {
			c := decode[schemas.Case](b.t, o)
			return &c
		}
	}
	return nil
}

// holdsTrue checks that the published status is what the case holds.
func (b *inbox) holdsTrue(who schemas.Entity) {
	b.t.Helper()
	c, st := b.lastCase(who), b.status[who.Key()]
	f := casework.InForce(c)
	want := map[schemas.Verdict]string{schemas.VerdictThrottle: "throttled", schemas.VerdictSuspend: "suspended", schemas.VerdictBlock: "blocked"}[f.Verdict]
	switch {
	case want == "" && len(f.Revoked) > 0:
		want = "revoked"
	case want == "" && (st.Status == "" || st.Status == "review"):
		want = st.Status
	case want == "":
		want = "active"
	}
	if st.Status != want {
		b.t.Fatalf("the status is %+v, the holds are %+v", st, c.Holds)
	}
	for _, x := range f.Revoked {
		if st.Status == "revoked" && !slices.Contains(st.Revoked, x) {
			b.t.Fatalf("%s is revoked by the case, and not by the status: %+v", x, st)
		}
	}
	if c == nil {
		return
	}
	if len(c.Holds) > 0 && (c.Stage == schemas.StageProbation || c.Stage == schemas.StageClosed) {
		b.t.Fatalf("a case in stage %s holds %+v", c.Stage, c.Holds)
	}
	if len(c.Holds) == 0 && (c.Stage == schemas.StageContained || c.Stage == schemas.StageRecovering) {
		b.t.Fatalf("a case in stage %s holds nothing", c.Stage)
	}
	if (c.Ramp != nil) != (c.Stage == schemas.StageProbation) {
		b.t.Fatalf("a case in stage %s has the ramp %+v", c.Stage, c.Ramp)
	}
}

// A lane that is restarted before every record writes the same as one that never is, at
// either feature level, and the status is always what the case holds.
func TestACaseOverRestarts(t *testing.T) {
	cfg := testConfig()
	cfg.Policies = mustPolicies(t, string(testPolicies)+lone[len("\npolicies:"):])
	rapid.Check(t, func(t *rapid.T) {
		who := rapid.SampledFrom([]schemas.Entity{alice, alice, alice, staff, addr}).Draw(t, "entity")
		life, level := genLife(t, who), rapid.SampledFrom([]string{"", `{"level":1}`}).Draw(t, "level")
		start := func() *inbox {
			b := newInbox(t, cfg)
			b.auto = false
			return b
		}
		raise := func(b *inbox) {
			if level != "" {
				if err := b.fold.Control(schemas.ControlLevel, []byte(level)); err != nil {
					t.Fatalf("level: %v", err)
				}
			}
		}
		a, z := start(), start()
		raise(a)
		for _, do := range life {
			z.restart()
			raise(z)
			do(a)
			do(z)
			a.holdsTrue(who)
			if !bytes.Equal(a.saved[who.Key()], z.saved[who.Key()]) {
				t.Fatalf("the states differ: %s", cmp.Diff(string(a.saved[who.Key()]), string(z.saved[who.Key()])))
			}
		}
		if diff := cmp.Diff(values(a.outs), values(z.outs)); diff != "" {
			t.Fatalf("outputs differ (-never restarted +always): %s", diff)
		}
		seen := map[string]string{}
		for _, o := range a.outs {
			if o.Kind != schemas.KindDecision {
				continue
			}
			if was, ok := seen[o.ID]; ok && was != string(o.Value) {
				t.Fatalf("decision %s was made twice: %s and %s", o.ID, was, o.Value)
			}
			seen[o.ID] = string(o.Value)
		}
	})
}

// In whatever order changes come within the lateness, the same is proven and as many are relapses.
func TestChangesProveTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type event struct {
			id                             string
			kind, what, object, user, from string
			at                             time.Time
		}
		var events []event
		for i := range rapid.IntRange(1, 14).Draw(t, "changes") {
			events = append(events, event{
				id: fmt.Sprint("c", i), kind: rapid.SampledFrom([]string{"api_key", "user_password", "mfa", "webhook"}).Draw(t, "kind"),
				what:   rapid.SampledFrom([]string{"created", "rotated", "revoked", "reset", "enabled", "disabled", "added", "removed"}).Draw(t, "what"),
				object: rapid.SampledFrom([]string{"key-1", "key-2", "hook-1"}).Draw(t, "object"), user: rapid.SampledFrom([]string{"", "ann@example.org", "eve@example.org"}).Draw(t, "user"),
				from: rapid.SampledFrom([]string{home, home, enemy, ""}).Draw(t, "from"), at: noon.Add(time.Duration(rapid.IntRange(-60, 500).Draw(t, "at")) * time.Second),
			})
		}
		play := func(order []event) (c schemas.Case) {
			b := newInbox(t, testConfig())
			b.put(schemas.KindEvent, "snap", alice, map[string]any{"id": "snap", "type": "account", "time": noon.Add(-24 * time.Hour).Format(time.RFC3339), "account": "alice",
				"users": []string{"ann@example.org"}, "credentials": []map[string]string{{"id": "key-1", "kind": "api_key"}}})
			b.signal(sig("v", alice, vol, high, noon.Add(-time.Hour), from(enemy)))
			b.signal(sig("a", alice, ins, high, noon, certain, from(enemy)))
			for _, e := range order {
				v := map[string]any{"id": e.id, "type": "credential", "time": e.at.Format(time.RFC3339), "account": "alice", "kind": e.kind, "change": e.what, "credential": e.object}
				if e.user != "" {
					v["user"] = e.user
				}
				if e.from != "" {
					v["ip"] = e.from
				}
				b.put(schemas.KindEvent, e.id, alice, v)
			}
			return b.theCase(alice)
		}
		sorted := slices.Clone(events)
		slices.SortStableFunc(sorted, func(a, b event) int { return a.at.Compare(b.at) })
		a, z := play(sorted), play(rapid.Permutation(events).Draw(t, "order"))
		say := func(c schemas.Case) (out []string) {
			out = append(out, fmt.Sprint("relapses ", c.Relapses))
			for _, s := range c.Steps {
				if s.Proof != nil {
					s.Proof.Found = time.Time{}
				}
				switch s.Kind {
				case schemas.StepSessions, schemas.StepInvestigation, schemas.StepConfirmation:
					s.Ignored = "" // the relapse that was heard of last
				}
				out = append(out, fmt.Sprintf("%s %+v %q", s.ID, s.Proof, s.Ignored))
			}
			slices.Sort(out)
			return out
		}
		if diff := cmp.Diff(say(a), say(z)); diff != "" {
			t.Fatalf("steps differ (-in order +as it came): %s", diff)
		}
	})
}
