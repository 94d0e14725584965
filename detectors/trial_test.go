package detectors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// trialFrom is the control value of one trial from a time on; later versions follow
// as pairs of time and value.
func trialFrom(t testing.TB, at time.Time, value string, later ...any) []byte {
	v := schemas.Versioned{Versions: []schemas.Version{{From: at, Value: jsontext.Value(value)}}}
	for i := 0; i < len(later); i += 2 {
		v.Versions = append(v.Versions, schemas.Version{From: later[i].(time.Time), Value: jsontext.Value(later[i+1].(string))})
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var always = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// deafTrial has numbers by which volume is told of sooner and new sources hardly ever.
const deafTrial = `{"name": "other", "parameters": {"volume": {"floor_1h": 15, "rarity": 1e-3}, "new_source": {"floor": 500}}}`

// liveAs gives the signals of an engine that judges by a trial's numbers live, as the
// trial would say them.
func liveAs(r *router, trial string, since time.Time) map[string]schemas.Signal {
	out := map[string]schemas.Signal{}
	for id, s := range r.signals {
		if s.Time.Before(since) {
			continue
		}
		s.ID, s.Mode, s.Trial = schemas.OfTrial(id, trial), schemas.ModeShadow, trial
		out[s.ID] = s
	}
	return out
}

func sameTried(t *testing.T, name string, want, got map[string]schemas.Signal) {
	t.Helper()
	for id, s := range want {
		if _, ok := got[id]; !ok {
			t.Errorf("%s: the trial lost %s %s/%d at %s: %s", name, s.Entity, s.Detector, s.Level, s.Time, s.Evidence.Text)
		}
	}
	for id, s := range got {
		if _, ok := want[id]; !ok {
			t.Errorf("%s: extra on trial: %s %s/%d at %s: %s", name, s.Entity, s.Detector, s.Level, s.Time, s.Evidence.Text)
		}
		if s.Mode != schemas.ModeShadow || s.Trial == "" {
			t.Errorf("%s: %s is of mode %q, trial %q", name, id, s.Mode, s.Trial)
		}
	}
}

// A trial leaves everything that is live as it is, to the byte. With the live numbers
// it finds what is found live; with others something else; and its signals are the
// same wherever lanes are cut, whatever comes twice or in another order, over any
// number of lanes.
func TestTrialBesideTheLiveEngine(t *testing.T) {
	differ := 0
	for seed := range seeds() / 6 {
		events := newLife(seed+300, 18).out
		run := func(lanes int, events []timed, trial string, change func(*router)) *router {
			return play(t, events, lanes, seed, func(r *router) {
				r.networks = lifeNetworks
				r.parameters(lifeParameters)
				if trial != "" {
					r.trial = trialFrom(t, always, trial)
				}
				if change != nil {
					change(r)
				}
			})
		}
		plain := run(1, events, "", nil)
		equal := run(1, events, `{"name": "equal"}`, nil)
		sameTried(t, fmt.Sprintf("seed %d, the live numbers", seed), liveAs(plain, "equal", always), equal.tried)
		other := run(1, events, deafTrial, nil)
		for _, r := range []*router{equal, other} {
			if !slices.Equal(plain.order, r.order) {
				t.Fatalf("seed %d: a trial changed the live signals", seed)
			}
			for out := range plain.outputs {
				if !r.outputs[out] {
					t.Errorf("seed %d: beside a trial the output %s is missing", seed, out)
				}
			}
			for key := range allKeys(plain) {
				if a, b := stateOf(t, plain.engines[0], key), stateOf(t, r.engines[0], key); !slices.Equal(a, b) {
					t.Errorf("seed %d: beside a trial the live state of %s differs", seed, key)
				}
			}
			if extra := len(r.outputs) - len(plain.outputs); extra != len(r.tried) {
				t.Errorf("seed %d: %d outputs beside the live ones, %d signals on trial", seed, extra, len(r.tried))
			}
		}
		if len(other.tried) != len(plain.signals) {
			differ++
		}
		rng := rand.New(rand.NewPCG(seed, 8))
		for name, r := range map[string]*router{
			"cut":     run(1, events, deafTrial, func(r *router) { r.cut = 0.004 }),
			"doubled": run(1, doubled(events, rng), deafTrial, nil),
			"all of it": run(4, doubled(shuffled(events, rng), rng), deafTrial, func(r *router) {
				r.delay, r.cut = true, 0.002
			}),
		} {
			sameTried(t, fmt.Sprintf("seed %d, %s", seed, name), other.tried, r.tried)
			same(t, fmt.Sprintf("seed %d, live, %s", seed, name), plain, r)
		}
		if t.Failed() {
			return
		}
	}
	if differ == 0 {
		t.Error("the trial's numbers changed nothing in any life: the test shows too little")
	}
}

// A trial that begins in the middle of an account's life knows its past: it finds
// what an engine finds whose numbers were changed at that time. It begins where the
// lane is cut and restored just as well, and what it knew goes when it ends.
func TestTrialBeginsWithThePastAndEnds(t *testing.T) {
	for seed := range seeds() / 6 {
		events := newLife(seed+900, 20).out
		mid := time.UnixMilli(events[0].ms).Add(12 * 24 * time.Hour).UTC()
		const numbers = `{"volume": {"floor_1h": 15, "rarity": 1e-3}}`
		changed := play(t, events, 1, seed, func(r *router) {
			r.networks = lifeNetworks
			err := r.engines[0].Control(schemas.ControlParameters, trialFrom(t, always, `{}`, mid, numbers))
			if err != nil {
				t.Fatal(err)
			}
		})
		end := mid.Add(6 * 24 * time.Hour)
		tried := func(told time.Duration, cut float64) *router {
			return play(t, events, 1, seed, func(r *router) {
				r.networks, r.cut, r.told = lifeNetworks, cut, mid.Add(-told).UnixMilli()
				r.trial = trialFrom(t, always, `{}`, mid, `{"name": "late", "parameters": `+numbers+`}`, end, `{}`)
			})
		}
		want := liveAs(changed, "late", mid)
		// What is only known of once the trial has ended is not said any more.
		unknown := func(_ string, s schemas.Signal) bool {
			return s.Detector == "exposed_key" && end.Sub(s.Time) < 24*time.Hour
		}
		maps.DeleteFunc(want, unknown)
		maps.DeleteFunc(want, func(_ string, s schemas.Signal) bool { return !s.Time.Before(end) })
		for _, x := range []struct {
			told time.Duration
			cut  float64
		}{{20 * 24 * time.Hour, 0}, {schemas.ControlDelay, 0}, {schemas.ControlDelay, 0.004}, {3 * 24 * time.Hour, 0.004}} {
			r := tried(x.told, x.cut)
			maps.DeleteFunc(r.tried, unknown)
			sameTried(t, fmt.Sprintf("seed %d, told %s before, cut %g", seed, x.told, x.cut), want, r.tried)
			sweepAll(t, r)
		}
		if t.Failed() {
			return
		}
	}
}

// sweepAll lets the lane save everything and delete what is left, and looks at what
// then stands on its projection.
func sweepAll(t *testing.T, r *router) {
	t.Helper()
	f := r.folds[0]
	for key := range r.dirty[0] {
		r.save(0, key)
	}
	// A lane that was cut at the very end is told the time by the next record.
	if _, err := f.Apply(&schemas.Input{Kind: schemas.KindFence, Arrival: r.now}, func(schemas.Output) {}); err != nil {
		t.Fatal(err)
	}
	for keys := f.Sweep(7); len(keys) > 0; keys = f.Sweep(7) {
		for _, key := range keys {
			r.save(0, key)
		}
	}
	for key := range r.saved[0] {
		if strings.HasPrefix(key, "trial:") {
			t.Errorf("%s still stands there", key)
		}
	}
	if s := f.TrialStats(); s.Trials != 0 || s.Entities != 0 || s.Failed != 0 {
		t.Errorf("after the end of the trial: %+v", s)
	}
}

// A trial that takes another's place, under another name, begins with the live state;
// new numbers under the same name go on with the trial's.
func TestTrialIsRenamed(t *testing.T) {
	events := newLife(77, 20).out
	first := time.UnixMilli(events[0].ms)
	mid, later := first.Add(8*24*time.Hour).UTC(), first.Add(14*24*time.Hour).UTC()
	r := play(t, events, 1, 77, func(r *router) {
		r.networks = lifeNetworks
		r.trial = trialFrom(t, always, `{"name":"a","parameters":{"volume":{"floor_1h":15}}}`, mid, `{"name":"a","parameters":{"volume":{"floor_1h":25}}}`,
			later, `{"name":"b","parameters":{"volume":{"floor_1h":35}}}`)
	})
	if n := len(r.folds[0].trials); n != 1 || r.folds[0].trials[0].run.Name != "b" {
		t.Errorf("%d trials run at the end", n)
	}
	for _, s := range r.tried {
		want := "a"
		if !s.Time.Before(later) {
			want = "b"
		}
		if s.Trial != want {
			t.Errorf("at %s signals stand under %q", s.Time, s.Trial)
		}
	}
}

// What is wrong with a trial costs the live engine nothing.
func TestTrialCannotHarm(t *testing.T) {
	events := newLife(5, 17).out
	plain := play(t, events, 1, 5, nil)
	r := newRouter(t, 1, 5)
	if err := r.folds[0].Control(schemas.ControlTrial, trialFrom(t, always, `{"name":"a","parameters":{"volume":{"no_such":1}}}`)); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("numbers that do not exist: %v", err)
	}
	// A trial of the past whose number is gone from the program keeps no other away.
	next := trialFrom(t, always, `{"name":"a","parameters":{"volume":{"no_such":1}}}`, always.Add(time.Hour), `{"name":"b","parameters":{"volume":{"floor_1h":15}}}`)
	if err := r.folds[0].Control(schemas.ControlTrial, next); err != nil || len(r.folds[0].trials) != 1 {
		t.Errorf("%d trials after one that cannot be used: %v", len(r.folds[0].trials), err)
	}
	r.start(0)
	r.trial = trialFrom(t, always, `{"name":"a","parameters":{"volume":{"floor_1h":15}}}`)
	// State of another layout is given up, damaged state is told of.
	other := schemas.AppendStateFrame(nil, schemas.StateFrame{Version: layout + 1, Payload: []byte("x")})
	id := fmt.Sprintf("a:%d", always.Unix())
	if err := r.folds[0].Restore(schemas.TrialKey(id, "account:x"), other); err != nil {
		t.Errorf("a trial's state of another layout stops the lane: %v", err)
	}
	for _, e := range events {
		r.event([]byte(e.data))
	}
	r.control(0)                                // before the first record
	r.folds[0].trials[0].engine.employees = nil // writing to it panics
	r.run()
	if !slices.Equal(plain.order, r.order) || len(r.errors) > 0 {
		t.Errorf("a broken trial changes the live signals: %v", r.errors)
	}
	if r.folds[0].TrialStats().Failed < 2 {
		t.Errorf("nobody hears of it: %+v", r.folds[0].TrialStats())
	}
}

// What was saved of an address that has been forgotten is deleted, live and under a
// trial, and what was saved of one that has come back stays.
func TestForgottenAddressesAreSwept(t *testing.T) {
	f := NewFold(Config{})
	if err := f.Control(schemas.ControlTrial, trialFrom(t, time.UnixMilli(0).UTC(), `{"name": "other", "parameters": {}}`)); err != nil {
		t.Fatal(err)
	}
	saved := map[string]bool{}
	save := func(key string) {
		t.Helper()
		if err := f.Save(key, func(key string, value []byte) { saved[key] = value != nil }); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	hear := func(i int, at int64) {
		t.Helper()
		key := fmt.Sprintf("ip:2001:db8:%x::/64", i)
		in := schemas.Input{Topic: schemas.TopicEvents, Kind: schemas.KindEvent, Key: key, ID: fmt.Sprint("c", at), Arrival: at, Partition: 0, Offset: at,
			Value: fmt.Appendf(nil, `{"id":"c%d","time":"%s","type":"connection","ip":"2001:db8:%x::1","state":"open"}`, at, time.UnixMilli(at).UTC().Format(time.RFC3339), i)}
		if _, err := f.Apply(&in, func(schemas.Output) {}); err != nil {
			t.Fatal(err)
		}
		save(key)
	}
	for i := range 20 {
		hear(1+i, start+int64(i))
	}
	for i := range 40 {
		hear(100+i, start+6*msDay+int64(i))
	}
	hear(3, start+6*msDay+100)
	for keys := f.Sweep(7); len(keys) > 0; keys = f.Sweep(7) {
		for _, key := range keys {
			save(key)
		}
	}
	for key, there := range saved {
		_, entity, ok := schemas.CutTrialKey(key, 1)
		if !ok {
			entity = key
		}
		if knows := f.live.knows(entity); knows != there {
			t.Errorf("%s: known %t, saved %t", key, knows, there)
		}
	}
	if n := f.live.addresses.Len(); n != 41 {
		t.Errorf("%d addresses are known, not the 41 of the last days", n)
	}
}
