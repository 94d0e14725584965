package detectors

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What was held at the end of each minute and of the two before it is the same in any
// order within the lateness, and equals a plain count where nothing was open before
// but what was held all through a day, which is forgotten.
func TestSocketsAgainstAPlainCount(t *testing.T) {
	type one struct {
		ms, moved int64
		change    int32
	}
	rapid.Check(t, func(t *rapid.T) {
		start := int64(20_000) * msDay
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) one {
			at := rapid.Int64Range(0, 90*msMinute).Draw(t, "at")
			if rapid.IntRange(0, 9).Draw(t, "later") == 0 {
				at += msDay * rapid.Int64Range(1, 4).Draw(t, "days")
			}
			return one{start + at, rapid.Int64Range(0, lateness-1).Draw(t, "moved"), rapid.SampledFrom([]int32{1, 1, -1}).Draw(t, "change")}
		}), 1, 80).Draw(t, "connections")
		play := func(key func(one) int64) map[int32]int32 {
			var s sockets
			told := map[int32]int32{}
			slices.SortStableFunc(all, func(a, b one) int { return int(key(a) - key(b)) })
			for _, x := range all {
				s.note(x.ms, x.change, func(held, minute int32) { told[minute] = held })
			}
			return told
		}
		shuffled, ordered := play(func(x one) int64 { return x.ms + x.moved }), play(func(x one) int64 { return x.ms })
		if !maps.Equal(shuffled, ordered) {
			t.Fatalf("shuffled %v, in order %v", shuffled, ordered)
		}
		minute, held, past, least, i := int32(all[0].ms/msMinute), int32(0), [2]int32{}, int32(0), 0
		for last := int32(all[len(all)-1].ms/msMinute) - int32(heldRing); minute <= last; minute++ {
			change := int32(0)
			for ; int32(all[i].ms/msMinute) == minute; i++ {
				change += all[i].change
			}
			if minute%(msDay/msMinute) == 0 {
				past[0], past[1], held = max(0, past[0]-least), max(0, past[1]-least), held-least
				least = held
			}
			past, held = [2]int32{past[1], held}, max(0, held+change)
			least = min(least, held)
			if got, ok := ordered[minute]; ok && got != min(past[0], past[1], held) {
				t.Fatalf("minute %d: %d held, not %d", minute, got, min(past[0], past[1], held))
			} else if !ok && change != 0 {
				t.Fatalf("minute %d was not shown", minute)
			}
		}
	})
}
