package detectors

import (
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// failures are an account's failed logins of the last twenty minutes of its clock, in
// steps of a second, so that those after a success can be told from those before it
// in whatever order they arrive. The block has their number (2) and then the entries,
// sorted, 16 bytes each:
//
//	step (4) · pair (8) · failures (4)
//
// At the cap further ones are counted as of every pair, by ten seconds: a success then
// seems to have followed fewer than it did.
type failures struct{ ref slab.Ref }

const (
	failureBytes = 16
	maxFailures  = 256              // and those beyond the cap: 6 KB, for twenty minutes
	msStep       = 1000             // of failures
	coarse       = 10               // steps, beyond the cap
	guessMinutes = 10               // how long before a success guesses count as such
	anyPair      = ^uint64(0)       // beyond the cap
	keepFailures = 2 * guessMinutes // the lateness, and the time before a success that may be so late
)

func stepOf(ms int64) uint32 { return uint32(ms / msStep) }

// pairOf names a source and user; the last bit says whether the account knows the source.
func pairOf(t try) uint64 {
	p := (t.from ^ uint64(t.user)*0x9e3779b97f4a7c15) &^ 1
	if t.flags&tryKnown != 0 {
		p |= 1
	}
	return p
}

type failure struct {
	step  uint32
	pair  uint64
	count uint32
}

func failureOf(b []byte) failure {
	return failure{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), binary.LittleEndian.Uint32(b[12:])}
}

func (f failure) put(b []byte) {
	binary.BigEndian.PutUint32(b, f.step)
	binary.BigEndian.PutUint64(b[4:], f.pair)
	binary.LittleEndian.PutUint32(b[12:], f.count)
}

func (f failure) before(o failure) bool {
	return f.step < o.step || f.step == o.step && f.pair < o.pair
}

// entries is the block after its first two bytes, of which the list has n.
func (l *failures) entries(a *slab.Arena) (entries []byte, n int) {
	if l.ref == 0 {
		return nil, 0
	}
	b := a.Block(l.ref)
	return b[2:], int(binary.LittleEndian.Uint16(b))
}

// place returns where an entry stands or would stand.
func (l *failures) place(a *slab.Arena, f failure) (int, bool) {
	b, n := l.entries(a)
	i := n
	for i > 0 && !failureOf(b[(i-1)*failureBytes:]).before(f) {
		i--
	}
	return i, i < n && !f.before(failureOf(b[i*failureBytes:]))
}

// note counts a failed login.
func (l *failures) note(a *slab.Arena, step uint32, pair uint64) {
	f := failure{step: step, pair: pair}
	_, n := l.entries(a)
	i, ok := l.place(a, f)
	if !ok && n >= maxFailures {
		f.pair, f.step = anyPair, (step/coarse+1)*coarse
		i, ok = l.place(a, f)
	}
	if !ok {
		used := n * failureBytes
		if l.ref == 0 {
			l.ref = a.Alloc(2 + failureBytes)
		} else {
			l.ref = a.Grow(l.ref, 2+used, 2+used+failureBytes)
		}
		b := a.Block(l.ref)
		binary.LittleEndian.PutUint16(b, uint16(n+1))
		copy(b[2+(i+1)*failureBytes:2+used+failureBytes], b[2+i*failureBytes:2+used])
		f.put(b[2+i*failureBytes:])
	}
	b := a.Block(l.ref)[2+i*failureBytes:]
	f = failureOf(b)
	f.count = plus(f.count, 1)
	f.put(b)
}

// of sums a pair's failures from one step up to, but not with, another.
func (l *failures) of(a *slab.Arena, pair uint64, from, to uint32) (n uint32) {
	return l.sum(a, from, to, func(p uint64) bool { return p|1 == pair|1 })
}

// unknown sums those of all sources that the account does not know.
func (l *failures) unknown(a *slab.Arena, from, to uint32) (n uint32) {
	return l.sum(a, from, to, func(p uint64) bool { return p&1 == 0 })
}

