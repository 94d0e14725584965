package sketch

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"holdfast/detectors/slab"
)

// Day counts days from 1999-12-31, so that zero means never.
type Day uint16

// lastDay is some days short of what a Day can hold, so that the days after the latest
// one are later still and no loop over days can run round.
const lastDay = 65535 - 8

// DayOf returns the day of a time in Unix milliseconds, for the years 2000 to 2178.
func DayOf(ms int64) Day {
	const first = 10956 // 1999-12-31 in days since 1970
	return Day(min(max(ms/86_400_000-first, 1), lastDay))
}

// Start returns the day's start in Unix milliseconds.
func (d Day) Start() int64 { return (int64(d) + 10956) * 86_400_000 }

const entryBytes = 12

// Novelty is an exact set of values with the days on which each was used: the
// last day, each of the eight before it, and the last one before those. That is
// what it takes to answer "was it used in the 90 days that ended two days ago" for
// today and yesterday alike, whatever the order of arrival was. Entries stand
// sorted by 48-bit hash, 12 bytes each:
//
//	hash (6, big-endian) · last day (2) · use on the 8 days before (1) · older day (2) · 0 (1)
//
// Its zero value is empty.
type Novelty struct {
	ref slab.Ref
	n   uint16
}

type entry []byte

func (e entry) hash() uint64 { return binary.BigEndian.Uint64(e) >> 16 }
func (e entry) last() Day    { return Day(binary.LittleEndian.Uint16(e[6:])) }
func (e entry) older() Day   { return Day(binary.LittleEndian.Uint16(e[9:])) }
func (e entry) set(last Day, recent byte, older Day) {
	binary.LittleEndian.PutUint16(e[6:], uint16(last))
	e[8] = recent
	binary.LittleEndian.PutUint16(e[9:], uint16(older))
}

// Len is the number of values.
func (s *Novelty) Len() int { return int(s.n) }

func (s *Novelty) at(a *slab.Arena, i int) entry {
	return entry(a.Block(s.ref)[i*entryBytes : (i+1)*entryBytes])
}

