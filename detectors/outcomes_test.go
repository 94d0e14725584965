package detectors

import (
	"fmt"
	"testing"
)

// A message's bounces are the actor's, each of them, whether they are told before its
// send or after it: what was unproven is proven by them.
func TestBouncesToldBeforeTheirSend(t *testing.T) {
	for _, before := range []bool{false, true} {
		l := life{start: 20_000 * msDay}
		l.add(l.start, `"type":"account","account":"shop","plan":"flex","created":"2020-01-01T00:00:00Z"`)
		for _, day := range []int64{1, 15} {
			l.add(l.start+day*msDay, `"type":"login","account":"shop","user":"ann","outcome":"success","ip":"192.0.2.1"`)
		}
		send := func(ms int64, id, to string) {
			l.add(ms, `"type":"send","account":"shop","message_id":%q,"ip":"203.0.113.9","recipients":[%s]`, id, to)
		}
		at := l.start + 20*msDay
		for i := range int64(8) {
			send(at+i*1000, fmt.Sprintf("m%d", i), fmt.Sprintf(`"p%d@x.example"`, i))
		}
		last := func() { send(at+10_000, "last", `"a@x.example","b@x.example","c@x.example"`) }
		if !before {
			last()
		}
		for i := range int64(3) {
			l.add(at+20_000+i*1000, `"type":"delivery","account":"shop","message_id":"last","outcome":"hard_bounce"`)
		}
		if before {
			last()
		}
		r := newRouter(t, 1, 1)
		for _, e := range l.out {
			r.event([]byte(e.data))
			r.run()
		}
		stopped, slowed := false, false
		for _, s := range r.signals {
			stopped = stopped || s.Detector == newSourceSpec.Name && s.Level == 3
			slowed = slowed || s.Detector == unprovenSpec.Name
		}
		if !stopped || !slowed {
			t.Errorf("bounces before their send %v: unproven %v, proven %v", before, slowed, stopped)
		}
	}
}
