package detectors

import (
	"bytes"
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
