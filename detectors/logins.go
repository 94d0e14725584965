package detectors

import (
	"bytes"
	"encoding/binary"
	"errors"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// logins are an account's attempts to sign in, by source, user and day: how many
// failed, and whether one succeeded. Entries stand sorted, 20 bytes each:
//
//	day (2) · source (8) · user (4) · failures (4) · flags (1) · stretches (1)
//
// A bit of the last byte says that some failed within three hours of the day.
//
// At the cap a further pair that fails takes the place of one that has failed only once,
// so that names that nobody has hide nobody's guesses. What has no place is counted
// together, as of one source that is known and one that is not.
type logins struct {
	ref slab.Ref
	n   uint16
}

const (
	tryBytes = 20
	maxTries = 128 // 2.5 KB
)

// What an entry's flags say.
const (
	tryOK    = 1 << iota // one succeeded
	tryKnown             // the account knew the source
)

type try struct {
	day   sketch.Day
	from  uint64
	user  uint32
	fails uint32
	flags byte
	three byte // of the day's stretches of three hours, those with failures
}

func tryOf(b []byte) try {
	return try{sketch.Day(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint64(b[2:]), binary.BigEndian.Uint32(b[10:]), binary.LittleEndian.Uint32(b[14:]), b[18], b[19]}
}

func (t try) put(b []byte) {
	binary.BigEndian.PutUint16(b, uint16(t.day))
	binary.BigEndian.PutUint64(b[2:], t.from)
	binary.BigEndian.PutUint32(b[10:], t.user)
	binary.LittleEndian.PutUint32(b[14:], t.fails)
	b[18], b[19] = t.flags, t.three
}

// keyBytes is how much of an entry says what it is of, in the order of entries.
const keyBytes = 14

func (t try) key() (k [keyBytes]byte) {
	var b [tryBytes]byte
	t.put(b[:])
	return [keyBytes]byte(b[:])
}

func keyAt(b []byte, i int) []byte { return b[i*tryBytes : i*tryBytes+keyBytes] }

func (l *logins) at(a *slab.Arena, i int) try { return tryOf(a.Block(l.ref)[i*tryBytes:]) }

// find returns where the entry of a day, source and user stands or would stand.
func (l *logins) find(a *slab.Arena, t try) (int, bool) {
	want, b := t.key(), a.Block(l.ref)
	lo, hi := 0, int(l.n)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if bytes.Compare(keyAt(b, m), want[:]) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < int(l.n) && bytes.Equal(keyAt(b, lo), want[:])
}

// note counts one attempt and returns its entry as it is now.
func (l *logins) note(a *slab.Arena, t try, failed bool, ms int64) try {
	lo, ok := l.find(a, t)
	if !ok {
		if l.n >= maxTries && (!failed || !l.yield(a, t)) {
			t = t.others() // all further ones together
		}
		lo = l.insert(a, t)
	}
	b := a.Block(l.ref)[lo*tryBytes:]
	now := tryOf(b)
	now.flags |= t.flags
	if failed {
		now.fails = plus(now.fails, 1)
		now.three |= 1 << (uint64(ms/(3*msHour)) % 8)
	} else {
		now.flags |= tryOK
	}
	now.put(b)
	return now
}

// insert makes an entry unless it is there and returns where it stands.
func (l *logins) insert(a *slab.Arena, t try) int {
	at, ok := l.find(a, t)
	if ok {
		return at
	}
	used := int(l.n) * tryBytes
	l.ref = a.Grow(l.ref, used, used+tryBytes)
	b := a.Block(l.ref)
	copy(b[(at+1)*tryBytes:used+tryBytes], b[at*tryBytes:used])
	try{day: t.day, from: t.from, user: t.user}.put(b[at*tryBytes:])
	l.n++
	return at
}

// others is the entry of a day's attempts that have none of their own.
func (t try) others() try {
	o := try{day: t.day, from: otherSources, user: ^uint32(0), flags: t.flags & tryKnown}
	if o.flags != 0 {
		o.from-- // known ones apart: they say nothing of the unknown
	}
	return o
}

// otherSources stands for all sources that have no entry of their own, and the number
// below it for those of them that the account knows.
const otherSources = ^uint64(0)

// yield makes room for another pair by counting one that has failed once, and never
// succeeded, among the others. Which one is as good as drawn: nobody can choose it.
func (l *logins) yield(a *slab.Arena, t try) bool {
	n := int(l.n)
	for i := range n {
		at := (int(t.user%uint32(n)) + i) % n
		x := l.at(a, at)
		if x.fails != 1 || x.flags&tryOK != 0 || x.from >= otherSources-1 {
			continue
		}
		b := a.Block(l.ref)
		copy(b[at*tryBytes:], b[(at+1)*tryBytes:n*tryBytes])
		l.n--
		at = l.insert(a, x.others())
		o := l.at(a, at)
		o.fails, o.flags, o.three = plus(o.fails, x.fails), o.flags|x.flags, o.three|x.three
		o.put(a.Block(l.ref)[at*tryBytes:])
		return true
	}
	return false
}

// drop removes entries from before a day; they stand first.
func (l *logins) drop(a *slab.Arena, since sketch.Day) {
	gone := 0
	for gone < int(l.n) && l.at(a, gone).day < since {
		gone++
	}
	if gone == 0 {
		return
	}
	b := a.Block(l.ref)
	copy(b, b[gone*tryBytes:int(l.n)*tryBytes])
	if l.n -= uint16(gone); l.n == 0 {
		l.clear(a)
	}
}

// has reports whether there were attempts of a source and user on a day.
func (l *logins) has(a *slab.Arena, t try) bool {
	_, ok := l.find(a, t)
	return ok
}

// pair sums a source's and user's attempts of a day and the one before.
func (l *logins) pair(a *slab.Arena, t try) (fails uint32, flags byte) {
	for _, d := range [...]sketch.Day{t.day - 1, t.day} {
		t.day = d
		if at, ok := l.find(a, t); ok {
			x := l.at(a, at)
			fails, flags = plus(fails, x.fails), flags|x.flags
		}
	}
	return fails, flags
}

// stretches is in how many stretches of three hours that ended by a time a source and
// user failed, on a day and the one before.
func (l *logins) stretches(a *slab.Arena, t try, by int64) (n int) {
	for i := range int(l.n) {
		x := l.at(a, i)
		if x.from != t.from || x.user != t.user || x.day != t.day && x.day+1 != t.day {
			continue
		}
		for k := range int64(8) {
			if x.three&(1<<k) != 0 && x.day.Start()+(k+1)*3*msHour <= by {
				n++
			}
		}
	}
	return n
}

// failures sums all.
func (l *logins) failures(a *slab.Arena) (fails uint32) {
	for i := range int(l.n) {
		fails = plus(fails, l.at(a, i).fails)
	}
	return fails
}

// unknown sums the failures from sources unknown to the account on a day.
func (l *logins) unknown(a *slab.Arena, day sketch.Day) (fails uint32) {
	for i := range int(l.n) {
		if x := l.at(a, i); x.day == day && x.flags&tryKnown == 0 {
			fails = plus(fails, x.fails)
		}
	}
	return fails
}

func (l *logins) clear(a *slab.Arena) {
	a.Free(l.ref)
	*l = logins{}
}

func (l *logins) append(s *sketch.Store, dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(l.n))
	return append(dst, s.Block(l.ref)[:int(l.n)*tryBytes]...)
}

var errLogins = errors.New("a list of login attempts is cut, too long or not in order")

func cutLogins(src []byte) (list, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	// One entry a day for the pairs beyond the cap comes on top.
	if w <= 0 || n > maxPairs || len(src)-w < int(n)*tryBytes {
		return nil, nil, errLogins
	}
	list, rest = src[w:w+int(n)*tryBytes], src[w+int(n)*tryBytes:]
	for i := 1; i < int(n); i++ {
		if bytes.Compare(keyAt(list, i-1), keyAt(list, i)) >= 0 {
			return nil, nil, errLogins
		}
	}
	return list, rest, nil
}

func (l *logins) load(a *slab.Arena, list []byte) {
	l.clear(a)
	if len(list) > 0 {
		l.ref, l.n = a.Put(list), uint16(len(list)/tryBytes)
	}
}
