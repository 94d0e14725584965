package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/axiomhq/hyperloglog"

	"holdfast/detectors/slab"
)

// Exact is how many distinct values a Distinct counts exactly.
const Exact = 32

const (
	precision = 12 // 1.6 % standard error, at most 4.2 KB
	isLarge   = 1 << 15
	version   = 1
	maxLarge  = 1<<precision + 64 // bytes of a marshalled sketch, with room
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

// Distinct counts distinct hashes: exactly up to Exact, as a sorted list of eight
// bytes each, then by HyperLogLog with 2^12 registers. Its zero value is empty.
type Distinct struct {
	ref uint32 // a slab.Ref, or an index into Store.large
	n   uint16 // length of the list, or isLarge
}

func newLarge() *hyperloglog.Sketch {
	sk, err := hyperloglog.NewSketch(precision, true)
	if err != nil {
		panic(err) // the precision is a constant within its limits
	}
	return sk
}

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
	if d.n == isLarge {
		s.large[d.ref].InsertHash(h)
		s.last[d.ref] = 0
		return true
	}
	b := s.Block(slab.Ref(d.ref))
	at := 0
	for at < int(d.n) && binary.LittleEndian.Uint64(b[at*8:]) < h {
		at++
	}
	if at < int(d.n) && binary.LittleEndian.Uint64(b[at*8:]) == h {
		return false
	}
	if d.n == Exact {
		d.enlarge(s, b)
		s.large[d.ref].InsertHash(h)
		return true
	}
	used := int(d.n) * 8
	d.ref = uint32(s.Grow(slab.Ref(d.ref), used, used+8))
	b = s.Block(slab.Ref(d.ref))
	copy(b[(at+1)*8:used+8], b[at*8:used])
	binary.LittleEndian.PutUint64(b[at*8:], h)
	d.n++
	return true
}

func (d *Distinct) enlarge(s *Store, b []byte) {
	sk := newLarge()
	for i := range int(d.n) {
		sk.InsertHash(binary.LittleEndian.Uint64(b[i*8:]))
	}
	s.Free(slab.Ref(d.ref))
	d.ref, d.n = s.keep(sk), isLarge
}

// IsExact says whether Count is exact and cheap. A HyperLogLog estimate costs up
// to 75 µs: ask only when the count could have crossed a threshold.
func (d *Distinct) IsExact() bool { return d.n != isLarge }

// Count returns the number of distinct hashes, at least Exact+1 for a sketch.
// Estimating first folds the sketch's buffer in, so that the answer depends on
// the values only and not on when it was last asked.
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

// Append appends the counter's encoding: a version byte; a byte n ≤ Exact and n
// hashes, or 255, a varint length and the normalised sketch.
func (d *Distinct) Append(s *Store, dst []byte) []byte {
	if d.n != isLarge {
		dst = append(dst, version, byte(d.n))
		return append(dst, s.Block(slab.Ref(d.ref))[:int(d.n)*8]...)
	}
	sk := s.large[d.ref]
	sk.Estimate()
	b, err := sk.MarshalBinary()
	if err != nil {
		panic(err) // only a sketch that was never made refuses
	}
	dst = append(dst, version, 255)
	dst = binary.AppendUvarint(dst, uint64(len(b)))
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
	if len(src) < 2 || src[0] != version {
		return c, nil, errDistinct
	}
	if n := int(src[1]); n <= Exact {
		src = src[2:]
		if len(src) < 8*n {
			return c, nil, errDistinct
		}
		c.list = src[:8*n]
		for i := 8; i < 8*n; i += 8 {
			if binary.LittleEndian.Uint64(c.list[i-8:]) >= binary.LittleEndian.Uint64(c.list[i:]) {
				return Decoded{}, nil, errDistinct
			}
		}
		return c, src[8*n:], nil
	}
	size, w := binary.Uvarint(src[2:])
	if src[1] != 255 || w <= 0 || size > maxLarge || len(src)-2-w < int(size) {
		return c, nil, errDistinct
	}
	body := src[2+w : 2+w+int(size)]
	// The library trusts the precision that it reads: hold it to ours.
	if len(body) < 4 || body[1] != precision {
		return c, nil, errDistinct
	}
	c.large = new(hyperloglog.Sketch)
	if err := c.large.UnmarshalBinary(body); err != nil {
		return Decoded{}, nil, fmt.Errorf("%w: %w", errDistinct, err)
	}
	return c, src[2+w+int(size):], nil
}

// Load replaces the counter by a decoded one.
func (d *Distinct) Load(s *Store, c Decoded) {
	d.Clear(s)
	if c.large != nil {
		d.ref, d.n = s.keep(c.large), isLarge
		return
	}
	d.ref, d.n = uint32(s.Put(c.list)), uint16(len(c.list)/8)
}
