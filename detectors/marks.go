package detectors

import (
	"encoding/binary"
	"errors"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// mark is something that happened at a time: an odd login, a new credential, a
// place. What a and b mean is its list's business.
type mark struct {
	time int64  // Unix milliseconds
	a    uint64 // a hash: the source of a login, the credential
	b    uint64 // a hash: the user; coordinates
	kind byte
}

const (
	markBytes = 25
	maxMarks  = 16 // of one list; the newest are kept, see yield
)

// marks is a short list of marks in one block, oldest first.
type marks struct {
	ref slab.Ref
	n   uint8
}

func (l *marks) at(a *slab.Arena, i int) mark {
	b := a.Block(l.ref)[i*markBytes:]
	return mark{int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), b[24]}
}

func (l *marks) put(a *slab.Arena, i int, m mark) {
	b := a.Block(l.ref)[i*markBytes:]
	binary.LittleEndian.PutUint64(b, uint64(m.time))
	binary.LittleEndian.PutUint64(b[8:], m.a)
	binary.LittleEndian.PutUint64(b[16:], m.b)
	b[24] = m.kind
}

// before orders marks by time and then by content, so that a list is the same in
// whatever order it was told.
func (m mark) before(o mark) bool {
	switch {
	case m.time != o.time:
		return m.time < o.time
	case m.a != o.a:
		return m.a < o.a
	case m.b != o.b:
		return m.b < o.b
	}
	return m.kind < o.kind
}

// add inserts a mark unless it is there. Of too many the oldest goes, which may be
// the new one.
func (l *marks) add(a *slab.Arena, m mark) bool {
	i := int(l.n)
	for i > 0 && m.before(l.at(a, i-1)) {
		i--
	}
	if i > 0 && l.at(a, i-1) == m {
		return false
	}
	if l.n == maxMarks {
		if i == 0 {
			return false
		}
		for j := 1; j < i; j++ {
			l.put(a, j-1, l.at(a, j))
		}
		l.put(a, i-1, m)
		return true
	}
	used := int(l.n) * markBytes
	l.ref = a.Grow(l.ref, used, used+markBytes)
	l.n++
	for j := int(l.n) - 1; j > i; j-- {
		l.put(a, j, l.at(a, j-1))
	}
	l.put(a, i, m)
	return true
}

// has reports whether a mark stands in the list.
func (l *marks) has(a *slab.Arena, m mark) bool {
	for i := range int(l.n) {
		if l.at(a, i) == m {
			return true
		}
	}
	return false
}

// yield removes the oldest mark of a kind, which others go before.
func (l *marks) yield(a *slab.Arena, kind byte) {
	at := 0
	for at < int(l.n) && l.at(a, at).kind != kind {
		at++
	}
	if at == int(l.n) {
		return
	}
	for i := at + 1; i < int(l.n); i++ {
		l.put(a, i-1, l.at(a, i))
	}
	if l.n--; l.n == 0 {
		l.clear(a)
	}
}

// drop removes marks from before a time.
func (l *marks) drop(a *slab.Arena, since int64) {
	gone := 0
	for gone < int(l.n) && l.at(a, gone).time < since {
		gone++
	}
	if gone == 0 {
		return
	}
	for i := gone; i < int(l.n); i++ {
		l.put(a, i-gone, l.at(a, i))
	}
	if l.n -= uint8(gone); l.n == 0 {
		l.clear(a)
	}
}

func (l *marks) clear(a *slab.Arena) {
	a.Free(l.ref)
	*l = marks{}
}

func (l *marks) append(s *sketch.Store, dst []byte) []byte {
	dst = append(dst, l.n)
	return append(dst, s.Block(l.ref)[:int(l.n)*markBytes]...)
}

var errMarks = errors.New("a list of marks is cut, too long or not in order")

func cutMarks(src []byte) (list, rest []byte, err error) {
	if len(src) == 0 || src[0] > maxMarks || len(src) < 1+int(src[0])*markBytes {
		return nil, nil, errMarks
	}
	n := int(src[0]) * markBytes
	list, rest = src[1:1+n], src[1+n:]
	for i := markBytes; i < n; i += markBytes {
		if !markOf(list[i-markBytes:]).before(markOf(list[i:])) {
			return nil, nil, errMarks
		}
	}
	return list, rest, nil
}

func markOf(b []byte) mark {
	return mark{int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), b[24]}
}

func (l *marks) load(a *slab.Arena, list []byte) {
	l.clear(a)
	if len(list) > 0 {
		l.ref, l.n = a.Put(list), uint8(len(list)/markBytes)
	}
}
