package enforce_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/schemas"
)

// Whatever stands on the topic, it is refused or carried out, and written again as it was.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"entity":{"kind":"account","id":"a"},"last":{"decision":"d","status":"suspended","episode":1,"step":0,"at":"2026-01-02T03:04:05Z"},` +
		`"changes":[{"record":{"id":"d","time":"2026-01-02T03:04:05Z","entity":{"kind":"account","id":"a"},"verdict":"suspend","mode":"live","status":{"entity":{"kind":"account","id":"a"},"status":"suspended","episode":1,"step":0}},"since":"2026-01-02T03:04:05Z"}],` +
		`"receivers":{"platform":{"pending":["d","e"],"tries":{"d":3},"failing":{"since":"2026-01-02T03:04:05Z","attempts":3,"error":"x","next":"2026-01-02T03:04:05Z"}},"old":{"pending":["d"]},"none":null}}`))
	f.Add([]byte(`{"entity":{"kind":"ip","id":"x"}}`))
	f.Add([]byte(`{"changes":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := enforce.Decode(data)
		if err != nil {
			return
		}
		b, err := s.Encode()
		if err != nil {
			return // a time that JSON cannot say
		}
		again, err := enforce.Decode(b)
		if err != nil {
			t.Fatalf("%s is not read back: %v", b, err)
		}
		if c, err := again.Encode(); err != nil || !bytes.Equal(b, c) {
			t.Fatalf("%s became %s, %v", b, c, err)
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.kept = [][]byte{b}
			w.pass(t, 3*time.Second)
			s.Undelivered()
		})
	})
}

// A receiver that is taken out of the configuration is owed nothing; one that is named in
// its place is told what stands.
func TestReceiversComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend), record("dec_3", "b", schemas.VerdictRelease))
		w.platform.fail = func(entity, what string, _ int) (bool, error) { return away(entity, what, 0) }
		w.pass(t, time.Minute)
		other := &receiver{name: "other"}
		w.platforms = []enforce.Platform{other}
		w.pass(t, time.Minute)
		if !slices.Equal(other.calls, []string{"a suspended"}) {
			t.Errorf("the new receiver was told %v", other.calls)
		}
		for _, account := range []string{"a", "b"} {
			if left := w.state(t, account).Undelivered(); len(left) != 0 {
				t.Errorf("%s: undelivered %+v", account, left)
			}
		}
		w.platform.set(nil)
		w.platforms = []enforce.Platform{w.platform, other}
		calls := len(w.platform.calls)
		w.pass(t, time.Minute)
		if got := strings.Join(w.platform.calls[calls:], ","); got != "a suspended" || len(other.calls) != 1 {
			t.Errorf("the one that is back was told %q, the other %v", got, other.calls)
		}
	})
}

// A compacted topic still holds older records of an entity. What they say is not written
// again when a receiver is new: it is told what stands, once, and nothing that is over.
func TestANewReceiverIsNotToldWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.platforms = nil
		w.run(t, func() {
			for _, r := range []*decision.Record{
				record("dec_1", "a", schemas.VerdictSuspend), record("dec_2", "b", schemas.VerdictSuspend), record("dec_3", "b", schemas.VerdictRelease),
			} {
				w.add(r)
				time.Sleep(time.Second)
			}
		})
		w.platforms = []enforce.Platform{w.platform}
		for range 3 { // starts
			w.pass(t, time.Minute)
			for _, account := range []string{"a", "b"} {
				if left := w.state(t, account).Undelivered(); len(left) != 0 {
					t.Errorf("%s: undelivered %+v", account, left)
				}
			}
		}
		if !slices.Equal(w.platform.calls, []string{"a suspended"}) {
			t.Errorf("the receiver was told %v", w.platform.calls)
		}
	})
}

// A receiver that is configured a day after a stop is not overdue for it at once.
func TestANewReceiverHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.platforms = nil
		w.notifiers = []enforce.Notifier{mailer()}
		w.run(t, func() { w.add(record("dec_1", "a", schemas.VerdictSuspend)); time.Sleep(time.Second) })
		time.Sleep(24 * time.Hour)
		w.platforms = []enforce.Platform{w.platform}
		w.platform.fail = away
		overdue := func() (n int) {
			for _, x := range w.notices {
				n += strings.Count(x.Subject, "does not confirm")
			}
			return n
		}
		w.pass(t, 50*time.Second)
		if n := overdue(); n != 0 {
			t.Errorf("paged %d times within a minute", n)
		}
		w.pass(t, 5*time.Minute)
		if n := overdue(); n != 1 {
			t.Errorf("paged %d times after minutes", n)
		}
	})
}
