package sketch

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"holdfast/detectors/slab"
)

// What the algorithm promises, against a twin that counts exactly.
func TestTopKAgainstAnExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var top TopK
		k := rapid.IntRange(1, 12).Draw(t, "k")
		exact, total := map[uint64]uint32{}, uint32(0)
		for range rapid.IntRange(0, 400).Draw(t, "adds") {
			key := uint64(rapid.IntRange(0, 40).Draw(t, "key"))
			if rapid.Bool().Draw(t, "heavy") {
				key %= 3
			}
			n := uint32(rapid.IntRange(1, 9).Draw(t, "n"))
			top.Add(&a, key, n, k)
			exact[key] += n
			total += n
		}
		if top.Len() > k {
			t.Fatalf("%d counters of %d", top.Len(), k)
		}
		held := map[uint64]bool{}
		top.All(&a, func(c Counter) {
			held[c.Key] = true
			if c.Count < exact[c.Key] || c.Count-c.Error > exact[c.Key] || uint64(c.Error)*uint64(k) > uint64(total) {
				t.Fatalf("key %d: %d with error %d of %d in all, exactly %d", c.Key, c.Count, c.Error, total, exact[c.Key])
			}
		})
		for key, n := range exact {
			if uint64(n)*uint64(k) > uint64(total) && !held[key] {
				t.Fatalf("key %d has %d of %d and no counter among %d", key, n, total, k)
			}
		}
		b := top.Append(&a, nil)
		counters, rest, err := CutTopK(append(bytes.Clone(b), 7))
		if err != nil || len(rest) != 1 {
			t.Fatal(err, rest)
		}
		var again TopK
		again.Load(&a, counters)
		if !bytes.Equal(again.Append(&a, nil), b) {
			t.Fatal("another encoding after loading")
		}
	})
}

func FuzzCutTopK(f *testing.F) {
	f.Add([]byte{1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, src []byte) {
		counters, rest, err := CutTopK(src)
		if err == nil && len(counters)+len(rest)+1 != len(src) {
			t.Error("bytes were lost")
		}
	})
}
