package schemas

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRingIsAFunctionOfTheLog compares the ring with a list of the log, and with a
// ring that was primed in the middle of it.
func TestRingIsAFunctionOfTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reach := rapid.Int64Range(1, 20).Draw(t, "reach")
		// Chains hold the low halves of offsets.
		start := rapid.Int64Range(0, 50).Draw(t, "start") + rapid.SampledFrom([]int64{0, 1<<31 - 40, 1<<32 - 40, 1<<33 - 40, 1 << 60}).Draw(t, "from")
		log := map[int64]string{}
		known := func(offset int64, id string) bool {
			for o := offset - reach; o < offset; o++ {
				if log[o] == id {
					return true
				}
			}
			return false
		}
		r := NewRing(reach, start)
		offset := start
		for range rapid.IntRange(0, 120).Draw(t, "records") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // offsets that are gone, or have no id
				offset += rapid.Int64Range(1, 2*reach).Draw(t, "gap") + rapid.SampledFrom([]int64{0, 0, 0, 1<<32 - reach, 1 << 32}).Draw(t, "leap")
				r.Pass(offset)
			case 1: // a restore: the reach before is read again
				r = NewRing(reach, max(start, offset-reach))
				for o := max(start, offset-reach); o < offset; o++ {
					if log[o] != "" {
						seen(r, o, log[o])
					}
				}
				r.Pass(offset)
			default:
				id := fmt.Sprintf("%d:id%d", rapid.IntRange(0, 2).Draw(t, "source"), rapid.IntRange(0, 10).Draw(t, "id"))
				if got, want := seen(r, offset, id), known(offset, id); got != want {
					t.Fatalf("offset %d, id %s: known %t, must be %t", offset, id, got, want)
				}
				log[offset] = id
				offset++
			}
		}
	})
}

// seen splits a source and its id, which the test's log holds as one.
func seen(r *Ring, offset int64, id string) bool {
	source, id, _ := strings.Cut(id, ":")
	return r.Seen(offset, source, id)
}

func BenchmarkRing(b *testing.B) {
	r := NewRing(65536, 0)
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("evt-%022d", i)
	}
	b.ReportAllocs()
	offset := int64(0)
	for b.Loop() {
		r.Seen(offset, "http:api", ids[offset%int64(len(ids))])
		offset++
	}
}