func (l *failures) sum(a *slab.Arena, from, to uint32, counts func(pair uint64) bool) (n uint32) {
	b, entries := l.entries(a)
	for i := range entries {
		if f := failureOf(b[i*failureBytes:]); f.step >= from && f.step < to && (f.pair == anyPair || counts(f.pair)) {
			n = plus(n, f.count)
		}
	}
	return n
}

// drop forgets what is older than a time.
func (l *failures) drop(a *slab.Arena, before int64) {
	gone, since := 0, stepOf(max(before, 0))
	b, n := l.entries(a)
	for gone < n && failureOf(b[gone*failureBytes:]).step < since {
		gone++
	}
	if gone == 0 {
		return
	}
	if gone == n {
		l.clear(a)
		return
	}
	copy(b, b[gone*failureBytes:n*failureBytes])
	binary.LittleEndian.PutUint16(a.Block(l.ref), uint16(n-gone))
}

func (l *failures) clear(a *slab.Arena) {
	a.Free(l.ref)
	*l = failures{}
}

func (l *failures) append(s *sketch.Store, dst []byte) []byte {
	b, n := l.entries(&s.Arena)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n))
	return append(dst, b[:n*failureBytes]...)
}

var errFailures = errors.New("a list of failed logins is cut, too long or not in order")

// cutFailures cuts the number and the entries off.
func cutFailures(src []byte) (list, rest []byte, err error) {
	if len(src) < 2 {
		return nil, nil, errFailures
	}
	n := int(binary.LittleEndian.Uint16(src))
	if n > 2*maxFailures || len(src) < 2+n*failureBytes {
		return nil, nil, errFailures
	}
	list, rest = src[:2+n*failureBytes], src[2+n*failureBytes:]
	for i := 2 + failureBytes; i < len(list); i += failureBytes {
		if !failureOf(list[i-failureBytes:]).before(failureOf(list[i:])) {
			return nil, nil, errFailures
		}
	}
	return list, rest, nil
}

func (l *failures) load(a *slab.Arena, list []byte) {
	l.clear(a)
	if len(list) > 2 {
		l.ref = a.Put(list)
	}
}

// Kinds of successful login.
const (
	enteredKnown   byte = iota + 1
	enteredUnknown          // from a source that the account does not know
	enteredGuessed byte = 4 // is added where guesses went before
)

// enter notes a login that succeeded, once. Of too many the oldest of those that
// nothing speaks against goes first: a busy morning forgets no login that was guessed.
func (v *accountView) enter(t try) {
	a, ar := v.account, &v.e.store.Arena
	m := mark{time: v.event.Time, a: t.from, b: uint64(t.user), kind: enteredKnown}
	if t.flags&tryKnown == 0 && !v.learning() {
		m.kind = enteredUnknown
	}
	a.entered.drop(ar, a.clock-max((attendedHours+2)*msHour, int64(v.dayP.Fresh.Minutes)*msMinute+2*lateness))
	guessed := m
	guessed.kind |= enteredGuessed
	if !a.entered.has(ar, guessed) {
		if a.entered.n == maxMarks {
			a.entered.yield(ar, enteredKnown)
		}
		a.entered.add(ar, m)
	}
}

// judgeEntered looks at the successes that failures may still come before. How many
// came before each only grows, whatever arrives first.
func (v *accountView) judgeEntered(t try) {
	a, ar := v.account, &v.e.store.Arena
	for i := range int(a.entered.n) {
		o := a.entered.at(ar, i)
		if stepOf(o.time) < stepOf(a.clock-lateness) {
			continue
		}
		if o.a == t.from && o.b == uint64(t.user) {
			v.judgeEntry(i, o)
		}
		if d := sketch.DayOf(o.time); !v.account.days[mod2(d)].given().has(measureGuesses, 3) {
			v.judgeBreach(d, o)
		}
	}
}

