package detectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
	"holdfast/schemas/goldentest"
)

// makeGolden is the state of a lane that has lived twelve days, with entities of every
// kind, sketches and a trial, and what two more days bring.
func makeGolden(t *testing.T, layout string, control ...goldentest.Value) (*goldentest.Golden, []string) {
	const days = 14
	r := newRouter(t, 1, 17)
	l := newLife(17, days)
	cut := l.start + (days-2)*msDay + 20*msHour
	many := func(i int) string { return strings.Repeat("x", i%3) + fmt.Sprint("big-", i) }
	for i := range 16 { // sketches: more distinct recipients and customers than are listed
		var to, customers []string
		for j := range 100 {
			to, customers = append(to, many(100*i+j)+"@crowd.example"), append(customers, many(100*i+j))
		}
		l.send(cut-20*msMinute+int64(i)*msMinute, acct(1), "key-acct-1", "203.0.113.77", to)
		l.add(cut-20*msMinute+int64(i)*msMinute, `"type":"access","employee":"emp-1","action":"view_pii","accounts":["%s"],"ip":"172.16.0.1"`, strings.Join(customers, `","`))
		l.add(cut-30*msMinute+int64(i)*msMinute, `"type":"connection","ip":"10.3.0.1","state":"open"`)
	}
	slices.SortStableFunc(l.out, func(a, b timed) int { return int(a.ms - b.ms) })
	installation, err := json.Marshal(schemas.Installation{ID: "golden", Lanes: 1, HashSecret: r.config.HashSecret})
	if err != nil {
		t.Fatal(err)
	}
	g := &goldentest.Golden{Layout: layout, Control: append([]goldentest.Value{
		{Key: schemas.ControlInstallation, Value: installation},
		{Key: schemas.ControlTrial, Value: trialFrom(t, time.UnixMilli(l.start+5*msDay).UTC(), deafTrial)},
	}, control...)}
	f := r.folds[0]
	for _, v := range g.Control {
		if err := f.Control(v.Key, v.Value); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range l.out {
		if e.ms < cut {
			r.event([]byte(e.data))
		}
	}
	r.run()
	for _, key := range slices.Sorted(maps.Keys(allKeys(r))) {
		if err := f.Save(key, func(key string, value []byte) {
			if value != nil {
				g.State = append(g.State, goldentest.Value{Key: key, Value: value})
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	outputs := map[string]bool{}
	offsets := map[schemas.Topic]int64{}
	for topic, log := range r.logs[0] {
		offsets[topic] = int64(len(log))
	}
	for _, e := range l.out {
		if e.ms < cut {
			continue
		}
		var ev schemas.Event
		if err := schemas.Decode([]byte(e.data), &ev); err != nil {
			t.Fatal(err)
		}
		queue := []schemas.Input{{Topic: schemas.TopicEvents, Arrival: e.ms, Kind: schemas.KindEvent, ID: ev.ID, Origin: schemas.OriginLive, Key: ev.Entity().Key(), Value: []byte(e.data)}}
		for len(queue) > 0 {
			in := queue[0]
			queue = queue[1:]
			in.Offset = offsets[in.Topic]
			offsets[in.Topic]++
			g.Inputs = append(g.Inputs, goldentest.Of(&in))
			if _, err := f.Apply(&in, func(o schemas.Output) {
				outputs[goldentest.Line(t, &o)] = true
				if o.Topic == schemas.TopicFacts {
					queue = append(queue, schemas.Input{Topic: o.Topic, Arrival: in.Arrival, Kind: o.Kind, ID: o.ID, Origin: o.Origin, Key: o.Key, Value: o.Value})
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return g, slices.Sorted(maps.Keys(outputs))
}
