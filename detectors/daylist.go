package detectors

import (
	"encoding/binary"
	"errors"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// dayList is a short list of numbers by day, sorted, in one block. Lanes that tell
// of the past can be days behind while records are imported, so that it keeps as
// many days as fit; of too many entries the oldest goes.
//
//	day (2) · number (8), big-endian
type dayList struct {
	ref slab.Ref
	n   uint16
}

const dayBytes = 10

func (l *dayList) at(a *slab.Arena, i int) (sketch.Day, uint64) {
	b := a.Block(l.ref)[i*dayBytes:]
	return sketch.Day(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint64(b[2:])
}

// find returns where an entry stands or would stand.
func (l *dayList) find(a *slab.Arena, d sketch.Day, v uint64) (int, bool) {
	lo, hi := 0, int(l.n)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		day, x := l.at(a, m)
		if day < d || day == d && x < v {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == int(l.n) {
		return lo, false
	}
	day, x := l.at(a, lo)
	return lo, day == d && x == v
}

// add inserts an entry unless it is there.
func (l *dayList) add(a *slab.Arena, d sketch.Day, v uint64, limit int) {
	i, ok := l.find(a, d, v)
	if ok {
		return
	}
	if int(l.n) >= limit {
		if i == 0 {
			return
		}
		l.remove(a, 0)
		i--
	}
	used := int(l.n) * dayBytes
	l.ref = a.Grow(l.ref, used, used+dayBytes)
	b := a.Block(l.ref)
	copy(b[(i+1)*dayBytes:used+dayBytes], b[i*dayBytes:used])
	binary.BigEndian.PutUint16(b[i*dayBytes:], uint16(d))
	binary.BigEndian.PutUint64(b[i*dayBytes+2:], v)
	l.n++
}

func (l *dayList) remove(a *slab.Arena, i int) {
	b := a.Block(l.ref)[:int(l.n)*dayBytes]
	copy(b[i*dayBytes:], b[(i+1)*dayBytes:])
	if l.n--; l.n == 0 {
		l.clear(a)
	}
}

// drop removes entries from before a day; they stand first.
func (l *dayList) drop(a *slab.Arena, since sketch.Day) {
	gone, _ := l.find(a, since, 0)
	if gone == 0 {
		return
	}
	b := a.Block(l.ref)
	copy(b, b[gone*dayBytes:int(l.n)*dayBytes])
	if l.n -= uint16(gone); l.n == 0 {
		l.clear(a)
	}
}

// hasDay reports whether a number stands on a day.
func (l *dayList) hasDay(a *slab.Arena, d sketch.Day) bool {
	i, _ := l.find(a, d, 0)
	if i == int(l.n) {
		return false
	}
	day, _ := l.at(a, i)
	return day == d
}

// distinct is how many numbers stand on a day or the one before.
func (l *dayList) distinct(a *slab.Arena, d sketch.Day) (n int) {
	from := d - min(d, 1)
	i, _ := l.find(a, from, 0)
	for ; i < int(l.n); i++ {
		day, v := l.at(a, i)
		if day > d {
			break
		}
		if day < d {
			if _, again := l.find(a, d, v); again {
				continue
			}
		}
		n++
	}
	return n
}

func (l *dayList) clear(a *slab.Arena) {
	a.Free(l.ref)
	*l = dayList{}
}

func (l *dayList) append(s *sketch.Store, dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(l.n))
	return append(dst, s.Block(l.ref)[:int(l.n)*dayBytes]...)
}

var errDays = errors.New("a list by day is cut, too long or not in order")

func cutDays(src []byte) (list, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > maxVictims || len(src)-w < int(n)*dayBytes {
		return nil, nil, errDays
	}
	list, rest = src[w:w+int(n)*dayBytes], src[w+int(n)*dayBytes:]
	for i := dayBytes; i < len(list); i += dayBytes {
		a, b := list[i-dayBytes:i], list[i:i+dayBytes]
		if string(a) >= string(b) {
			return nil, nil, errDays
		}
	}
	return list, rest, nil
}

func (l *dayList) load(a *slab.Arena, list []byte) {
	l.clear(a)
	if len(list) > 0 {
		l.ref, l.n = a.Put(list), uint16(len(list)/dayBytes)
	}
}
