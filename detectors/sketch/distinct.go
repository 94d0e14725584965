package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/axiomhq/hyperloglog"

	"holdfast/detectors/slab"
)

// Exact is how many distinct values a Distinct counts exactly: as a list they take as
// much as a sketch does.
const Exact = 1024

const (
	precision = 12 // 1.6 % standard error, at most 4.2 KB
	isLarge   = 1 << 15
	version   = 3
	maxLarge  = 1<<precision + 64 // bytes of a marshalled sketch, with room
	listBytes = 4
)

// Store is where the values of many Distincts live: small ones in the arena, and
// those that outgrew it as HyperLogLog sketches. Its zero value is ready.
type Store struct {
	slab.Arena
	large []*hyperloglog.Sketch
	last  []uint32 // what each of them was last counted as, 0 where it has grown since
	free  []uint32
}

// Large is the number of live HyperLogLog sketches.
func (s *Store) Large() int { return len(s.large) - len(s.free) }

// Distinct counts distinct hashes by their first 32 bits: exactly up to Exact, as a
// sorted list, then by HyperLogLog with 2^12 registers. Two hashes are taken for one
// with probability 2^-32. Its zero value is empty.
type Distinct struct {
	ref uint32 // a slab.Ref, or an index into Store.large
	n   uint16 // length of the list, or isLarge
}

func newLarge() *hyperloglog.Sketch {
	// Not sparse: merging such a sketch's buffer costs more than all else here.
	sk, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		panic(err) // the precision is a constant within its limits
	}
	return sk
}

// wide spreads the 32 bits that stand for a value over the 64 that a sketch takes
// (the finaliser of splitmix64), as the last bits would never be set otherwise.
func wide(v uint32) uint64 {
	h := uint64(v) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func listed(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i*listBytes:]) }

func (s *Store) keep(sk *hyperloglog.Sketch) uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.large[i], s.last[i] = sk, 0
		return i
	}
	s.large, s.last = append(s.large, sk), append(s.last, 0)
	return uint32(len(s.large) - 1)
}

// Add inserts a hash. fresh says that the count may have grown: for certain
// while it is exact, possibly afterwards.
func (d *Distinct) Add(s *Store, h uint64) (fresh bool) {
	v := uint32(h >> 32)
	if d.n == isLarge {
		s.large[d.ref].InsertHash(wide(v))
		s.last[d.ref] = 0
		return true
	}
	b := s.Block(slab.Ref(d.ref))
	n := int(d.n)
	at := int(uint64(v) * uint64(n) >> 32) // where it is most likely
	for at > 0 && listed(b, at-1) >= v {
		at--
	}
	for at < n && listed(b, at) < v {
		at++
	}
	if at < n && listed(b, at) == v {
		return false
	}
	if n == Exact {
		d.enlarge(s, b)
		s.large[d.ref].InsertHash(wide(v))
		return true
	}
	used := n * listBytes
	d.ref = uint32(s.Grow(slab.Ref(d.ref), used, used+listBytes))
	b = s.Block(slab.Ref(d.ref))
	copy(b[(at+1)*listBytes:used+listBytes], b[at*listBytes:used])
	binary.LittleEndian.PutUint32(b[at*listBytes:], v)
	d.n++
	return true
}

func (d *Distinct) enlarge(s *Store, b []byte) {
	sk := newLarge()
	for i := range int(d.n) {
		sk.InsertHash(wide(listed(b, i)))
	}
	s.Free(slab.Ref(d.ref))
	d.ref, d.n = s.keep(sk), isLarge
}

// IsExact says whether Count is exact and cheap. A HyperLogLog estimate costs up
// to 75 µs: ask only when the count could have crossed a threshold.
func (d *Distinct) IsExact() bool { return d.n != isLarge }

// Count returns the number of distinct hashes, at least Exact+1 for a sketch. It
// depends on the values only, and not on when it was last asked.
func (d *Distinct) Count(s *Store) uint64 {
	if d.n != isLarge {
		return uint64(d.n)
	}
	if s.last[d.ref] == 0 {
		s.last[d.ref] = uint32(max(s.large[d.ref].Estimate(), Exact+1))
	}
	return uint64(s.last[d.ref])
}

// Clear empties the counter.
func (d *Distinct) Clear(s *Store) {
	if d.n == isLarge {
		s.large[d.ref] = nil
		s.free = append(s.free, d.ref)
	} else {
		s.Free(slab.Ref(d.ref))
	}
	*d = Distinct{}
}

// Append appends the counter's encoding: a version byte; a byte 0 and n ≤ Exact values of
// four bytes, or a byte 1 and the sketch. Before these stand, in two bytes, n or the
// sketch's length.
func (d *Distinct) Append(s *Store, dst []byte) []byte {
	if d.n != isLarge {
		dst = binary.LittleEndian.AppendUint16(append(dst, version, 0), d.n)
		return append(dst, s.Block(slab.Ref(d.ref))[:int(d.n)*listBytes]...)
	}
	b, err := s.large[d.ref].MarshalBinary()
	if err != nil {
		panic(err) // only a sketch that was never made refuses
	}
	dst = binary.LittleEndian.AppendUint16(append(dst, version, 1), uint16(len(b)))
	return append(dst, b...)
}

// Decoded is a checked encoding of a Distinct that is not yet in a Store.
type Decoded struct {
	list  []byte
	large *hyperloglog.Sketch
}

var errDistinct = errors.New("a distinct counter is cut or damaged")

// CutDistinct decodes and checks an encoding at the start of src.
func CutDistinct(src []byte) (c Decoded, rest []byte, err error) {
	if len(src) < 4 || src[0] != version || src[1] > 1 {
		return c, nil, errDistinct
	}
	large, n, src := src[1] == 1, int(binary.LittleEndian.Uint16(src[2:])), src[4:]
	if !large {
		if n > Exact || len(src) < n*listBytes {
			return c, nil, errDistinct
		}
		c.list, rest = src[:n*listBytes], src[n*listBytes:]
		for i := 1; i < n; i++ {
			if listed(c.list, i-1) >= listed(c.list, i) {
				return Decoded{}, nil, errDistinct
			}
		}
		return c, rest, nil
	}
	if n > maxLarge || len(src) < n {
		return c, nil, errDistinct
	}
	body := src[:n]
	// The library trusts what it reads: hold it to our precision, and to dense sketches.
	if len(body) < 4 || body[1] != precision || body[3] != 0 {
		return c, nil, errDistinct
	}
	c.large = new(hyperloglog.Sketch)
	if err := c.large.UnmarshalBinary(body); err != nil {
		return Decoded{}, nil, fmt.Errorf("%w: %w", errDistinct, err)
	}
	return c, src[n:], nil
}

// Load replaces the counter by a decoded one.
func (d *Distinct) Load(s *Store, c Decoded) {
	d.Clear(s)
	if c.large != nil {
		d.ref, d.n = s.keep(c.large), isLarge
		return
	}
	d.ref, d.n = uint32(s.Put(c.list)), uint16(len(c.list)/listBytes)
}