// search returns where a value stands or would stand. Hashes are spread evenly, so
// that it begins where the value is most likely.
func (s *Novelty) search(a *slab.Arena, h uint64) (int, bool) {
	n := int(s.n)
	if n == 0 {
		return 0, false
	}
	b := a.Block(s.ref)[:n*entryBytes]
	at := int((h >> 32) * uint64(n) >> 32)
	h >>= 16
	// Steps that double find two entries between which it lies.
	lo, hi := at, at
	for step := 1; lo > 0 && entry(b[lo*entryBytes:]).hash() >= h; step *= 2 {
		hi, lo = lo, max(lo-step, 0)
	}
	for step := 1; hi < n && entry(b[hi*entryBytes:]).hash() < h; step *= 2 {
		lo, hi = hi+1, min(hi+step, n)
	}
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if entry(b[m*entryBytes:]).hash() < h {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < n && entry(b[lo*entryBytes:]).hash() == h
}

// Has reports whether the value is in the set, however old.
func (s *Novelty) Has(a *slab.Arena, h uint64) bool {
	_, ok := s.search(a, h)
	return ok
}

// UsedBetween reports whether the value was used on a day from a to b. The answer
// is exact for b ≥ last−8, the last day being the value's newest.
func (s *Novelty) UsedBetween(ar *slab.Arena, h uint64, from, to Day) bool {
	f := s.Find(ar, h)
	return f.UsedBetween(from, to)
}

// Found is where a value stands, or would stand, until the set changes.
type Found struct {
	at int
	e  entry // nil where it is not in the set
}

// Find looks a value up for several questions.
func (s *Novelty) Find(a *slab.Arena, h uint64) Found {
	i, ok := s.search(a, h)
	if !ok {
		return Found{at: i}
	}
	return Found{i, s.at(a, i)}
}

// In reports whether the value is in the set.
func (f *Found) In() bool { return f.e != nil }

// UsedBetween is Novelty's.
func (f *Found) UsedBetween(from, to Day) bool {
	return f.e != nil && f.e.latestUpTo(to) >= max(from, 1)
}

// UsedNear reports whether any value with the same first sixteen bits was used on a
// day from a to b.
func (s *Novelty) UsedNear(ar *slab.Arena, h uint64, from, to Day) bool {
	region := h >> 48
	i, _ := s.search(ar, region<<48)
	for ; i < int(s.n); i++ {
		e := s.at(ar, i)
		if e.hash()>>32 != region {
			return false
		}
		if e.latestUpTo(to) >= max(from, 1) {
			return true
		}
	}
	return false
}

// latestUpTo is the newest day of use that is not after to, or 0.
func (e entry) latestUpTo(to Day) Day {
	last := e.last()
	if last <= to {
		return last
	}
	if skip := int(last - to - 1); skip < 8 {
		if r := e[8] >> skip; r != 0 {
			return to - Day(bits.TrailingZeros8(r))
		}
	}
	if o := e.older(); o <= to {
		return o
	}
	return 0
}

// Use records that the value was used on a day and reports whether that day is
// new for it. A value that is not in the set yet is added; the caller sees to the
// cap. Days more than eight before the value's last are ignored.
func (s *Novelty) Use(a *slab.Arena, h uint64, day Day) (first bool) {
	return s.UseFound(a, h, s.Find(a, h), day)
}

// UseFound is Use of a value that has been looked up.
func (s *Novelty) UseFound(a *slab.Arena, h uint64, f Found, day Day) (first bool) {
	if !f.In() {
		s.insert(a, f.at, h)
		s.at(a, f.at).set(day, 0, 0)
		return true
	}
	e := f.e
	last, recent, older := e.last(), e[8], e.older()
	switch {
	case day == last:
		return false
	case day < last:
		back := int(last - day - 1)
		if back >= 8 || recent>>back&1 == 1 {
			return false
		}
		e[8] = recent | 1<<back
		return true
	}
	// Shift the uses by the days passed; what leaves the eight becomes older.
	shift := int(day - last)
	uses := uint32(recent)<<1 | 1 // bit 0: last, bit i: last−i
	if shift > 9 {
		older, recent = last, 0
	} else {
		moved := uses << (shift - 1) // bit j: used on day−1−j
		if gone := moved >> 8; gone != 0 {
			older = day - 9 - Day(bits.TrailingZeros32(gone))
		}
		recent = byte(moved)
	}
	e.set(day, recent, older)
	return true
}

func (s *Novelty) insert(a *slab.Arena, i int, h uint64) {
	used := int(s.n) * entryBytes
	s.ref = a.Grow(s.ref, used, used+entryBytes)
	b := a.Block(s.ref)
	copy(b[(i+1)*entryBytes:used+entryBytes], b[i*entryBytes:used])
	clear(b[i*entryBytes : (i+1)*entryBytes])
	var hash [8]byte
	binary.BigEndian.PutUint64(hash[:], h)
	copy(b[i*entryBytes:], hash[:6])
	s.n++
}

// Keep removes every value last used before a day, and then, oldest first (lower
// hash first within a day), what exceeds the limit.
func (s *Novelty) Keep(a *slab.Arena, since Day, limit int) {
	kept := 0
	b := a.Block(s.ref)
	for i := range int(s.n) {
		if e := s.at(a, i); e.last() >= since {
			copy(b[kept*entryBytes:], e)
			kept++
		}
	}
	s.n = uint16(kept)
	for int(s.n) > limit {
		oldest := 0
		for i := range int(s.n) {
			if s.at(a, i).last() < s.at(a, oldest).last() {
				oldest = i
			}
		}
		copy(b[oldest*entryBytes:], b[(oldest+1)*entryBytes:int(s.n)*entryBytes])
		s.n--
	}
	if s.n == 0 {
		s.Clear(a)
	}
}

// Unlearn takes back the use on a day from every value that was not used before
// since, and removes the value where it was used on no later day either. Nothing
// before since is looked at again: since is the day itself or the one before.
func (s *Novelty) Unlearn(a *slab.Arena, since, day Day) {
	b, kept := a.Block(s.ref), 0
	for i := range int(s.n) {
		if e := s.at(a, i); e.latestUpTo(max(since, 1)-1) != 0 || e.takeBack(day) {
			copy(b[kept*entryBytes:], e)
			kept++
		}
	}
	if s.n = uint16(kept); s.n == 0 {
		s.Clear(a)
	}
}

// takeBack removes the use on a day and all before it, and reports whether there
// are later ones.
func (e entry) takeBack(day Day) bool {
	last := e.last()
	if last <= day {
		return last != day && last != 0
	}
	recent := e[8]
	if keep := last - day - 1; keep < 8 {
		recent &= 1<<keep - 1
	}
	older := e.older()
	if older <= day {
		older = 0
	}
	e.set(last, recent, older)
	return true
}

// Clear empties the set.
func (s *Novelty) Clear(a *slab.Arena) {
	a.Free(s.ref)
	*s = Novelty{}
}

// Append appends the set's encoding: a varint count, then the entries.
func (s *Novelty) Append(a *slab.Arena, dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.n))
	return append(dst, a.Block(s.ref)[:int(s.n)*entryBytes]...)
}

var errNovelty = errors.New("a set of uses is cut, too long or not ascending")

// CutNovelty finds an encoding of at most limit entries at the start of src and
// checks it.
func CutNovelty(src []byte, limit int) (entries, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(limit) || len(src)-w < int(n)*entryBytes {
		return nil, nil, errNovelty
	}
	entries = src[w : w+int(n)*entryBytes]
	for i := 0; i < len(entries); i += entryBytes {
		e := entry(entries[i : i+entryBytes])
		sorted := i == 0 || entry(entries[i-entryBytes:i]).hash() < e.hash()
		if !sorted || e.last() == 0 || e[11] != 0 || e.older() != 0 && e.older()+9 > e.last() {
			return nil, nil, errNovelty
		}
	}
	return entries, src[w+len(entries):], nil
}

// Load replaces the set by entries that CutNovelty has checked.
func (s *Novelty) Load(a *slab.Arena, entries []byte) {
	s.Clear(a)
	s.ref, s.n = a.Put(entries), uint16(len(entries)/entryBytes)
}
