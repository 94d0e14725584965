package sketch

import (
	"encoding/binary"
	"errors"

	"holdfast/detectors/slab"
)

const printBytes = 3

// MaxFingerprints is how many fingerprints fit the largest block: 64 KiB.
const MaxFingerprints = slab.MaxBlock / printBytes

// Fingerprints is a set of 24-bit fingerprints, sorted and packed, three bytes
// each. Membership depends on the values only, never on their order; another value
// is taken for a member with probability n/2^24 (0.13 % when full). Its zero value
// is empty.
type Fingerprints struct {
	ref slab.Ref
	n   uint16
}

func print24(h uint64) uint32 { return uint32(h >> 40) }

func get24(b []byte, i int) uint32 {
	b = b[i*printBytes : i*printBytes+printBytes]
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}

func put24(b []byte, i int, v uint32) {
	b = b[i*printBytes : i*printBytes+printBytes]
	b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v)
}

// Len is the number of fingerprints.
func (f *Fingerprints) Len() int { return int(f.n) }

// search returns where v stands or would stand.
func (f *Fingerprints) search(b []byte, v uint32) (int, bool) {
	lo, hi := f.near(b, v)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if get24(b, m) < v {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < int(f.n) && get24(b, lo) == v
}

// near narrows the search to where v would stand among values that are spread
// evenly, as hashes are: from the guess outwards in doubling steps. In a large set
// the guess is corrected first by how far off the value there is, as each line of memory
// that is looked at costs more than all the rest.
func (f *Fingerprints) near(b []byte, v uint32) (lo, hi int) {
	n := int(f.n)
	at := int(uint64(v) * uint64(n) >> 24)
	lo, hi = 0, n
	if n < 8 {
		return lo, hi
	}
	if n > 256 {
		off := (int64(v) - int64(get24(b, at))) * int64(n) >> 24
		at = min(max(at+int(off), 0), n-1)
	}
	if get24(b, at) < v {
		lo = at + 1
		for step := 2; at+step < n; step *= 2 {
			if get24(b, at+step) >= v {
				return lo, at + step
			}
			lo = at + step + 1
		}
		return lo, n
	}
	hi = at
	for step := 2; at-step >= 0; step *= 2 {
		if get24(b, at-step) < v {
			return at - step + 1, hi
		}
		hi = at - step
	}
	return 0, hi
}

// Touch looks at the memory that Has of each hash begins with, so that the waits for it
// overlap. What it returns means nothing, and is kept so that the look is not left out.
func (f *Fingerprints) Touch(a *slab.Arena, hashes []uint64) (touched byte) {
	if f.n == 0 {
		return 0
	}
	b := a.Block(f.ref)
	for _, h := range hashes {
		touched |= b[int(uint64(print24(h))*uint64(f.n)>>24)*printBytes]
	}
	return touched
}

// Has reports whether the hash's fingerprint is a member.
func (f *Fingerprints) Has(a *slab.Arena, h uint64) bool {
	if f.n == 0 {
		return false
	}
	_, ok := f.search(a.Block(f.ref), print24(h))
	return ok
}

// Add inserts the hash's fingerprint unless the set already has limit members,
// and reports whether it was inserted.
func (f *Fingerprints) Add(a *slab.Arena, h uint64, limit int) bool {
	v := print24(h)
	at, ok := 0, false
	if f.n > 0 {
		at, ok = f.search(a.Block(f.ref), v)
	}
	if ok || int(f.n) >= min(limit, MaxFingerprints) {
		return false
	}
	used := int(f.n) * printBytes
	f.ref = a.Grow(f.ref, used, used+printBytes)
	b := a.Block(f.ref)
	copy(b[(at+1)*printBytes:used+printBytes], b[at*printBytes:used])
	put24(b, at, v)
	f.n++
	return true
}

// AddLeast inserts the hash's fingerprint as Add does, but a full set gives up its largest
// member for a lesser one: what it holds depends on the values only, not on their order. It
// reports whether the fingerprint was inserted.
func (f *Fingerprints) AddLeast(a *slab.Arena, h uint64, limit int) bool {
	if int(f.n) < min(limit, MaxFingerprints) {
		return f.Add(a, h, limit)
	}
	if f.n == 0 {
		return false
	}
	b, v := a.Block(f.ref), print24(h)
	at, ok := f.search(b, v)
	if ok || at == int(f.n) {
		return false
	}
	copy(b[(at+1)*printBytes:int(f.n)*printBytes], b[at*printBytes:])
	put24(b, at, v)
	return true
}

// Remove takes the hash's fingerprint out.
func (f *Fingerprints) Remove(a *slab.Arena, h uint64) {
	if f.n == 0 {
		return
	}
	b := a.Block(f.ref)
	at, ok := f.search(b, print24(h))
	if !ok {
		return
	}
	copy(b[at*printBytes:], b[(at+1)*printBytes:int(f.n)*printBytes])
	if f.n--; f.n == 0 {
		f.Clear(a)
	}
}

// Merge adds all of other's members, up to limit, lowest first, and empties other.
func (f *Fingerprints) Merge(a *slab.Arena, other *Fingerprints, limit int) {
	defer other.Clear(a)
	if f.n == 0 && int(other.n) <= limit {
		*f, *other = *other, *f
		return
	}
	for i := range int(other.n) {
		f.Add(a, uint64(get24(a.Block(other.ref), i))<<40, limit)
	}
}

// Clear empties the set.
func (f *Fingerprints) Clear(a *slab.Arena) {
	a.Free(f.ref)
	*f = Fingerprints{}
}

// Append appends the set's encoding: a varint count, then the members.
func (f *Fingerprints) Append(a *slab.Arena, dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(f.n))
	return append(dst, a.Block(f.ref)[:int(f.n)*printBytes]...)
}

var errPrints = errors.New("a set of fingerprints is cut, too long or not ascending")

// CutFingerprints finds an encoding at the start of src and checks it.
func CutFingerprints(src []byte) (members, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > MaxFingerprints || len(src)-w < int(n)*printBytes {
		return nil, nil, errPrints
	}
	members = src[w : w+int(n)*printBytes]
	for i := 1; i < int(n); i++ {
		if get24(members, i-1) >= get24(members, i) {
			return nil, nil, errPrints
		}
	}
	return members, src[w+int(n)*printBytes:], nil
}

// Load replaces the set by members that CutFingerprints has checked.
func (f *Fingerprints) Load(a *slab.Arena, members []byte) {
	f.Clear(a)
	f.ref, f.n = a.Put(members), uint16(len(members)/printBytes)
}
