package detectors

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The same outcome of the same message and recipient counts once, however often and
// under however many ids it is told; another one does count.
func TestOutcomesToldAgainCountOnce(t *testing.T) {
	play := func(times int, recipient func(i, n int) string, outcome string) map[string]bool {
		l := life{start: 20_000 * msDay, rng: rand.New(rand.NewPCG(1, 1))}
		for day := range 30 {
			for i := range 200 {
				at := l.start + int64(day)*msDay + 9*msHour + int64(i)*1000
				id := fmt.Sprintf("m%d-%d", day, i)
				l.add(at, `"type":"send","account":"shop","message_id":%q,"ip":"192.0.2.1","recipients":["r%d@example.com"]`, id, i)
				if i%40 != 0 {
					continue
				}
				for n := range times {
					again := at + 5000 + int64(n)*3*msHour/2 // into the next day
					l.add(again, `"type":"delivery","account":"shop","message_id":%q,"outcome":%q%s`, id, outcome, recipient(i, n))
				}
			}
		}
		sortTimed(l.out)
		found := map[string]bool{}
		r := newRouter(t, 1, 1)
		for _, e := range l.out {
			r.event([]byte(e.data))
		}
		r.run()
		for _, s := range r.signals {
			if s.Detector == badOutcomesSpec.Name {
				found[fmt.Sprint(s.Level)] = true
			}
		}
		return found
	}
	same := func(i, n int) string {
		return fmt.Sprintf(`,"recipient":"%s%d@EXAMPLE.com"`, [...]string{"r", "R"}[n%2], i)
	}
	other := func(i, n int) string { return fmt.Sprintf(`,"recipient":"r%d-%d@example.com"`, i, n) }
	unnamed := func(int, int) string { return "" }
	for _, c := range []struct {
		name      string
		times     int
		recipient func(i, n int) string
		outcome   string
		found     bool
	}{
		{"each once", 1, same, "hard_bounce", false},
		{"each ten times", 10, same, "hard_bounce", false},
		{"ten recipients", 10, other, "hard_bounce", true},
		{"ten that are not named", 10, unnamed, "hard_bounce", true},
		{"complaints, ten times", 10, same, "complaint", false},
	} {
		if found := play(c.times, c.recipient, c.outcome); (len(found) > 0) != c.found {
			t.Errorf("%s: bad outcomes of levels %v, want some: %v", c.name, found, c.found)
		}
	}
}
