package detectors

import (
	"bytes"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// A record whose time lies far ahead moves its account's clock, and makes all that comes
// after it late. Where nothing but the record itself vouches for its time (in files: intake
// refuses live records of the future), the account's state is kept beside it as it was
// before, until three records more have come that are not late. The first that is late,
// but would not have been before, takes the account back: what was ahead has then no more
// effect than a late record. In order, and within the lateness, nothing ever goes back.
const (
	farAhead  = 3 * msDay // more than a weekend's silence
	aheadAt   = 3         // records that confirm a clock
	maxBefore = 32 << 10  // bytes of a state that is kept beside: who has more is never so long silent
)

// before is a state that may be gone back to.
type before struct {
	state records // bytes, as saved
	clock int64
	seen  uint8 // records since then that were not late
}

// inTime reports whether more than a record's own word speaks for its time.
func (e *Engine) inTime(in *schemas.Input, a *account) bool {
	return !e.cfg.Untimed && in.Origin == schemas.OriginLive && a.brought < a.hour
}

// lookAhead notes a record that is not late, before it is folded in.
func (e *Engine) lookAhead(in *schemas.Input, a *account, ms int64) {
	if a.aside != 0 {
		if x := &e.store.asides.At(a.aside).before; x.state.n > 0 {
			if x.seen++; x.seen >= aheadAt {
				x.state.clear(&e.store.Store)
				*x = before{}
			}
			return
		}
	}
	if ms-a.clock <= farAhead || e.inTime(in, a) || a.isNobody(&e.store) {
		return
	}
	w := writer{e.buf[:0]}
	appendSections(accountSections, a, &w, &e.store, schemas.LevelSections, nil)
	if e.buf = w.b; len(w.b) > maxBefore {
		return
	}
	a.beside(&e.store).before = before{state: records{e.store.Put(w.b), uint32(len(w.b))}, clock: a.clock}
}

// goBack takes an account back to where a late record is none, and reports whether there
// is such a place.
func (e *Engine) goBack(in *schemas.Input, a *account, ms int64) bool {
	if a.aside != 0 {
		if x := &e.store.asides.At(a.aside).before; x.state.n > 0 && ms >= x.clock-lateness {
			return e.goBackTo(a, x)
		}
	}
	if e.cfg.Untimed && ms < a.clock-farAhead && a.clock < hourStart(a.first+1) && !a.isNobody(&e.store) {
		e.startAnew(a) // its very first records were ahead
		e.countAhead(1)
		return true
	}
	if in.Origin == schemas.OriginLive || a.brought != 0 {
		return false
	}
	// Where nothing but failed logins was heard of it, its history has not begun.
	if a.clock-hourStart(a.first) > schemas.NewFor.Milliseconds() && !a.isNobody(&e.store) {
		return false
	}
	e.startAnew(a)
	e.countAnew()
	return true
}

func (e *Engine) goBackTo(a *account, x *before) bool {
	r, v := reader{b: bytes.Clone(x.state.bytes(&e.store.Store)), ok: true}, accountValue{}
	_, err := readSections(accountSections, &r, &v)
	if v.check(&r); err != nil || !r.ok {
		return false // of a version that wrote sections in another way
	}
	e.countAhead(int64(x.seen) + 1)
	said := a.profiles
	e.recent.forget(a)
	a.load(&e.store, &v, a.applied)
	for _, p := range said {
		if p.at != 0 {
			a.snapshot(p)
		}
	}
	return true
}

// appendBefore writes nothing for most accounts.
func (a *account) appendBefore(w *writer, s *store) {
	if a.aside == 0 {
		return
	}
	if x := &s.asides.At(a.aside).before; x.state.n > 0 {
		w.int(x.clock)
		w.byte(x.seen)
		w.text(string(x.state.bytes(&s.Store)))
	}
}

// beforeValue is a before that is not yet in a store.
type beforeValue struct {
	clock int64
	seen  uint8
	state []byte
}

func (r *reader) before() (v beforeValue) {
	if len(r.b) == 0 {
		return v
	}
	return beforeValue{r.int(), r.byte(), []byte(r.text(maxBefore))}
}

func (v *beforeValue) load(a *account, s *store) {
	if len(v.state) > 0 {
		a.beside(s).before = before{records{s.Put(v.state), uint32(len(v.state))}, v.clock, v.seen}
	}
}

// startAnew forgets everything but what snapshots and other entities said: an account that
// is new begins anew with its imported history, beside which what was seen of it so far
// says little.
func (e *Engine) startAnew(a *account) {
	e.recent.forget(a)
	a.forget(&e.store)
	a.sources.Clear(&e.store.Arena)
	a.clock, a.judged, a.away, a.quiet = 0, 0, 0, [4]sketch.Day{}
}
