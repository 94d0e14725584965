package sketch

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"holdfast/detectors/slab"
)

// Against exact counts the bounds of space-saving hold, whatever comes in whatever order.
func TestTopAgainstExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var top Top
		k := rapid.IntRange(1, 40).Draw(t, "k")
		values := rapid.SampledFrom([]int{3, 20, 200}).Draw(t, "values")
		twin, total := map[uint64]uint64{}, uint64(0)
		for range rapid.IntRange(0, 600).Draw(t, "adds") {
			v := value(rapid.IntRange(0, values).Draw(t, "v") * rapid.IntRange(0, 1).Draw(t, "often"))
			n := rapid.SampledFrom([]uint32{0, 1, 1, 1, 5, 300}).Draw(t, "n")
			top.Add(&a, v, n, k)
			twin[v] += uint64(n)
			total += uint64(n)
		}
		if top.Len() > k || top.Total(&a) != total {
			t.Fatalf("%d of %d values, %d of %d counted", top.Len(), k, top.Total(&a), total)
		}
		held := map[uint64]bool{}
		for i := range top.Len() {
			x := top.At(&a, i)
			held[x.Value] = true
			if i > 0 && !top.At(&a, i-1).before(x) {
				t.Fatalf("place %d is out of order", i)
			}
			if uint64(x.Count) < twin[x.Value] || uint64(x.AtLeast()) > twin[x.Value] {
				t.Fatalf("counted %d to %d, was %d", x.AtLeast(), x.Count, twin[x.Value])
			}
			if uint64(x.Over) > total/uint64(k) {
				t.Fatalf("too high by up to %d, more than %d/%d", x.Over, total, k)
			}
		}
		for v, n := range twin {
			if n > total/uint64(k) && !held[v] {
				t.Fatalf("a value counted %d of %d times is not among %d", n, total, k)
			}
			if top.Len() > 0 && top.Sure(&a) && n > twin[top.At(&a, 0).Value] {
				t.Fatal("the first place was called certain and is not")
			}
		}
		b := top.Append(&a, nil)
		entries, rest, err := CutTop(b, k)
		if err != nil || len(rest) != 0 {
			t.Fatal(err)
		}
		var back Top
		back.Load(&a, entries)
		if !bytes.Equal(back.Append(&a, nil), b) {
			t.Fatal("differs after being stored")
		}
		top.Clear(&a)
		back.Clear(&a)
		if a.InUse() != 0 {
			t.Fatal("clearing left something behind")
		}
	})
}

// While there is room counts are exact, and the order leaves no trace.
func TestTopIsExactWhileThereIsRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var top, other Top
		adds := rapid.SliceOfN(rapid.IntRange(0, 15), 0, 100).Draw(t, "adds")
		twin := map[uint64]uint32{}
		for _, v := range adds {
			top.Add(&a, value(v), 1, 16)
			twin[value(v)]++
		}
		for _, v := range rapid.Permutation(adds).Draw(t, "order") {
			other.Add(&a, value(v), 1, 16)
		}
		if !bytes.Equal(top.Append(&a, nil), other.Append(&a, nil)) {
			t.Fatal("the order left a trace")
		}
		for i := range top.Len() {
			if x := top.At(&a, i); x.Count != twin[x.Value] || x.Over != 0 {
				t.Fatalf("%+v, was %d", x, twin[x.Value])
			}
		}
	})
}

func TestTopStaysBounded(t *testing.T) {
	var a slab.Arena
	var top Top
	for i := range 100_000 {
		top.Add(&a, value(i), 1, 1000)
	}
	top.Add(&a, 7, math.MaxUint32, 1000)
	top.Add(&a, 7, math.MaxUint32, 1000)
	if x := top.At(&a, 0); top.Len() != MaxTop || a.InUse() > 4096 || x.Value != 7 || x.Count != math.MaxUint32 {
		t.Errorf("%d values in %d bytes, the first %+v", top.Len(), a.InUse(), x)
	}
}

func FuzzTop(f *testing.F) {
	var a slab.Arena
	var top Top
	for i := range 30 {
		f.Add(top.Append(&a, nil))
		top.Add(&a, value(i%13), uint32(i), 8)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, rest, err := CutTop(data, 16)
		if err != nil {
			return
		}
		var a slab.Arena
		var top Top
		top.Load(&a, entries)
		if len(entries) < 127 && !bytes.HasSuffix(data[:len(data)-len(rest)], top.Append(&a, nil)[1:]) {
			t.Error("not what was decoded")
		}
		top.Add(&a, 1, 1, 16)
		if top.Len() > 16 {
			t.Error("more than there is room for")
		}
	})
}

// What a day taught is taken back from values that were not used before, and from
// no others; what came later stays.
func TestUnlearnAgainstExactTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var s Novelty
		twin := map[int]map[Day]bool{}
		clock := Day(9500)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			clock += Day(rapid.SampledFrom([]int{0, 1, 1, 2, 5, 30}).Draw(t, "pass"))
			for range rapid.IntRange(0, 4).Draw(t, "uses") {
				v, day := rapid.IntRange(0, 4).Draw(t, "value"), clock-Day(rapid.IntRange(0, 1).Draw(t, "behind"))
				s.Use(&a, value(v), day)
				if twin[v] == nil {
					twin[v] = map[Day]bool{}
				}
				twin[v][day] = true
			}
			if rapid.IntRange(0, 2).Draw(t, "unlearn") > 0 {
				continue
			}
			day := clock - 2
			since := day - Day(rapid.IntRange(0, 1).Draw(t, "before"))
			s.Unlearn(&a, since, day)
			for v, days := range twin {
				unlearn(days, since, day)
				if len(days) == 0 {
					delete(twin, v)
				}
			}
			for v := range 5 {
				if s.Has(&a, value(v)) != (twin[v] != nil) {
					t.Fatalf("value %d is there: %v, in the twin: %v", v, s.Has(&a, value(v)), twin[v])
				}
				for d := clock - 9; d <= clock; d++ {
					want := false
					for x := range twin[v] {
						want = want || x <= d && x+90 >= d
					}
					if got := s.UsedBetween(&a, value(v), d-90, d); got != want {
						t.Fatalf("value %d used up to %d: %v, want %v (%v)", v, d, got, want, twin[v])
					}
				}
			}
			if _, _, err := CutNovelty(s.Append(&a, nil), 16); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// unlearn is what Unlearn does to a full list of days.
func unlearn(days map[Day]bool, since, day Day) {
	for d := range days {
		if d < since {
			return
		}
	}
	latest := Day(0)
	for d := range days {
		latest = max(latest, d)
	}
	if latest < day {
		return // it was not used on the day
	}
	for d := range days {
		if d <= day {
			delete(days, d)
		}
	}
}

func TestFingerprintsAreRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a slab.Arena
		var f Fingerprints
		twin := map[uint32]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			h := value(rapid.IntRange(0, 40).Draw(t, "v"))
			if rapid.Bool().Draw(t, "remove") {
				f.Remove(&a, h)
				delete(twin, print24(h))
			} else {
				f.Add(&a, h, MaxFingerprints)
				twin[print24(h)] = true
			}
			if f.Len() != len(twin) || f.Has(&a, h) != twin[print24(h)] {
				t.Fatalf("%d members, %d in the twin", f.Len(), len(twin))
			}
		}
	})
}
