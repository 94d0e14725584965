package sketch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/axiomhq/hyperloglog"
	"pgregory.net/rapid"

	"holdfast/detectors/slab"
)

var hasher = NewHasher([]byte("0123456789abcdef"))

func value(i int) uint64 { return hasher.Bytes([]byte{byte(i), byte(i >> 8), byte(i >> 16)}) }

func TestDistinctAgainstExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Store
		var d Distinct
		twin := map[uint64]bool{}
		limit := rapid.SampledFrom([]int{10, 40, 500, 8000}).Draw(t, "values")
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 1))
		for range rapid.IntRange(0, 3000).Draw(t, "adds") {
			h := value(r.IntN(limit))
			fresh := d.Add(&s, h)
			if !fresh && !twin[h] {
				t.Fatal("a new value was taken for a known one")
			}
			if fresh && twin[h] && d.IsExact() {
				t.Fatal("a known value was taken for a new one")
			}
			twin[h] = true
		}
		got, want := float64(d.Count(&s)), float64(len(twin))
		if len(twin) <= Exact && got != want {
			t.Fatalf("counted %v of %v while exact", got, want)
		}
		if diff := got - want; diff*diff > max(1, 0.08*want)*max(1, 0.08*want) {
			t.Fatalf("counted %v of %v", got, want)
		}
		b := d.Append(&s, nil)
		c, rest, err := CutDistinct(b)
		if err != nil || len(rest) != 0 {
			t.Fatal(err, len(rest))
		}
		var back Distinct
		back.Load(&s, c)
		if back.Count(&s) != d.Count(&s) || !bytes.Equal(back.Append(&s, nil), b) {
			t.Fatal("differs after being stored")
		}
		d.Clear(&s)
		back.Clear(&s)
		if s.InUse() != 0 || s.Large() != 0 {
			t.Fatal("clearing left something behind")
		}
	})
}

// When a sketch is asked or stored in between must not change what it says at the end.
func TestDistinctIsAFunctionOfItsValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Store
		var a, b Distinct
		n := rapid.IntRange(1, 6000).Draw(t, "n")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		order := r.Perm(n)
		for i := range n {
			a.Add(&s, value(i))
			b.Add(&s, value(order[i]))
			if r.IntN(200) == 0 {
				b.Count(&s)
			}
			if r.IntN(500) == 0 {
				c, _, err := CutDistinct(b.Append(&s, nil))
				if err != nil {
					t.Fatal(err)
				}
				b.Load(&s, c)
			}
		}
		if x, y := a.Count(&s), b.Count(&s); x != y {
			t.Fatalf("%d and %d for the same %d values", x, y, n)
		}
	})
}

func TestFingerprintsAgainstExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var f, g Fingerprints
		twin := map[uint32]bool{}
		for range rapid.IntRange(0, 400).Draw(t, "adds") {
			h := value(rapid.IntRange(0, 600).Draw(t, "v"))
			if f.Has(&a, h) != twin[print24(h)] {
				t.Fatal("membership differs from the twin's")
			}
			into := &f
			if rapid.Bool().Draw(t, "other") {
				into = &g
			}
			into.Add(&a, h, MaxFingerprints)
			twin[print24(h)] = true
			if into == &g {
				f.Merge(&a, &g, MaxFingerprints)
			}
		}
		if f.Len() != len(twin) {
			t.Fatalf("%d members, %d in the twin", f.Len(), len(twin))
		}
		b := f.Append(&a, nil)
		members, rest, err := CutFingerprints(b)
		if err != nil || len(rest) != 0 {
			t.Fatal(err)
		}
		g.Load(&a, members)
		if !bytes.Equal(g.Append(&a, nil), b) {
			t.Fatal("differs after being stored")
		}
	})
}

func TestFingerprintsStopAtTheirLimit(t *testing.T) {
	var a slab.Arena
	var f Fingerprints
	for i := range MaxFingerprints + 5000 {
		f.Add(&a, value(i)+uint64(i)<<40, MaxFingerprints)
	}
	if f.Len() > MaxFingerprints || a.InUse() > 70<<10 {
		t.Errorf("%d members in %d bytes", f.Len(), a.InUse())
	}
}

