package detectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

func input(offset int64, key, data string) *schemas.Input {
	return &schemas.Input{Topic: schemas.TopicEvents, Offset: offset, Kind: schemas.KindEvent, ID: fmt.Sprint("e", offset),
		Origin: schemas.OriginLive, Source: "test", Key: key, Value: []byte(data)}
}

func sendAt(id, at string) string {
	return fmt.Sprintf(`{"id":%q,"type":"send","account":"a","time":%q,"recipients":["x@y.example"]}`, id, at)
}

func TestApplyRefusesWithoutChangingAnything(t *testing.T) {
	good := sendAt("1", "2026-03-02T10:00:00Z")
	fact := func(name, entity string) []byte {
		kind, id, _ := strings.Cut(entity, ":")
		b, _ := json.Marshal(schemas.Fact{Name: name, Entity: schemas.Entity{Kind: schemas.EntityKind(kind), ID: id}, Employee: "e", Account: "a"})
		return b
	}
	cases := []struct {
		name   string
		in     schemas.Input
		reason schemas.Reason
	}{
		{"not JSON", *input(0, "account:a", `{"id"`), schemas.ReasonNotJSON},
		{"another entity's key", *input(0, "account:b", good), schemas.ReasonWrongKey},
		{"no entity's key", *input(0, "a", good), schemas.ReasonWrongKey},
		{"from the future", schemas.Input{Topic: schemas.TopicEvents, Kind: schemas.KindEvent, Key: "account:a", Value: []byte(good), Arrival: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMilli()}, schemas.ReasonFuture},
		{"no kind", schemas.Input{Topic: schemas.TopicEvents, Key: "account:a", Value: []byte(good)}, schemas.ReasonNoEnvelope},
		{"a fact that is none", schemas.Input{Topic: schemas.TopicFacts, Kind: schemas.KindMember, Key: "account:a", Value: []byte("[")}, schemas.ReasonNotJSON},
		{"an unknown fact", schemas.Input{Topic: schemas.TopicFacts, Kind: schemas.KindMember, Key: "account:a", Value: fact("gossip", "account:a")}, schemas.ReasonUnknownType},
		{"a fact for another kind", schemas.Input{Topic: schemas.TopicFacts, Kind: schemas.KindMember, Key: "ip:192.0.2.1", Value: fact(factSeen, "ip:192.0.2.1")}, schemas.ReasonUnknownType},
		{"a fact for somebody else", schemas.Input{Topic: schemas.TopicFacts, Kind: schemas.KindMember, Key: "account:b", Value: fact(factSeen, "account:a")}, schemas.ReasonWrongKey},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := New(Config{Lanes: 1})
			touched, err := e.Apply(&c.in, func(out schemas.Output) { t.Errorf("emitted %+v", out) })
			var refused *schemas.Error
			if !errors.As(err, &refused) || refused.Reason != c.reason || touched {
				t.Fatalf("touched %v, error %v, want reason %s", touched, err, c.reason)
			}
			for kind, n := range e.Entities() {
				if n != 0 {
					t.Errorf("%d entities of kind %s are left", n, kind)
				}
			}
		})
	}
}

func TestEventsThatAreHandedOnAndCounted(t *testing.T) {
	e := New(Config{Lanes: 1})
	var out []schemas.Output
	emit := func(o schemas.Output) { out = append(out, o) }
	apply := func(in *schemas.Input) bool {
		t.Helper()
		touched, err := e.Apply(in, emit)
		if err != nil {
			t.Fatal(err)
		}
		return touched
	}
	snapshot := `{"id":"e0","type":"account","account":"a","time":"2026-03-02T10:00:00Z","plan":"flex","unknown":1}`
	apply(input(0, "account:a", snapshot))
	i := slices.IndexFunc(out, func(o schemas.Output) bool { return o.Kind == schemas.KindEvent })
	if i < 0 || out[i].Topic != schemas.TopicInbox || string(out[i].Value) != snapshot || out[i].ID != "e0" || out[i].Source != "test" {
		t.Errorf("a snapshot was handed on as %+v", out)
	}
	i = slices.IndexFunc(out, func(o schemas.Output) bool { return o.Kind == schemas.KindActive })
	if i < 0 || out[i].Topic != schemas.TopicProposals || out[i].Key != "gate" || !strings.Contains(string(out[i].Value), `"account":"a"`) {
		t.Errorf("the gate was told %+v", out)
	}
	out = nil
	apply(input(1, "account:a", sendAt("e1", "2026-03-02T10:05:00Z")))
	if len(out) != 0 {
		t.Errorf("a second event of the day emitted %+v", out)
	}
	if apply(input(1, "account:a", sendAt("e1", "2026-03-02T10:05:00Z"))) || e.Stats().Skipped != 1 {
		t.Error("a record that is part of the state was folded again")
	}
	double := input(2, "account:a", sendAt("e1", "2026-03-02T10:05:00Z"))
	double.Duplicate = true
	if apply(double) || e.Stats().Duplicates != 1 {
		t.Error("a duplicate was scored")
	}
	apply(input(3, "account:a", sendAt("e3", "2026-03-02T09:54:59Z")))
	if e.Stats().Late != 1 {
		t.Errorf("an event ten minutes and a second behind its account's clock: %+v", e.Stats())
	}
	apply(input(4, "account:a", sendAt("e4", "2026-03-03T00:01:00Z")))
	apply(input(5, "account:a", sendAt("e5", "2026-03-02T23:55:00Z")))
	days := 0
	for _, o := range out {
		if o.Kind == schemas.KindActive {
			days++
		}
	}
	if days != 1 {
		t.Errorf("%d more days reported as active, want the third of March once", days)
	}
}

