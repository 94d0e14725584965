package detectors

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

// At every border the order within the lateness must not matter.
func TestBorders(t *testing.T) {
	found := map[string]int{}
	for seed := *first; seed < *first+seeds()/2; seed++ {
		events := newBorder(seed, 20+int(seed%5)).out
		rng := rand.New(rand.NewPCG(seed, 6))
		touch := func(r *router) { r.parameters(touchy) }
		want := play(t, events, 1, seed, touch)
		for _, s := range want.signals {
			found[fmt.Sprintf("%s%d", s.Detector, s.Level)]++
			if strings.Contains(s.Evidence.Text, "with credential") {
				found[s.Detector+" of a credential"]++
			}
		}
		for range 2 {
			same(t, fmt.Sprintf("seed %d, shuffled", seed), want, play(t, shuffled(events, rng), 1, seed, touch))
		}
		same(t, fmt.Sprintf("seed %d, cut", seed), want, play(t, shuffled(events, rng), 4, seed, func(r *router) {
			touch(r)
			r.cut, r.delay = 0.003, true
		}))
		if t.Failed() && !*all {
			return
		}
	}
	t.Logf("signals seen: %v", found)
	for _, detector := range []string{"volume", "fan_out"} {
		if found[detector+" of a credential"] == 0 {
			t.Errorf("no credential was noticed by %s", detector)
		}
	}
}

// play runs events on a router of its own and returns the ids of the signals.
func play(t *testing.T, events []timed, lanes int, seed uint64, change func(*router)) *router {
	r := newRouter(t, lanes, seed)
	r.upgrade()
	if change != nil {
		change(r)
	}
	for _, e := range events {
		r.event([]byte(e.data))
	}
	r.run()
	for _, err := range r.errors {
		t.Fatal(err)
	}
	return r
}

// shuffled disorders events within the lateness: nothing moves by more than ten minutes.
func shuffled(events []timed, rng *rand.Rand) []timed {
	type moved struct {
		timed
		at int64
	}
	out := make([]moved, len(events))
	for i, e := range events {
		out[i] = moved{e, e.ms + rng.Int64N(lateness)}
	}
	slices.SortStableFunc(out, func(a, b moved) int { return int(a.at - b.at) })
	plain := make([]timed, len(out))
	for i := range out {
		plain[i] = out[i].timed
	}
	return plain
}

// doubled repeats records a little later, as a sender that retries does.
func doubled(events []timed, rng *rand.Rand) (out []timed) {
	for i := range events {
		out = append(out, events[i])
		if rng.IntN(2) == 0 {
			out = append(out, events[max(0, i-rng.IntN(50))])
		}
	}
	return append(out, events[max(0, len(events)-100):]...)
}

// respelt writes half of the users, recipients, senders and IPv4 addresses in another way
// that means the same.
func respelt(events []timed, rng *rand.Rand) []timed {
	out := slices.Clone(events)
	for i := range out {
		out[i].data = spelt.ReplaceAllStringFunc(out[i].data, func(field string) string {
			at := strings.IndexByte(field, ':') + 1
			switch {
			case rng.IntN(2) == 0:
				return field
			case strings.HasPrefix(field, `"ip"`):
				return field[:at+1] + [...]string{"64:ff9b::", "64:ff9b:1::", "::ffff:"}[rng.IntN(3)] + field[at+1:]
			case rng.IntN(2) == 0:
				return field[:at] + strings.ToUpper(field[at:])
			}
			return field[:at] + strings.ReplaceAll(strings.ReplaceAll(field[at:], "e", "ｅ"), `.example"`, `.EXAMPLE."`)
		})
	}
	return out
}

var spelt = regexp.MustCompile(`"ip":"[0-9.]+"|"(user|sender)":"[^"]*"|"recipients":\[[^\]]*\]`)

func seeds() uint64 {
	if testing.Short() {
		return 20
	}
	return 120
}

// Every transformation must leave the set of signal ids as it was.
func TestMetamorphic(t *testing.T) {
	found := map[string]int{}
	for seed := *first; seed < *first+seeds(); seed++ {
		days := 17 + int(seed%9)
		events := newLife(seed, days).out
		if gap := map[uint64]int64{3: 35, 6: 70}[seed%10]; gap > 0 { // months of silence in the middle
			half := len(events) / 2
			events = slices.Clone(events)
			for i := half; i < len(events); i++ {
				events[i] = later(events[i], gap*msDay)
			}
		}
		lived := func(lanes int, events []timed, change func(*router)) *router {
			return play(t, events, lanes, seed, func(r *router) {
				r.networks = lifeNetworks
				r.parameters(lifeParameters)
				change(r)
			})
		}
		plain := func(*router) {}
		want := lived(1, events, plain)
		for _, s := range want.signals {
			found[fmt.Sprintf("%s%d", s.Detector, s.Level)]++
		}
		saidOnce(t, fmt.Sprintf("seed %d", seed), want)
		rng := rand.New(rand.NewPCG(seed, 5))
		variants := map[string]*router{
			"4 partitions":      lived(4, events, plain),
			"16 partitions":     lived(16, events, func(r *router) { r.delay = true }),
			"shuffled":          lived(1, shuffled(events, rng), plain),
			"untimed":           lived(1, shuffled(events, rng), func(r *router) { r.config.Untimed, r.cut = true, 0.002; r.start(0) }),
			"respelt":           lived(1, respelt(events, rng), plain),
			"doubled":           lived(1, doubled(events, rng), plain),
			"cut":               lived(1, events, func(r *router) { r.cut = 0.003 }),
			"all of it at once": lived(4, doubled(shuffled(events, rng), rng), func(r *router) { r.delay, r.cut = true, 0.002 }),
		}
		for name, got := range variants {
			same(t, fmt.Sprintf("seed %d, %s", seed, name), want, got)
		}
		if t.Failed() && !*all {
			return
		}
	}
	t.Logf("signals seen: %v", found)
	for _, s := range Specs() {
		for _, level := range raisable[s.Name] {
			if found[fmt.Sprintf("%s%d", s.Name, level)] == 0 {
				t.Errorf("no seed raised %s of level %d: the test would not see it break", s.Name, level)
			}
		}
	}
}

