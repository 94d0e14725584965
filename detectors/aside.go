package detectors

import (
	"math"
	"slices"
	"strings"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// aside is what few accounts need, kept beside their state: 16 bytes and the sets.
type aside struct {
	reported [2]sketch.Fingerprints // bounces and complaints of the clock's day and of the one before
	nobody   bool                   // nothing but failed logins was ever heard of it
	visited  sketch.Day             // the last day of these
	before   before                 // where a clock that proves wrong is taken back to
}

// beside returns what is kept beside the account, making it where there is none.
func (a *account) beside(s *store) *aside {
	if a.aside == 0 {
		a.aside = s.asides.New()
	}
	return s.asides.At(a.aside)
}

// dropAside ends what is kept beside the account.
func (a *account) dropAside(s *store) {
	if a.aside == 0 {
		return
	}
	x := s.asides.At(a.aside)
	x.reported[0].Clear(&s.Arena)
	x.reported[1].Clear(&s.Arena)
	x.before.state.clear(&s.Store)
	s.asides.Free(a.aside)
	a.aside = 0
}

// stepAside makes room for the day that has begun.
func (a *account) stepAside(s *store) {
	if a.aside == 0 {
		return
	}
	x := s.asides.At(a.aside)
	x.reported[mod2(a.day)].Clear(&s.Arena)
	if !x.nobody && x.before.state.n == 0 && x.visited+1 < a.day && x.reported[mod2(a.day-1)].Len() == 0 {
		a.dropAside(s)
	}
}

// tidyAside drops what 30 quiet days forget.
func (a *account) tidyAside(s *store) {
	if a.aside == 0 {
		return
	}
	x := s.asides.At(a.aside)
	x.reported[0].Clear(&s.Arena)
	x.reported[1].Clear(&s.Arena)
	if !x.nobody && x.before.state.n == 0 {
		a.dropAside(s)
	}
}

// isNobody reports whether nothing but failed logins was ever heard of the account.
func (a *account) isNobody(s *store) bool { return a.aside != 0 && s.asides.At(a.aside).nobody }

// visitedOn reports whether failed logins of a day may have been told one by one, as
// those at an account that nothing else was heard of.
func (a *account) visitedOn(s *store, d sketch.Day) bool {
	return a.aside != 0 && d <= s.asides.At(a.aside).visited
}

// maxVisited is how many accounts of which nothing but failed logins was heard a lane
// remembers, about 800 bytes each. Who makes up more names has it forget those that were
// tried least, so that guesses at one account are remembered beside any number of names.
const maxVisited = 2048

// unheard reports whether nothing but failed logins and facts was ever heard of the account,
// whichever of them came first.
func (a *account) unheard(s *store) bool { return a == nil || a.clock == 0 || a.isNobody(s) }

// visit notes a failed login at an account of which nothing else was ever heard, so that
// a login that succeeds after it is known for what it is. A name of which the platform
// says that it does not exist cannot be broken into, and takes no memory. Below the feature
// level schemas.LevelSections only facts are saved of such an account, and a lane that
// begins anew forgets the logins.
func (e *Engine) visit(in *schemas.Input, ev *schemas.Event, a *account, emit func(schemas.Output)) bool {
	s, ar := &e.store, &e.store.Arena
	if a == nil || !a.isNobody(s) {
		if ev.Reason == reasonUnknownUser || !ev.IP.IsValid() {
			e.tryOfNobody(in, ev, emit)
			return false
		}
		e.makeRoomForVisit()
		if a = e.findAccount(in.Key); a == nil {
			a = e.newAccount(in.Key)
		}
		a.beside(s).nobody = true
		e.visited = append(e.visited, e.byAccount.find(in.Key))
	}
	a.applied[0] = in.Offset + 1
	e.tryOfNobody(in, ev, emit)
	if a.clock != 0 && a.late(ev.Time) || !ev.IP.IsValid() {
		return true
	}
	a.advance(s, ev.Time, nil)
	d := sketch.DayOf(ev.Time)
	x := a.beside(s)
	x.visited = max(x.visited, d)
	t := try{day: d, from: e.sourceHash(ev.IP, false), user: e.userPrint(ev.User)}
	a.tries.note(ar, t, true, ev.Time)
	a.recent.drop(ar, a.clock-keepFailures*msMinute)
	a.recent.note(ar, stepOf(ev.Time), pairOf(t))
	return true
}

const reasonUnknownUser = "unknown_user"

// userPrint stands for a user, however the name is written.
func (e *Engine) userPrint(name string) uint32 {
	return uint32(e.hasher.String(schemas.NormalUser(name)))
}

// settleIn makes a somebody of an account with its first event that is not a failed
// login: its history begins there.
func (e *Engine) settleIn(a *account, ms int64) {
	e.store.asides.At(a.aside).nobody = false
	a.first, a.since = hourOf(ms), hourOf(ms)
	e.leaveVisited(func(h uint32) bool { return e.accounts.At(h) == a })
}

// forgetVisit takes an account off the list of those.
func (e *Engine) forgetVisit(key string) {
	if h := e.byAccount.find(key); h != 0 && e.accounts.At(h).isNobody(&e.store) {
		e.leaveVisited(func(o uint32) bool { return o == h })
	}
}

func (e *Engine) leaveVisited(is func(uint32) bool) {
	if i := slices.IndexFunc(e.visited, is); i >= 0 {
		last := len(e.visited) - 1
		e.visited[i] = e.visited[last]
		e.visited = e.visited[:last]
	}
}

// makeRoomForVisit forgets, of a few, the one that was tried least where there are too many.
func (e *Engine) makeRoomForVisit() {
	for len(e.visited) >= maxVisited {
		least := uint32(0)
		for range 8 {
			e.sweepVisited = (e.sweepVisited + 1) % len(e.visited)
			h := e.visited[e.sweepVisited]
			if least == 0 || e.accounts.At(h).lessTried(e.accounts.At(least), &e.store) {
				least = h
			}
		}
		e.forgetTries(least)
	}
}

// forgetTries forgets the failed logins at an account, and the account where nothing else
// was told of it.
func (e *Engine) forgetTries(h uint32) {
	a := e.accounts.At(h)
	if a.records.n == 0 {
		e.forget(e.accountKey(h), schemas.KindAccount)
		return
	}
	e.leaveVisited(func(o uint32) bool { return o == h })
	e.startAnew(a)
	a.dropAside(&e.store)
	if len(e.gone) < maxGone {
		e.gone = append(e.gone, strings.Clone(e.accountKey(h))) // to be saved as it is now
	}
}

// lessTried orders by how often the logins of the last days failed, then by time.
func (a *account) lessTried(o *account, s *store) bool {
	if x, y := a.tries.failures(&s.Arena), o.tries.failures(&s.Arena); x != y {
		return x < y
	}
	return a.clock < o.clock
}

// appendAside writes nothing for most accounts.
func (a *account) appendAside(w *writer, s *store) {
	if a.aside == 0 {
		return
	}
	x := s.asides.At(a.aside)
	w.bool(x.nobody)
	w.uint(uint64(x.visited))
	w.b = x.reported[0].Append(&s.Arena, w.b)
	w.b = x.reported[1].Append(&s.Arena, w.b)
}

// asideValue is a checked aside that is not yet in a store.
type asideValue struct {
	is       bool
	nobody   bool
	visited  sketch.Day
	reported [2][]byte
}

func (r *reader) aside() (v asideValue) {
	if len(r.b) == 0 {
		return v
	}
	v.is, v.nobody, v.visited = true, r.bool(), sketch.Day(r.uint(math.MaxUint16))
	v.reported = [2][]byte{r.prints(), r.prints()}
	return v
}

func (v *asideValue) load(a *account, s *store) {
	if !v.is {
		return
	}
	x := a.beside(s)
	x.nobody, x.visited = v.nobody, v.visited
	x.reported[0].Load(&s.Arena, v.reported[0])
	x.reported[1].Load(&s.Arena, v.reported[1])
}
