package sketch

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"holdfast/detectors/slab"
)

// A set that gives up its largest members holds the same whatever came first.
func TestLeastFingerprintsAreOrderFree(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	hashes := make([]uint64, 3000)
	for i := range hashes {
		hashes[i] = rng.Uint64()
	}
	var a slab.Arena
	var want []byte
	for range 5 {
		var f Fingerprints
		for _, i := range rng.Perm(2 * len(hashes)) {
			f.AddLeast(&a, hashes[i%len(hashes)], 1000)
		}
		got := f.Append(&a, nil)
		if members, rest, err := CutFingerprints(got); err != nil || len(rest) > 0 || f.Len() != 1000 || len(members) != 1000*printBytes {
			t.Fatalf("%d members, %v", f.Len(), err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Error("another order gives another set")
		}
		f.Clear(&a)
	}
}
