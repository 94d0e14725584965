package detectors

import (
	"slices"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
)

// Caps of an employee's parts. Employees are few, so their state is a plain
// struct; the caps bound it at 256 KB for one who reads everything.
const (
	maxSeen    = 512 // secrets of customers seen in three days; beyond it the same may be told twice
	maxPlaces  = 256 // (address, day) pairs of three days
	reachHours = 28 * 24
)

// reachWindow is whom an employee reached in an hour or a day.
type reachWindow struct {
	customers sketch.Distinct
	rows      uint32 // of bulk reads
	alone     uint32 // accesses without a ticket
	active    bool
	raised    uint64
}

func (w *reachWindow) clear(s *sketch.Store) {
	w.customers.Clear(s)
	*w = reachWindow{}
}

func (w *reachWindow) count(s *sketch.Store) float64 {
	return float64(w.customers.Count(s)) + float64(w.rows)
}

// seen is one customer's secret that the employee saw on a day.
type seen struct {
	account, credential string
	day                 sketch.Day
	told                bool // the account knows that the employee is suspect
	time, arrival       int64
	live                bool
	event               string
}

// place is an address that the employee used on a day.
type place struct {
	hash uint64
	day  sketch.Day
}

// employee is the state of one employee; see account for the two pasts.
type employee struct {
	day     sketch.Day
	hour    int32
	since   int32
	clock   int64
	open    uint8
	frozen  uint16
	stuck   uint8
	applied [2]int64
	hours   [3]reachWindow
	days    [2]reachWindow
	hourly  [2]baseline.Series
	daily   [2]baseline.Series
	suspect []sketch.Day // days on which reach alarmed, sorted
	seen    []seen
	places  []place
	habits  staffHabits
}

func (m *employee) late(t int64) bool { return t < m.clock-lateness }

func (m *employee) free(s *sketch.Store) { m.forget(s) }

func (m *employee) forget(s *sketch.Store) {
	for i := range m.hours {
		m.hours[i].clear(s)
	}
	for i := range m.days {
		m.days[i].clear(s)
	}
	m.hourly, m.daily = [2]baseline.Series{}, [2]baseline.Series{}
	m.suspect, m.seen, m.places = nil, nil, nil
	m.open, m.frozen, m.stuck = 0, 0, 0
	m.habits.clear(s)
}

func (m *employee) advance(s *sketch.Store, t int64) {
	h, d := hourOf(t), sketch.DayOf(t)
	switch {
	case m.clock == 0:
		m.since, m.hour, m.day = h, h, d
	case h-m.hour > forgetHours:
		m.forget(s)
		m.since, m.hour, m.day = h, h, d
	}
	m.since = min(m.since, h)
	for m.hour < h {
		m.hour++
		m.stepHour(s)
	}
	for m.day < d {
		m.day++
		m.stepDay(s)
	}
	m.clock = max(m.clock, t)
}

func (m *employee) stepHour(s *sketch.Store) {
	m.hours[mod3(m.hour)].clear(s)
	m.hourly[0] = m.hourly[1]
	settled := m.hour - 2
	if settled < m.since {
		return
	}
	w := &m.hours[mod3(settled)]
	m.habits.stepHour(settled, w.active)
	switch {
	case w.raised != 0:
		m.open = openHours
	case m.open > 0:
		m.open--
	default:
		m.frozen -= min(m.frozen, 1)
		m.hourly[1].Add(w.count(s), reachHours)
		return
	}
	if m.frozen >= frozenHours {
		m.hourly[1].Add(w.count(s), reachHours)
		return
	}
	m.frozen++
}

func (m *employee) stepDay(s *sketch.Store) {
	settled := m.day - 2
	w := &m.days[mod2(settled)]
	m.daily[0] = m.daily[1]
	m.habits.stepDay(w.alone, firstHour(settled) >= m.since)
	if firstHour(settled) >= m.since {
		switch {
		case w.raised == 0:
			m.stuck -= min(m.stuck, 1)
			m.daily[1].Add(w.count(s), dayMemory)
		case m.stuck >= frozenDays:
			m.daily[1].Add(w.count(s), dayMemory)
		default:
			m.stuck++
		}
	}
	w.clear(s)
	m.seen = slices.DeleteFunc(m.seen, func(x seen) bool { return x.day < settled })
	m.places = slices.DeleteFunc(m.places, func(x place) bool { return x.day < settled })
	m.suspect = slices.DeleteFunc(m.suspect, func(d sketch.Day) bool { return d+3 < m.day })
}

// suspected reports whether reach alarmed on the day or on one beside it.
func (m *employee) suspected(d sketch.Day) bool {
	return slices.ContainsFunc(m.suspect, func(x sketch.Day) bool { return within(x, d, 1) })
}

// sees notes that a secret was seen and returns it, nil where it is known already.
// A list that is full keeps nothing more: reach has alarmed long before.
func (m *employee) sees(x seen) *seen {
	if slices.ContainsFunc(m.seen, func(o seen) bool {
		return o.day == x.day && o.account == x.account && o.credential == x.credential
	}) {
		return nil
	}
	if len(m.seen) >= maxSeen {
		return &x
	}
	m.seen = append(m.seen, x)
	return &m.seen[len(m.seen)-1]
}

// arrives notes an address and reports whether it is new on that day.
func (m *employee) arrives(p place) bool {
	if len(m.places) >= maxPlaces || slices.Contains(m.places, p) {
		return false
	}
	m.places = append(m.places, p)
	return true
}
