package sketch

import (
	"encoding/binary"
	"errors"

	"holdfast/detectors/slab"
)

const counterBytes = 16

// TopK finds the heaviest of many keys in the memory of k counters, by the
// space-saving algorithm (Metwally, Agrawal and El Abbadi, Efficient computation of
// frequent and top-k elements in data streams, 2005). Where a key without a counter
// comes and none is free, it takes over the smallest and its count, which is then
// its possible error. For N counted in all:
//
//   - a count is never below the true one, nor above it by more than its error;
//   - no error is above N/k, and every key heavier than N/k has a counter.
//
// Counters stand in one block, 16 bytes each: key (8), count (4), error (4). Its zero
// value is empty.
type TopK struct {
	ref slab.Ref
	n   uint8
}

// Counter is one key with its count, which is too high by Error at most.
type Counter struct {
	Key          uint64
	Count, Error uint32
}

func (t *TopK) at(a *slab.Arena, i int) Counter { return counterOf(a.Block(t.ref)[i*counterBytes:]) }

func counterOf(b []byte) Counter {
	return Counter{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])}
}

func (c Counter) put(b []byte) {
	binary.LittleEndian.PutUint64(b, c.Key)
	binary.LittleEndian.PutUint32(b[8:], c.Count)
	binary.LittleEndian.PutUint32(b[12:], c.Error)
}

// Add counts a key n times with at most k counters, k being the same every time.
func (t *TopK) Add(a *slab.Arena, key uint64, n uint32, k int) {
	least := 0
	for i := range int(t.n) {
		c := t.at(a, i)
		if c.Key == key {
			c.Count = saturate(c.Count, n)
			c.put(a.Block(t.ref)[i*counterBytes:])
			return
		}
		if c.Count < t.at(a, least).Count {
			least = i
		}
	}
	c := Counter{Key: key, Count: n}
	if int(t.n) < min(k, 255) {
		used := int(t.n) * counterBytes
		t.ref = a.Grow(t.ref, used, used+counterBytes)
		least = int(t.n)
		t.n++
	} else {
		old := t.at(a, least)
		c.Count, c.Error = saturate(old.Count, n), old.Count
	}
	c.put(a.Block(t.ref)[least*counterBytes:])
}

// Top returns the heaviest key; ok is false where nothing was counted.
func (t *TopK) Top(a *slab.Arena) (top Counter, ok bool) {
	for i := range int(t.n) {
		if c := t.at(a, i); !ok || c.Count > top.Count || c.Count == top.Count && c.Key < top.Key {
			top, ok = c, true
		}
	}
	return top, ok
}

// All calls f for each counter, in no order that means anything.
func (t *TopK) All(a *slab.Arena, f func(Counter)) {
	for i := range int(t.n) {
		f(t.at(a, i))
	}
}

// Len is the number of counters in use.
func (t *TopK) Len() int { return int(t.n) }

// Clear empties it.
func (t *TopK) Clear(a *slab.Arena) {
	a.Free(t.ref)
	*t = TopK{}
}

// Append appends the encoding: a count byte, then the counters.
func (t *TopK) Append(a *slab.Arena, dst []byte) []byte {
	dst = append(dst, t.n)
	return append(dst, a.Block(t.ref)[:int(t.n)*counterBytes]...)
}

var errTopK = errors.New("a list of counters is cut, or counts less than its errors")

// CutTopK finds an encoding at the start of src and checks it.
func CutTopK(src []byte) (counters, rest []byte, err error) {
	if len(src) == 0 || len(src) < 1+int(src[0])*counterBytes {
		return nil, nil, errTopK
	}
	n := int(src[0]) * counterBytes
	counters, rest = src[1:1+n], src[1+n:]
	for i := 0; i < n; i += counterBytes {
		if c := counterOf(counters[i:]); c.Error > c.Count {
			return nil, nil, errTopK
		}
	}
	return counters, rest, nil
}

// Load replaces it by counters that CutTopK has checked.
func (t *TopK) Load(a *slab.Arena, counters []byte) {
	t.Clear(a)
	if len(counters) > 0 {
		t.ref, t.n = a.Put(counters), uint8(len(counters)/counterBytes)
	}
}
