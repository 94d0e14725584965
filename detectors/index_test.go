package detectors

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The index answers as a map does, however keys come and go.
func TestIndexAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, twin := newIndex(), map[string]uint32{}
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			key := fmt.Sprint("account:", rapid.IntRange(0, 60).Draw(t, "key"))
			switch h := uint32(len(twin) + 1); {
			case rapid.Bool().Draw(t, "drop"):
				x.drop(key)
				delete(twin, key)
			case twin[key] == 0:
				x.put(key, h)
				twin[key] = h
			}
			for i := range 61 {
				key := fmt.Sprint("account:", i)
				if got, want := x.find(key), twin[key]; got != want {
					t.Fatalf("handle %d for %s, must be %d", got, key, want)
				}
			}
		}
		if x.n != len(twin) {
			t.Fatalf("%d keys, must be %d", x.n, len(twin))
		}
	})
}

func BenchmarkIndex(b *testing.B) {
	x := newIndex()
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("account:acct-%07d", i)
		x.put(keys[i], uint32(i+1))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x.find(keys[i*7919%len(keys)])
	}
}
