package detectors

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Guesses at an account that nothing else was heard of are remembered beside any number
// of made-up names, which take a bounded part of memory, cut and restored anywhere.
func TestGuessesBesideMadeUpNames(t *testing.T) {
	l := life{start: 20_000 * msDay, rng: rand.New(rand.NewPCG(1, 1))}
	login := func(ms int64, name, outcome string) {
		l.add(ms, `"type":"login","account":%q,"user":%q,"ip":"198.51.100.%d","outcome":%q`, name, name, len(name), outcome)
	}
	for i := range 4 * maxVisited {
		login(l.start+int64(i)*1000, fmt.Sprintf("made-up-%d", i), "failure")
		if i < 30 {
			login(l.start+int64(i)*1000+1, "svc", "failure")
		}
	}
	login(l.start+3*msHour, "svc", "success")
	for _, cut := range []float64{0, 0.002} {
		r := newRouter(t, 1, 1)
		r.cut = cut
		r.upgrade()
		for _, e := range l.out {
			r.event([]byte(e.data))
		}
		r.run()
		found := false
		for _, s := range r.signals {
			found = found || s.Detector == takeoverSpec.Name && s.Level == 3 && s.Entity.ID == "svc"
		}
		if !found {
			t.Errorf("cut %g: the break-in was not seen", cut)
		}
		if n := r.engines[0].accounts.Len(); n > maxVisited+1 {
			t.Errorf("cut %g: %d accounts are known of which nothing was heard", cut, n)
		}
		if n := len(r.engines[0].visited); n != r.engines[0].accounts.Len()-1 {
			t.Errorf("cut %g: %d of %d accounts are on the list", cut, n, r.engines[0].accounts.Len())
		}
	}
}

// A lane that begins anew may read what was told of an account before the failed logins that
// came first: neither outputs nor state depend on it.
func TestGuessesAfterWhatIsTold(t *testing.T) {
	guess := func(offset int64, ms int64, more string) *schemas.Input {
		return input(offset, "account:svc", fmt.Sprintf(`{"id":"g%d","time":%q,"type":"login","account":"svc","user":"svc","ip":"198.51.100.9",%s}`, offset, clockOf(ms), more))
	}
	start := int64(20_000 * msDay)
	told, err := json.Marshal(&schemas.Fact{Kind: schemas.FactMember, Name: factSeen, Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "svc"},
		From: schemas.Entity{Kind: schemas.KindEmployee, ID: "ann"}, Time: start, Window: start / 1000, Employee: "ann", Account: "svc", Credential: "key", Event: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	fact := &schemas.Input{Topic: schemas.TopicFacts, Kind: schemas.KindMember, ID: "f", Key: "account:svc", Value: told}
	var logins []*schemas.Input
	for i := range int64(20) {
		logins = append(logins, guess(i, start+i*msMinute, `"outcome":"failure"`))
	}
	logins = append(logins, guess(20, start+30*msMinute, `"outcome":"failure","reason":"unknown_user"`), guess(21, start+40*msMinute, `"outcome":"success"`))
	fold := func(level schemas.Level, inputs ...*schemas.Input) (outputs map[string]bool, state []byte) {
		e := New(Config{Lanes: 1, HashSecret: secret})
		outputs = map[string]bool{}
		for _, in := range inputs {
			if _, err := e.Apply(in, func(out schemas.Output) { outputs[string(out.Topic)+" "+out.ID] = true }); err != nil {
				t.Fatal(err)
			}
		}
		return outputs, savedAt(t, e, level, "account:svc")
	}
	for n := range len(logins) + 1 {
		want, state := fold(schemas.LevelSections, append(append(slices.Clone(logins[:n]), fact), logins[n:]...)...)
		first, same := fold(schemas.LevelSections, append([]*schemas.Input{fact}, logins...)...)
		if !maps.Equal(want, first) || !bytes.Equal(state, same) {
			t.Fatalf("told after %d logins: %d outputs, told first: %d; the states are the same: %v", n, len(want), len(first), bytes.Equal(state, same))
		}
	}
	// What was told is saved at any level, and outlives names that are made up.
	_, bare := fold(schemas.LevelLayouts, fact, logins[0])
	back := New(Config{Lanes: 1, HashSecret: secret})
	if err := back.Restore("account:svc", bare); err != nil || back.findAccount("account:svc") == nil || back.findAccount("account:svc").records.n == 0 {
		t.Errorf("what was told is not saved below the level of sections: %v", err)
	}
	inputs := []*schemas.Input{fact, logins[0]}
	for i := range int64(4 * maxVisited) {
		name := fmt.Sprintf("made-up-%d", i)
		inputs = append(inputs, input(100+2*i, "account:"+name, fmt.Sprintf(`{"id":"m%d","time":%q,"type":"login","account":%q,"user":"x","ip":"198.51.100.9","outcome":"failure"}`, i, clockOf(start+msHour+i), name)),
			input(101+2*i, "account:"+name, fmt.Sprintf(`{"id":"n%d","time":%q,"type":"login","account":%q,"user":"x","ip":"198.51.100.9","outcome":"failure"}`, i, clockOf(start+msHour+i), name)))
	}
	_, state := fold(schemas.LevelSections, inputs...)
	if err := back.Restore("account:svc", state); err != nil || back.findAccount("account:svc").records.n == 0 || back.findAccount("account:svc").clock != 0 {
		t.Errorf("of an account whose logins were forgotten, what was told is lost: %v", err)
	}
}
