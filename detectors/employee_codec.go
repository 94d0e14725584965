package detectors

import (
	"math"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// employeeSections are the parts of an employee's state. A tag is never used again.
var employeeSections = []section[employee, employeeValue]{
	{tag: 1, first: true, write: (*employee).appendClock, read: (*reader).employeeClock},
	{tag: 2, first: true, write: (*employee).appendWindows, read: (*reader).employeeWindows},
	{tag: 3, first: true, write: (*employee).appendReach, read: (*reader).employeeReach},
	{tag: 4, first: true, write: func(m *employee, w *writer, s *store) { m.habits.append(w, &s.Store) }, read: func(r *reader, v *employeeValue) { v.m.habits, v.sources = r.habits() }},
}

func (m *employee) appendClock(w *writer, _ *store) {
	for _, v := range [...]uint64{uint64(m.open), uint64(m.stuck), uint64(m.frozen), uint64(m.day), uint64(m.hour), uint64(m.since)} {
		w.uint(v)
	}
	w.int(m.clock)
}

// appendWindows writes whom the employee reached recently, and has before.
func (m *employee) appendWindows(w *writer, s *store) {
	for i := range m.hours {
		m.hours[i].append(w, &s.Store)
	}
	for i := range m.days {
		m.days[i].append(w, &s.Store)
		w.series(&m.hourly[i])
		w.series(&m.daily[i])
	}
}

// appendReach writes which secrets the employee saw, from where, and when that alarmed.
func (m *employee) appendReach(w *writer, _ *store) {
	w.uint(uint64(len(m.suspect)))
	for _, d := range m.suspect {
		w.uint(uint64(d))
	}
	w.uint(uint64(len(m.seen)))
	for i := range m.seen {
		m.seen[i].append(w)
	}
	w.uint(uint64(len(m.places)))
	for _, p := range m.places {
		w.uint(p.hash)
		w.uint(uint64(p.day))
	}
}

func (x *reachWindow) append(w *writer, s *sketch.Store) {
	w.uint(uint64(x.rows))
	w.uint(uint64(x.alone))
	w.bool(x.active)
	w.uint(x.raised)
	w.b = x.customers.Append(s, w.b)
}

func (x *seen) append(w *writer) {
	w.text(x.account)
	w.text(x.credential)
	w.text(x.event)
	w.uint(uint64(x.day))
	w.bool(x.told)
	w.bool(x.live)
	w.int(x.time)
	w.int(x.arrival)
}

// employeeValue is a checked employee that is not yet in a store.
type employeeValue struct {
	m       employee
	hours   [3]sketch.Decoded
	days    [2]sketch.Decoded
	sources []byte
}

func (r *reader) employeeClock(v *employeeValue) {
	m := &v.m
	m.open, m.stuck, m.frozen = uint8(r.uint(openHours)), uint8(r.uint(frozenDays)), uint16(r.uint(frozenHours))
	m.day, m.hour, m.since = sketch.Day(r.uint(math.MaxUint16)), int32(r.uint(maxHour)), int32(r.uint(maxHour))
	m.clock = r.int()
}

func (r *reader) employeeWindows(v *employeeValue) {
	m := &v.m
	for i := range m.hours {
		m.hours[i], v.hours[i] = r.reachWindow()
	}
	for i := range m.days {
		m.days[i], v.days[i] = r.reachWindow()
		m.hourly[i], m.daily[i] = r.series(), r.series()
	}
}

func (r *reader) employeeReach(v *employeeValue) {
	m := &v.m
	for range r.uint(8) {
		m.suspect = append(m.suspect, sketch.Day(r.uint(math.MaxUint16)))
	}
	for range r.uint(maxSeen) {
		x := seen{account: r.text(schemas.MaxID), credential: r.text(schemas.MaxID), event: r.text(schemas.MaxID)}
		x.day, x.told, x.live, x.time, x.arrival = sketch.Day(r.uint(math.MaxUint16)), r.bool(), r.bool(), r.int(), r.int()
		if !r.ok {
			return
		}
		m.seen = append(m.seen, x)
	}
	for range r.uint(maxPlaces) {
		m.places = append(m.places, place{r.uint(math.MaxUint64), sketch.Day(r.uint(math.MaxUint16))})
	}
}

func (v *employeeValue) check(r *reader) {
	m := &v.m
	if m.clock < 0 || m.clock != 0 && (m.hour != hourOf(m.clock) || m.day != sketch.DayOf(m.clock) || m.since > m.hour) {
		r.fail()
	}
}

func (r *reader) reachWindow() (x reachWindow, c sketch.Decoded) {
	x.rows, x.alone, x.active = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32)), r.bool()
	x.raised = r.uint(math.MaxUint64)
	return x, r.distinct()
}

func (m *employee) load(s *sketch.Store, v *employeeValue, applied [2]int64) {
	m.forget(s)
	*m = v.m
	m.applied = applied
	m.habits.sources.Load(&s.Arena, v.sources)
	for i := range m.hours {
		m.hours[i].customers.Load(s, v.hours[i])
	}
	for i := range m.days {
		m.days[i].customers.Load(s, v.days[i])
	}
}
