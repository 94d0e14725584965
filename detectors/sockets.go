package detectors

import "math"

// sockets are the connections that an address holds: opened less closed, by the
// minute, of which those that may still change are kept apart. What was held all
// through a day is taken to be lost, not held: a gateway that dies closes what it had
// without telling anybody, and would make an address's count grow for ever.
type sockets struct {
	minute int32 // the newest
	held   int32 // at the end of the last minute that has settled
	least  int32 // so many at the end of every minute of that one's day
	before [heldMinutes - 1]int32
	open   [heldRing]int32
}

const (
	// heldRing is how many minutes may still change: the lateness and the newest.
	heldRing = int(lateness/msMinute) + 1
	// heldMinutes is at the end of how many minutes on end connections must be there to
	// count as held. A server that starts again and is done a minute later holds none.
	heldMinutes = 3
)

// note counts a connection opened or closed at a time, and shows to settled how many
// were held at the end of each minute that has settled with it and of those before it,
// where that has changed.
func (s *sockets) note(ms int64, change int32, settled func(held, minute int32)) {
	m := int32(ms / msMinute)
	if s.minute == 0 {
		s.minute = m
	}
	for s.minute < m {
		s.minute++
		s.settle(settled)
		if s.open == [heldRing]int32{} && s.before == [heldMinutes - 1]int32{s.held, s.held} {
			s.pass(m)
		}
	}
	if int(s.minute-m) < heldRing {
		x := &s.open[int(m)%heldRing]
		if change > 0 && *x < math.MaxInt32 || change < 0 && *x > math.MinInt32 {
			*x += change
		}
	}
}

// settle closes the minute in whose place another begins.
func (s *sockets) settle(settled func(held, minute int32)) {
	oldest := &s.open[int(s.minute)%heldRing]
	changed := *oldest != 0 || s.before != [heldMinutes - 1]int32{s.held, s.held}
	if dayOfMinute(s.minute-int32(heldRing)) > dayOfMinute(s.minute-int32(heldRing)-1) {
		s.beginDay()
	}
	s.before = [heldMinutes - 1]int32{s.before[1], s.held}
	s.held = int32(max(0, min(int64(s.held)+int64(*oldest), math.MaxInt32)))
	s.least = min(s.least, s.held)
	*oldest = 0
	if changed {
		settled(min(s.before[0], s.before[1], s.held), s.minute-int32(heldRing))
	}
}

// pass goes on to a minute when nothing changes in between.
func (s *sockets) pass(m int32) {
	for range min(dayOfMinute(m-int32(heldRing))-dayOfMinute(s.minute-int32(heldRing)), 2) {
		s.beginDay() // after the second nothing is held any more
	}
	s.minute = m
}

// beginDay forgets what was held all through the day before.
func (s *sockets) beginDay() {
	for i := range s.before {
		s.before[i] = max(0, s.before[i]-s.least)
	}
	s.held -= s.least
	s.least = s.held
}

func dayOfMinute(m int32) int32 { return m / (msDay / msMinute) }

// hangUp forgets the address's connections.
func (a *address) hangUp(s *store) {
	if a.held != 0 {
		s.sockets.Free(a.held)
		a.held = 0
	}
}

func (s *sockets) append(w *writer) {
	w.uint(uint64(s.minute))
	w.uint(uint64(s.held))
	w.uint(uint64(s.least))
	for _, n := range s.before {
		w.uint(uint64(n))
	}
	for _, n := range s.open {
		w.int(int64(n))
	}
}

func (r *reader) sockets() *sockets {
	s := &sockets{minute: int32(r.uint(math.MaxInt32)), held: int32(r.uint(math.MaxInt32)), least: int32(r.uint(math.MaxInt32))}
	if s.least > s.held {
		r.fail()
	}
	for i := range s.before {
		s.before[i] = int32(r.uint(math.MaxInt32))
	}
	for i := range s.open {
		n := r.int()
		if n < math.MinInt32 || n > math.MaxInt32 {
			r.fail()
		}
		s.open[i] = int32(n)
	}
	return s
}