var (
	all   = flag.Bool("all", false, "go on after a seed that failed")
	first = flag.Uint64("first", 0, "the first seed of lives")
)

// raisable are the levels of each detector, of which each must have come in some life.
var raisable = map[string][]int{"volume": {1, 2}, "strangers": {1, 2, 3}, "new_source": {1, 2, 3}, "unproven_source": {1}, "fan_out": {2, 3}, "bad_outcomes": {1, 2}, "takeover": {1, 2, 3},
	"fresh_credential": {1, 2}, "dormancy": {1}, "identity_churn": {1, 2}, "brute_force": {1, 2}, "password_spray": {1, 2}, "credential_stuffing": {2},
	"flood": {1, 2}, "held_sockets": {1, 2}, "reach": {1, 2}, "unexplained": {1, 2}, "staff_login": {1, 2, 3}, "exposed_key": {1}}

func later(e timed, by int64) timed {
	old := time.UnixMilli(e.ms).UTC().Format("2006-01-02T15:04:05.000Z")
	e.ms += by
	fresh := time.UnixMilli(e.ms).UTC().Format("2006-01-02T15:04:05.000Z")
	at := len(`{"id":"e000000","time":"`)
	if e.data[at:at+len(old)] != old {
		panic("the time does not stand where it is expected: " + e.data)
	}
	e.data = e.data[:at] + fresh + e.data[at+len(old):]
	return e
}

// saidOnce checks that no finding about an address has two ids. An event may end two odd
// logins of an employee, which are two findings.
func saidOnce(t *testing.T, name string, r *router) {
	t.Helper()
	said := map[string]string{}
	for id, s := range r.signals {
		if s.Entity.Kind != schemas.KindIP {
			continue
		}
		what := fmt.Sprintf("%s %s/%d by %s: %s", s.Entity, s.Detector, s.Level, s.Trigger, s.Evidence.Text)
		if first, again := said[what]; again {
			t.Errorf("%s: %s is raised as %s and as %s", name, what, first, id)
		}
		said[what] = id
	}
}

func same(t *testing.T, name string, want, got *router) {
	t.Helper()
	say := func(what string, s schemas.Signal) {
		t.Errorf("%s: %s %s %s/%d by %s at %s: %s", name, what, s.Entity, s.Detector, s.Level, s.Trigger, s.Time.Format(time.RFC3339), s.Evidence.Text)
	}
	for _, id := range want.ids() {
		if _, ok := got.signals[id]; !ok {
			say("lost", want.signals[id])
		}
	}
	for _, id := range got.ids() {
		if _, ok := want.signals[id]; !ok {
			say("extra", got.signals[id])
		}
	}
}

// A lane that is cut and resumed emits every output of one that was not, and its
// saved state ends the same, byte for byte.
func TestCutAnywhereEndsInTheSameState(t *testing.T) {
	for n := range seeds() / 4 {
		seed := *first + n
		events := newLife(seed+1000, 16).out
		whole := play(t, events, 1, seed, nil)
		cut := play(t, events, 1, seed, func(r *router) { r.cut = 0.005 })
		for id := range whole.outputs {
			if !cut.outputs[id] {
				t.Errorf("seed %d: output %s was lost", seed, id)
			}
		}
		for id := range cut.outputs {
			if !whole.outputs[id] {
				t.Errorf("seed %d: output %s is extra", seed, id)
			}
		}
		for key := range allKeys(whole) {
			a, b := stateOf(t, whole.engines[0], key), stateOf(t, cut.engines[0], key)
			// What an address forgets depends on when it was last told something, and a
			// lane that was cut tells some things twice.
			if !strings.HasPrefix(key, "ip:") && !slices.Equal(a, b) {
				t.Errorf("seed %d: state of %s differs: %d and %d bytes", seed, key, len(a), len(b))
			}
		}
	}
}

func allKeys(r *router) map[string]bool {
	keys := map[string]bool{}
	for _, topic := range []schemas.Topic{schemas.TopicEvents, schemas.TopicFacts} {
		for _, log := range r.logs {
			for _, in := range log[topic] {
				keys[in.Key] = true
			}
		}
	}
	return keys
}

// stateOf is what is saved of an entity, but for the offset in facts: a lane that
// was cut sends some facts twice, so that the log of facts is longer.
func stateOf(t testing.TB, e *Engine, key string) (state []byte) {
	err := e.Save(key, func(_ string, value []byte) {
		if value == nil {
			return // an address that was forgotten, or nobody
		}
		f, err := schemas.ParseStateFrame(value)
		if err != nil {
			t.Fatal(err)
		}
		state = fmt.Appendf(nil, "%d %x", f.Applied[schemas.AppliedEvents], f.Payload)
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}