// The set answers what a full list of days would, for the days that detectors
// ask about, and in whatever order uses of neighbouring days arrive.
func TestNoveltyAgainstExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var s Novelty
		twin := map[int]map[Day]bool{}
		clock := Day(9500)
		for range rapid.IntRange(1, 120).Draw(t, "uses") {
			clock += Day(rapid.SampledFrom([]int{0, 0, 1, 1, 2, 7, 8, 9, 10, 11, 40, 100}).Draw(t, "pass"))
			day := clock - Day(rapid.IntRange(0, 1).Draw(t, "behind"))
			v := rapid.IntRange(0, 4).Draw(t, "value")
			if twin[v] == nil {
				twin[v] = map[Day]bool{}
			}
			want := false
			for d := range twin[v] {
				want = want || d >= day-90 && d <= day-2
			}
			if got := s.UsedBetween(&a, value(v), day-90, day-2); got != want {
				t.Fatalf("value %d on %d: used before %v, want %v (%v)", v, day, got, want, twin[v])
			}
			if first := s.Use(&a, value(v), day); first == twin[v][day] {
				t.Fatalf("value %d on %d: first use %v", v, day, first)
			}
			twin[v][day] = true
		}
		b := s.Append(&a, nil)
		entries, rest, err := CutNovelty(b, 256)
		if err != nil || len(rest) != 0 {
			t.Fatal(err)
		}
		var back Novelty
		back.Load(&a, entries)
		if !bytes.Equal(back.Append(&a, nil), b) {
			t.Fatal("differs after being stored")
		}
	})
}

func TestNoveltyKeepsTheNewest(t *testing.T) {
	var a slab.Arena
	var s Novelty
	for i := range 300 {
		s.Use(&a, value(i), Day(9000+i))
	}
	s.Keep(&a, 9010, 256)
	if s.Len() != 256 || s.Has(&a, value(43)) || !s.Has(&a, value(44)) || !s.Has(&a, value(299)) {
		t.Errorf("kept %d", s.Len())
	}
}

func TestRingAgainstExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ring
		twin := map[int32]uint32{}
		clock := int32(1000)
		for range rapid.IntRange(1, 100).Draw(t, "adds") {
			clock += int32(rapid.SampledFrom([]int{0, 0, 1, 2, 3, 9}).Draw(t, "pass"))
			r.Advance(clock)
			b := clock - int32(rapid.IntRange(0, 2).Draw(t, "behind"))
			n := uint32(rapid.IntRange(1, 50).Draw(t, "n"))
			before, after := r.Add(b, n)
			if before != twin[b] || after != before+n {
				t.Fatalf("bucket %d went from %d to %d, twin had %d", b, before, after, twin[b])
			}
			twin[b] += n
		}
	})
}

// A sparse sketch would be counted otherwise than the list that it stands for.
func TestDistinctRefusesSparseSketches(t *testing.T) {
	sparse, err := hyperloglog.NewSketch(precision, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		sparse.InsertHash(wide(uint32(value(i) >> 32)))
	}
	body, err := sparse.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	b := append(binary.LittleEndian.AppendUint16([]byte{version, 1}, uint16(len(body))), body...)
	if _, _, err := CutDistinct(b); !errors.Is(err, errDistinct) {
		t.Errorf("decoded with %v", err)
	}
}

func FuzzDecoders(f *testing.F) {
	var s Store
	var d Distinct
	var n Novelty
	var p Fingerprints
	for i := range 50 {
		f.Add(d.Append(&s, nil))
		d.Add(&s, value(i))
		n.Use(&s.Arena, value(i), Day(9000+i))
		p.Add(&s.Arena, value(i), 100)
	}
	f.Add(n.Append(&s.Arena, nil))
	f.Add(p.Append(&s.Arena, nil))
	for i := range 2 * Exact {
		d.Add(&s, value(i))
	}
	f.Add(d.Append(&s, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Store
		if c, rest, err := CutDistinct(data); err == nil {
			var d Distinct
			d.Load(&s, c)
			d.Count(&s)
			if d.IsExact() && !bytes.Equal(d.Append(&s, nil), data[:len(data)-len(rest)]) {
				t.Error("a distinct counter is not what was decoded")
			}
			d.Add(&s, 12345)
		}
		if entries, rest, err := CutNovelty(data, 512); err == nil {
			var n Novelty
			n.Load(&s.Arena, entries)
			if !slices.Equal(n.Append(&s.Arena, nil)[:1], data[:1]) && len(entries) < 127*entryBytes && len(rest) >= 0 {
				t.Log("a longer varint was accepted")
			}
			n.Use(&s.Arena, value(1), 9999)
		}
		if members, _, err := CutFingerprints(data); err == nil {
			var p Fingerprints
			p.Load(&s.Arena, members)
			p.Add(&s.Arena, value(1), MaxFingerprints)
		}
	})
}

func BenchmarkNoveltyUse(b *testing.B) {
	var a slab.Arena
	var s Novelty
	for i := range 12 {
		s.Use(&a, value(i), 9000)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Use(&a, value(i%12), 9001)
	}
}
