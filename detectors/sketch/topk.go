package sketch

import (
	"encoding/binary"
	"errors"

	"holdfast/detectors/slab"
)

// MaxTop is the most values that a Top can hold: 4 KB.
const MaxTop = 256

const topBytes = 16

// Top keeps the values that were counted most, by space-saving (A. Metwally,
// D. Agrawal and A. El Abbadi, Efficient computation of frequent and top-k elements
// in data streams, ICDT 2005). With room for k values and a total of N counted:
//
//   - a value's count is never too low, and too high by at most its Over ≤ N/k;
//   - every value counted more than N/k times is among them;
//   - counts are exact until there were more than k values.
//
// Values are 64-bit hashes, or numbers that name something by themselves. Up to k
// values the order in which they came makes no difference; beyond that it may, within
// the bounds above. Entries stand sorted, the most first, 16 bytes each:
//
//	value (8) · count (4) · over (4), little-endian
//
// Its zero value is empty.
type Top struct {
	ref slab.Ref
	n   uint16
}

// TopItem is a value with its count, which is too high by at most Over.
type TopItem struct {
	Value       uint64
	Count, Over uint32
}

// AtLeast is what the value was counted for certain.
func (x TopItem) AtLeast() uint32 { return x.Count - x.Over }

func topOf(b []byte) TopItem {
	return TopItem{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])}
}

func (x TopItem) put(b []byte) {
	binary.LittleEndian.PutUint64(b, x.Value)
	binary.LittleEndian.PutUint32(b[8:], x.Count)
	binary.LittleEndian.PutUint32(b[12:], x.Over)
}

// before orders items: the most first, equals by their values.
func (x TopItem) before(o TopItem) bool {
	return x.Count > o.Count || x.Count == o.Count && x.Value < o.Value
}

// Len is the number of values held.
func (t *Top) Len() int { return int(t.n) }

// At returns the value in a place, 0 being the one counted most.
func (t *Top) At(a *slab.Arena, place int) TopItem {
	return topOf(a.Block(t.ref)[place*topBytes : (place+1)*topBytes])
}

// Total is all that was counted, exact unless a count has reached what 32 bits hold.
func (t *Top) Total(a *slab.Arena) (n uint64) {
	for i := range int(t.n) {
		n += uint64(t.At(a, i).Count)
	}
	return n
}

// Sure reports whether the first place is certain: no other value, held or not, can
// have been counted more often.
func (t *Top) Sure(a *slab.Arena) bool {
	switch t.n {
	case 0:
		return false
	case 1:
		x := t.At(a, 0)
		return x.AtLeast() >= x.Over
	}
	return t.At(a, 0).AtLeast() >= t.At(a, 1).Count
}

// Add counts a value n more times, with room for k ≤ MaxTop values, k being the same
// each time. Where there is no room the value takes the place of the one counted
// least, and its count may be too high by that one's.
func (t *Top) Add(a *slab.Arena, value uint64, n uint32, k int) {
	if n == 0 {
		return
	}
	i := 0
	for i < int(t.n) && t.At(a, i).Value != value {
		i++
	}
	x := TopItem{Value: value, Count: n}
	switch {
	case i < int(t.n):
		x = t.At(a, i)
		x.Count = saturate(x.Count, n)
	case int(t.n) < min(k, MaxTop):
		used := int(t.n) * topBytes
		t.ref = a.Grow(t.ref, used, used+topBytes)
		t.n++
	default:
		i = int(t.n) - 1
		least := t.At(a, i).Count
		x.Count, x.Over = saturate(least, n), least
	}
	t.lift(a, i, x)
}

// lift moves an item that has grown from its place to where it belongs.
func (t *Top) lift(a *slab.Arena, i int, x TopItem) {
	b := a.Block(t.ref)
	for i > 0 && x.before(topOf(b[(i-1)*topBytes:])) {
		copy(b[i*topBytes:(i+1)*topBytes], b[(i-1)*topBytes:])
		i--
	}
	x.put(b[i*topBytes:])
}

// Clear empties the set.
func (t *Top) Clear(a *slab.Arena) {
	a.Free(t.ref)
	*t = Top{}
}

// Append appends the set's encoding: a varint count, then the entries.
func (t *Top) Append(a *slab.Arena, dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(t.n))
	return append(dst, a.Block(t.ref)[:int(t.n)*topBytes]...)
}

var errTop = errors.New("a list of those counted most is cut, too long or not in order")

// CutTop finds an encoding of at most k entries at the start of src and checks it.
func CutTop(src []byte, k int) (entries, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(min(k, MaxTop)) || len(src)-w < int(n)*topBytes {
		return nil, nil, errTop
	}
	entries, rest = src[w:w+int(n)*topBytes], src[w+int(n)*topBytes:]
	seen := make(map[uint64]bool, n)
	for i := 0; i < len(entries); i += topBytes {
		x := topOf(entries[i:])
		sorted := i == 0 || topOf(entries[i-topBytes:]).before(x)
		if !sorted || seen[x.Value] || x.Count == 0 || x.Over > x.Count {
			return nil, nil, errTop
		}
		seen[x.Value] = true
	}
	return entries, rest, nil
}

// Load replaces the set by entries that CutTop has checked.
func (t *Top) Load(a *slab.Arena, entries []byte) {
	t.Clear(a)
	t.ref, t.n = a.Put(entries), uint16(len(entries)/topBytes)
}