// judgeEntry looks at one success of the event's source and user.
func (v *accountView) judgeEntry(i int, o mark) {
	a, ar := v.account, &v.e.store.Arena
	t := v.tryOf(o)
	before := float64(v.failedBefore(t, o.time))
	_, flags := a.tries.pair(ar, t)
	p := &v.e.versions.at(t.day.Start()).Takeover
	some, many := p.limits(flags)
	if before >= many {
		v.guessed(t.day, 3, before, many, v.guesses(before, before))
	}
	if before < some || o.kind&enteredGuessed != 0 || flags&tryKnown != 0 && v.corrected(t, o.time, some) {
		return
	}
	o.kind |= enteredGuessed
	a.entered.put(ar, i, o)
}

// corrected reports whether a success from a source that the account knows looks like a
// program's whose password was out of date: it failed in two or more stretches of three
// hours before, or not often enough in the last minutes to be somebody's guesses.
func (v *accountView) corrected(t try, at int64, some float64) bool {
	a, ar, to := v.account, &v.e.store.Arena, stepOf(at)
	if float64(a.recent.of(ar, pairOf(t), to-guessMinutes*msMinute/msStep, to)) < some {
		return true
	}
	return a.tries.stretches(ar, t, at-lateness) >= 2
}

// judgeBreach looks at a success from one of many unknown sources that guessed together.
func (v *accountView) judgeBreach(d sketch.Day, o mark) {
	a, ar := v.account, &v.e.store.Arena
	t := v.tryOf(o)
	p := &v.e.versions.at(d.Start()).Takeover
	all := a.tries.unknown(ar, d)
	if float64(all) < p.Distributed {
		return
	}
	if own, flags := a.tries.pair(ar, t); own == 0 || flags&tryKnown != 0 || v.failedBefore(t, o.time) == 0 {
		return
	}
	after := a.recent.unknown(ar, stepOf(o.time), stepOf((d + 1).Start()))
	if before := float64(all - min(after, all)); before >= p.Distributed {
		v.guessed(d, 3, before, p.Distributed, fmt.Sprintf("%s within a day from sources that the account does not know, then a successful one from such a source", things(before, "failed login")))
	}
}

func (v *accountView) tryOf(o mark) try {
	return try{day: sketch.DayOf(o.time), from: o.a, user: uint32(o.b)}
}

// failedBefore is how often a source and user failed on a success's day and the one
// before until it came. The success must be younger than the lateness.
func (v *accountView) failedBefore(t try, at int64) uint32 {
	a, ar := v.account, &v.e.store.Arena
	fails, _ := a.tries.pair(ar, t)
	after := a.recent.of(ar, pairOf(t), stepOf(at), stepOf((t.day + 1).Start()))
	return fails - min(after, fails)
}

// wasGuessed reports whether a login came of guesses.
func (o mark) wasGuessed() bool { return o.kind&enteredGuessed != 0 }

// guesses says how many logins failed and whether one succeeded before or after.
func (v *accountView) guesses(n, before float64) string {
	order := "after a successful one"
	switch {
	case before >= n:
		order = "then a successful one"
	case before > 0:
		order = fmt.Sprintf("%s of them before a successful one", count(before))
	}
	return fmt.Sprintf("%s of user %s from %s, %s", things(n, "failed login"), shown(v.event.User), schemas.IPKey(v.event.IP), order)
}

// before is the most failures of a source and user that a recent success came after.
func (v *accountView) before(t try) (most float64) {
	a, ar := v.account, &v.e.store.Arena
	for i := range int(a.entered.n) {
		if o := a.entered.at(ar, i); o.a == t.from && o.b == uint64(t.user) && sketch.DayOf(o.time) == t.day && stepOf(o.time) >= stepOf(a.clock-lateness) {
			most = max(most, float64(v.failedBefore(v.tryOf(o), o.time)))
		}
	}
	return most
}
