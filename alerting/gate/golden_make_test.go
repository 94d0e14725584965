package gate_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/gate"
	"holdfast/schemas"
	"holdfast/schemas/goldentest"
)

// makeGolden is the state of a gate that has counted active accounts and nineteen stops,
// and what comes after: old proposals again, two that trip the brake, a release.
func makeGolden(t *testing.T, layout string, control ...goldentest.Value) (*goldentest.Golden, []string) {
	installation, err := json.Marshal(schemas.Installation{ID: "golden", Lanes: 1, HashSecret: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	g := &goldentest.Golden{Layout: layout, Control: append([]goldentest.Value{{Key: schemas.ControlInstallation, Value: installation}}, control...)}
	f, offset, noting, outputs := gate.New(gate.Config{}), int64(0), false, map[string]bool{}
	for _, v := range g.Control {
		if err := f.Control(v.Key, v.Value); err != nil {
			t.Fatal(err)
		}
	}
	put := func(kind schemas.Kind, id string, v any) {
		value, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		in := schemas.Input{Topic: schemas.TopicProposals, Offset: offset, Kind: kind, ID: id, Key: gate.Key, Value: value}
		offset++
		if noting {
			g.Inputs = append(g.Inputs, goldentest.Of(&in))
		}
		if _, err := f.Apply(&in, func(o schemas.Output) {
			if noting {
				outputs[goldentest.Line(t, &o)] = true
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	propose := func(n int) {
		p := schemas.Proposal{ID: fmt.Sprintf("prop-%d", n), Time: noon.Add(time.Duration(n) * time.Second), Decision: fmt.Sprintf("dec-%d", n), Verdict: schemas.VerdictSuspend,
			Entity: schemas.Entity{Kind: schemas.KindAccount, ID: fmt.Sprintf("acct-%d", n)}}
		put(schemas.KindProposal, p.ID, p)
	}
	for i := range 300 {
		put(schemas.KindActive, fmt.Sprint("act-", i), schemas.Active{Account: fmt.Sprint("acct-", i), Day: 20_000 + int64(i%7)})
	}
	for n := range 19 {
		propose(n)
	}
	if err := f.Save(gate.Key, func(key string, value []byte) {
		g.State = append(g.State, goldentest.Value{Key: key, Value: value})
	}); err != nil {
		t.Fatal(err)
	}
	noting = true
	for n := range 24 {
		propose(n)
	}
	r := schemas.Request{ID: "req-1", Time: noon.Add(time.Hour), Act: gate.ActRelease, Actor: "ann", Why: "looked at"}
	put(schemas.KindRequest, r.ID, r)
	propose(30)
	return g, slices.Sorted(maps.Keys(outputs))
}
