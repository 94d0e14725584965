package detectors

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"holdfast/detectors/sketch"
)

// What failed before a moment is the same in whatever order it was told, equals a plain
// count while below the cap, and beyond it is never too little after it.
func TestFailuresAgainstAPlainCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type told struct {
			step uint32
			pair uint64
		}
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) told {
			return told{rapid.Uint32Range(100, 220).Draw(t, "step"), rapid.Uint64Range(1, 60).Draw(t, "pair")}
		}), 0, 600).Draw(t, "failures")
		var s sketch.Store
		var l failures
		for _, x := range all {
			l.note(&s.Arena, x.step, x.pair)
		}
		since := rapid.Uint32Range(90, 230).Draw(t, "since")
		l.drop(&s.Arena, int64(since)*msStep)
		pair := rapid.Uint64Range(1, 60).Draw(t, "of")
		mine, unknown := uint32(0), uint32(0)
		for _, x := range all {
			if x.step < since {
				continue
			}
			if x.pair|1 == pair|1 {
				mine++
			}
			if x.pair&1 == 0 {
				unknown++
			}
		}
		exact := len(all) <= maxFailures
		if n := l.of(&s.Arena, pair, since, 300); n < mine || exact && n != mine {
			t.Fatalf("%d of the pair, not %d", n, mine)
		}
		if n := l.unknown(&s.Arena, since, 300); n < unknown || exact && n != unknown {
			t.Fatalf("%d of unknown sources, not %d", n, unknown)
		}
		saved := l.append(&s, nil)
		list, rest, err := cutFailures(saved)
		if err != nil || len(rest) > 0 {
			t.Fatal(err, rest)
		}
		var again failures
		again.load(&s.Arena, list)
		if !bytes.Equal(again.append(&s, nil), saved) {
			t.Fatal("it does not come back as it was")
		}
		l.clear(&s.Arena)
		again.clear(&s.Arena)
		if s.InUse() != 0 {
			t.Fatalf("%d bytes are left of nothing", s.InUse())
		}
	})
}

func FuzzCutFailures(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add(append([]byte{1, 0}, make([]byte, failureBytes)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, rest, err := cutFailures(b)
		if err == nil && len(list)%failureBytes != 2 || len(rest) > len(b) {
			t.Fatal(len(list), len(rest))
		}
	})
}

// A login is remembered for as long as the parameters ask for what follows from it.
func TestGuessedLoginIsRememberedAsLongAsAsked(t *testing.T) {
	l := life{start: 20_000 * msDay}
	login := func(ms int64, user, outcome, ip string) {
		l.add(ms, `"type":"login","account":"shop","user":%q,"outcome":%q,"ip":%q`, user, outcome, ip)
	}
	day := l.start + 20*msDay
	for d := range int64(20) {
		login(l.start+d*msDay, "bob", "success", "192.0.2.1")
	}
	for i := range int64(12) {
		login(day+2*msHour+i*20_000, "ann", "failure", "203.0.113.9")
	}
	login(day+2*msHour+5*msMinute, "ann", "success", "203.0.113.9")
	login(day+13*msHour, "bob", "success", "192.0.2.1")
	l.add(day+13*msHour+msMinute, `"type":"credential","account":"shop","credential":"another","kind":"api_key","change":"created","actor":"customer","ip":"203.0.113.9"`)
	for minutes, must := range map[int]bool{60: false, 720: true} {
		r := play(t, l.out, 1, 1, func(r *router) { r.parameters(fmt.Sprintf(`{"fresh_credential":{"minutes":%d}}`, minutes)) })
		found := false
		for _, s := range r.signals {
			found = found || s.Detector == freshCredentialSpec.Name && s.Level == 2
		}
		if found != must {
			t.Errorf("within %d minutes: found %v, must be %v", minutes, found, must)
		}
	}
}
