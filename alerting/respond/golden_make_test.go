package respond_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/respond"
	"holdfast/schemas"
	"holdfast/schemas/goldentest"
)

// golden plays an inbox and notes what comes in from some moment on.
type golden struct {
	t       *testing.T
	fold    *respond.Fold
	g       *goldentest.Golden
	offset  int64
	noting  bool
	outputs map[string]bool
	waiting map[string]schemas.Proposal // by entity
}

func (b *golden) put(kind schemas.Kind, id string, e schemas.Entity, v any) {
	b.t.Helper()
	value, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	in := schemas.Input{Topic: schemas.TopicInbox, Offset: b.offset, Arrival: noon.UnixMilli() + b.offset*1000, Kind: kind, ID: id, Origin: schemas.OriginLive, Key: e.Key(), Value: value}
	b.offset++
	if b.noting {
		b.g.Inputs = append(b.g.Inputs, goldentest.Of(&in))
	}
	if _, err := b.fold.Apply(&in, func(o schemas.Output) {
		if b.noting {
			b.outputs[goldentest.Line(b.t, &o)] = true
		}
		if o.Kind == schemas.KindProposal {
			p := decode[schemas.Proposal](b.t, o)
			b.waiting[p.Entity.Key()] = p
		}
	}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *golden) signal(s schemas.Signal) { b.put(schemas.KindSignal, s.ID, s.Entity, s) }

func (b *golden) onTrial(s schemas.Signal) {
	s.ID, s.Mode, s.Trial = schemas.OfTrial(s.ID, "floor"), schemas.ModeShadow, "floor"
	b.put(schemas.KindTrial, s.ID, s.Entity, s)
}

func (b *golden) answer(e schemas.Entity, ok bool) {
	p, waits := b.waiting[e.Key()]
	if !waits {
		return // its policies want more
	}
	a := schemas.Answer{ID: schemas.DeriveID("ans", p.ID), Time: p.Time, Entity: p.Entity, Decision: p.Decision, Go: ok, Reason: "too many"}
	b.put(schemas.KindAnswer, a.ID, p.Entity, a)
}

func (b *golden) request(act string, e schemas.Entity, at time.Time, until time.Time) {
	r := schemas.Request{ID: fmt.Sprintf("req-%d", b.offset), Time: at, Entity: e, Act: act, Actor: "ann", Why: "checked", Text: "looked at", Until: until}
	b.put(schemas.KindRequest, r.ID, e, r)
}

func (b *golden) snapshot(id string, protected bool) {
	value := fmt.Sprintf(`{"id":"snap-%s-%d","type":"account","time":%q,"account":%q,"status":"active","plan":"flex","users":["u@example.org"],"credentials":[{"id":"k1","kind":"api_key"},{"id":"m1","kind":"smtp_password"}],"contacts":[{"email":"owner@%s.example","role":"owner"}],"protected":%v}`,
		id, b.offset, noon.Add(time.Duration(b.offset)*time.Second).Format(time.RFC3339), id, id, protected)
	b.event(schemas.Entity{Kind: schemas.KindAccount, ID: id}, value)
}

func (b *golden) event(e schemas.Entity, value string) {
	b.t.Helper()
	in := schemas.Input{Topic: schemas.TopicInbox, Offset: b.offset, Arrival: noon.UnixMilli() + b.offset*1000, Kind: schemas.KindEvent, ID: fmt.Sprint("event-", b.offset), Origin: schemas.OriginLive, Key: e.Key(), Value: []byte(value)}
	b.offset++
	if _, err := b.fold.Apply(&in, func(schemas.Output) {}); err != nil {
		b.t.Fatal(err)
	}
}

// makeGolden is the state of a lane with entities in every standing, and what comes
// after: the answers that were awaited, more signals, old ones again, people's requests.
func makeGolden(t *testing.T, layout string, control ...goldentest.Value) (*goldentest.Golden, []string) {
	text, err := json.Marshal(string(testPolicies))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := json.Marshal(schemas.Versioned{Versions: []schemas.Version{{From: long, Value: text}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &golden{t: t, fold: respond.New(respond.DefaultConfig()), outputs: map[string]bool{}, waiting: map[string]schemas.Proposal{}}
	b.g = &goldentest.Golden{Layout: layout, Control: append([]goldentest.Value{
		{Key: schemas.ControlPolicies, Value: policies}, {Key: schemas.ControlTrial, Value: trialsOf(t, long, "floor")},
	}, control...)}
	for _, v := range b.g.Control {
		if err := b.fold.Control(v.Key, v.Value); err != nil {
			t.Fatal(err)
		}
	}
	of := func(id string) schemas.Entity { return schemas.Entity{Kind: schemas.KindAccount, ID: id} }
	all := []schemas.Entity{addr, staff}
	for i, id := range []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace"} {
		all = append(all, of(id))
		b.snapshot(id, id == "frank")
		b.signal(sig("v-"+id, of(id), vol, high, noon.Add(time.Duration(i)*time.Minute), func(s *schemas.Signal) { s.Credential = "key-" + id }))
	}
	b.request("snooze", of("dave"), noon.Add(10*time.Minute), noon.Add(5*time.Hour))
	for i, id := range []string{"alice", "bob", "carol", "dave", "erin", "frank"} {
		b.signal(sig("n-"+id, of(id), net, medium, noon.Add(time.Duration(20+i)*time.Minute)))
		b.onTrial(sig("t-"+id, of(id), vol, high, noon.Add(time.Duration(20+i)*time.Minute)))
	}
	b.answer(of("alice"), true)
	b.answer(of("carol"), true)
	b.answer(of("erin"), false) // braked
	b.request("release", of("carol"), noon.Add(40*time.Minute), time.Time{})
	for _, id := range []string{"alice", "bob"} {
		for i, change := range []string{`"kind":"user_password","change":"reset","credential":"p","user":"u@example.org"`, `"kind":"api_key","change":"created","credential":"k2"`} {
			b.event(of(id), fmt.Sprintf(`{"id":"change-%s-%d","type":"credential","time":%q,"account":%q,"actor":"customer","ip":"192.0.2.9",%s}`,
				id, i, noon.Add(time.Duration(30+i)*time.Minute).Format(time.RFC3339), id, change))
		}
	}
	b.request("note", of("alice"), noon.Add(41*time.Minute), time.Time{})
	b.request("protect", of("grace"), noon.Add(41*time.Minute), time.Time{})
	b.signal(sig("ip", addr, schemas.FamilySource, high, noon, certain))
	b.signal(sig("staff", staff, schemas.FamilyInsider, high, noon, certain))
	b.signal(sig("old", of("grace"), net, medium, noon.Add(-9*time.Hour), imported))
	incident := schemas.Entity{Kind: schemas.KindIncident, ID: "inc-1"}
	for i, r := range []schemas.Request{
		{Act: "incident_open", Item: "employee:emp-1", Text: "emp-1 was phished"}, {Act: "incident_join", Item: "account:alice"}, {Act: "incident_campaign", Text: "k1\nm1\n"},
	} {
		r.ID, r.Time, r.Entity, r.Actor, r.Why = fmt.Sprint("inc-", i), noon.Add(42*time.Minute), incident, "ann", "checked"
		b.put(schemas.KindRequest, r.ID, incident, r)
	}
	for _, e := range append(slices.Clone(all), incident) {
		if err := b.fold.Save(e.Key(), func(key string, value []byte) {
			if value != nil {
				b.g.State = append(b.g.State, goldentest.Value{Key: key, Value: value})
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.noting = true
	b.answer(of("bob"), true) // awaited all the while
	b.answer(addr, true)
	b.answer(staff, true)
	for i, e := range all {
		b.signal(sig("v-"+e.ID, e, vol, high, noon.Add(time.Duration(i)*time.Minute))) // known already
		b.signal(sig("more-"+e.ID, e, net, high, noon.Add(time.Duration(60+i)*time.Minute), certain))
		b.onTrial(sig("t-"+e.ID, e, vol, high, noon.Add(20*time.Minute)))
		b.onTrial(sig("tn-"+e.ID, e, net, medium, noon.Add(time.Hour)))
	}
	for _, e := range all {
		if _, ok := b.waiting[e.Key()]; ok {
			b.answer(e, true)
		}
	}
	b.request("release", of("alice"), noon.Add(3*time.Hour), time.Time{})
	b.request("incident_note", incident, noon.Add(3*time.Hour), time.Time{})
	b.request("suspend", of("grace"), noon.Add(3*time.Hour), time.Time{})
	for i, e := range all {
		b.signal(sig("last-"+e.ID, e, schemas.FamilyIdentity, medium, noon.Add(time.Duration(7*60+i)*time.Minute)))
	}
	return b.g, slices.Sorted(maps.Keys(b.outputs))
}