func TestParametersHoldFromTheirTime(t *testing.T) {
	e := New(Config{Lanes: 1})
	value := `{"versions":[{"from":"2026-01-01T00:00:00Z","value":{"volume":{"cohort_1h":1000}}},
		{"from":"2026-03-02T11:00:00Z","value":{"volume":{"cohort_1h":2},"cohorts":{"scale":7}}}]}`
	if err := e.Control(schemas.ControlParameters, []byte(value)); err != nil {
		t.Fatal(err)
	}
	var signals []string
	emit := func(o schemas.Output) {
		if o.Kind == schemas.KindSignal {
			signals = append(signals, o.ID)
		}
	}
	for i, at := range []string{"10:50:00", "10:51:00", "10:52:00", "11:01:00", "10:55:00", "11:02:00"} {
		if _, err := e.Apply(input(int64(i), "account:a", sendAt(fmt.Sprint("e", i), "2026-03-02T"+at+"Z")), emit); err != nil {
			t.Fatal(err)
		}
	}
	// floor_1h keeps the small window quiet whatever the cohort says; the ceiling is looked up all the same.
	if len(signals) != 0 {
		t.Errorf("below the floor: %v", signals)
	}
	eleven := time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC).UnixMilli()
	if a, b := e.versions.at(eleven-1).Volume.Cohort1h, e.versions.at(eleven).Volume.Cohort1h; a != 1000 || b != 2 {
		t.Errorf("before %g, from then on %g", a, b)
	}
}

// A lane reads control in the order of its compacted topic, which may be any.
func TestControlComesInAnyOrder(t *testing.T) {
	installation, err := json.Marshal(schemas.Installation{ID: "i", Lanes: 1, HashSecret: secret})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]byte{schemas.ControlInstallation: installation, schemas.ControlPolicies: []byte("ignored"),
		schemas.ControlParameters: []byte(`{"versions":[{"from":"2026-01-01T00:00:00Z","value":{"volume":{"cohort_1h":9},"cohorts":{"scale":7}}}]}`)}
	for _, order := range [][]string{
		{schemas.ControlInstallation, schemas.ControlParameters, schemas.ControlPolicies},
		{schemas.ControlPolicies, schemas.ControlParameters, schemas.ControlInstallation},
	} {
		e := New(Config{Lanes: 1})
		for _, key := range order {
			if err := e.Control(key, values[key]); err != nil {
				t.Fatal(err)
			}
		}
		p := e.versions.at(0)
		if p.Volume.Cohort1h != 9 || p.cohorts[planPrint(e.hasher, "scale")] != 7 || e.hasher != New(Config{HashSecret: secret}).hasher {
			t.Errorf("%v: parameters %+v", order, p)
		}
	}
}

func TestParametersThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct{ value, says string }{
		{`{"volume":{"florr_1h":3}}`, `no parameter "florr_1h"`},
		{`{"volumes":{}}`, `no detector "volumes"`},
		{`{"volume":{"floor_1h":-3}}`, "floor_1h is -3, not 1 to"},
		{`{"volume":{"floor_1h":"3"}}`, "parameters"},
		{`{"cohorts":{"free":0}}`, "cohorts.free is 0"},
	} {
		if _, err := ParseParameters([]byte(c.value), New(Config{}).hasher); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.value, err, c.says)
		}
		e := New(Config{Lanes: 1, Parameters: []byte(c.value)})
		if _, err := e.Apply(input(0, "account:a", sendAt("e", "2026-03-02T10:00:00Z")), func(schemas.Output) {}); err == nil {
			t.Errorf("%s: the engine works with parameters that it cannot read", c.value)
		}
	}
	for _, value := range []string{`{}`, `[`, `{"versions":[{"from":"2026-01-02T00:00:00Z","value":{}},{"from":"2026-01-01T00:00:00Z","value":{}}]}`} {
		if err := New(Config{}).Control(schemas.ControlParameters, []byte(value)); err == nil {
			t.Errorf("%s was accepted as a control value", value)
		}
	}
}

func TestSpecsDeclareWhatTheyUse(t *testing.T) {
	for _, s := range Specs() {
		if s.Name == "" || s.Version < 1 || s.Family == "" || !strings.HasPrefix(s.Technique, "T") {
			t.Errorf("%+v is incomplete", s)
		}
		for _, p := range s.Parameters {
			if p.Unit == "" || p.Source == "" || p.Default < p.Min || p.Default > p.Max {
				t.Errorf("%s.%s is incomplete or its default is out of range", s.Name, p.Name)
			}
		}
	}
}

// Whatever is aimed at one account, its state stays within its cap.
func TestOneAccountStaysBounded(t *testing.T) {
	e := New(Config{Lanes: 1, HashSecret: secret})
	n := 0
	largest := 0
	for h := range 60 {
		for i := range 40 {
			var list strings.Builder
			for j := range 500 {
				if j > 0 {
					list.WriteByte(',')
				}
				n++
				fmt.Fprintf(&list, `"u%d@sub%d.x.example"`, n, n)
			}
			at := time.Date(2026, 3, 12, 0, i, 0, 0, time.UTC).Add(time.Duration(h) * time.Hour).Format(time.RFC3339)
			data := fmt.Sprintf(`{"id":"e%d-%d","type":"send","account":"a","credential":"k%d","ip":"10.%d.%d.1","time":%q,"recipients":[%s]}`, h, i, i, h, i, at, list.String())
			if _, err := e.Apply(input(int64(h*100+i), "account:a", data), func(schemas.Output) {}); err != nil {
				t.Fatal(err)
			}
		}
		err := e.Save("account:a", func(_ string, v []byte) { largest = max(largest, len(v)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if largest > schemas.MaxState || e.store.InUse() > schemas.MaxState {
		t.Errorf("%d bytes saved, %d held", largest, e.store.InUse())
	}
	t.Logf("%d recipients, %d bytes saved at most, %d held", n, largest, e.store.InUse())
}

// A connection through a NAT64 gateway of the operator's own is the IPv4 address's, as
// intake found it, and no one's where intake found none.
func TestConnectionsThroughOwnNAT64(t *testing.T) {
	const data = `{"id":"1","type":"connection","time":"2026-03-02T10:00:00Z","ip":"2001:db8:64::198.51.100.7","state":"open"}`
	for key, four := range map[string]string{"ip:198.51.100.7": "198.51.100.7", "ip:2001:db8:64::/64": ""} {
		for _, found := range []string{"198.51.100.7", ""} {
			in := input(0, key, data)
			in.Network.IPv4 = found
			touched, err := New(Config{Lanes: 1}).Apply(in, func(schemas.Output) {})
			if ok := found == four; touched != ok || (err == nil) != ok {
				t.Errorf("%s, found %q: touched %v, %v", key, found, touched, err)
			}
		}
	}
}

// A connection through NAT64 is the IPv4 address's. What an earlier version keyed by the
// /64 is taken too.
func TestConnectionsThroughNAT64(t *testing.T) {
	const data = `{"id":"1","type":"connection","time":"2026-03-02T10:00:00Z","ip":"64:ff9b::198.51.100.7","state":"open"}`
	for key, ok := range map[string]bool{"ip:198.51.100.7": true, "ip:64:ff9b::/64": true, "ip:198.51.100.8": false, "ip:64:ff9b:1::/64": false} {
		touched, err := New(Config{Lanes: 1}).Apply(input(0, key, data), func(schemas.Output) {})
		if touched != ok || (err == nil) != ok {
			t.Errorf("%s: touched %v, %v", key, touched, err)
		}
	}
	var e schemas.Event
	if err := schemas.Decode([]byte(data), &e); err != nil || string(e.AppendKey(nil)) != "ip:198.51.100.7" {
		t.Errorf("intake keys it by %s, %v", e.AppendKey(nil), err)
	}
}
