package detectors

import (
	"fmt"
	"math/rand/v2"
	"testing"
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
