package detectors

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// UnexplainedParameters are unexplained's numbers.
type UnexplainedParameters struct {
	Some, Many, Days, Rarity float64
}

var unexplainedSpec = Spec{
	Name: "unexplained", Version: 1, Family: schemas.FamilyInsider, Entity: schemas.KindEmployee, Technique: "T1213",
	Parameters: []Parameter{
		{Name: "some", Unit: "accesses", Default: 3, Min: 1, Max: 1e6, Source: "to secrets or personal data in a day without a ticket, where the employee's own past has fewer", at: func(p *Parameters) *float64 { return &p.Unexplained.Some }},
		{Name: "many", Unit: "accesses", Default: 12, Min: 1, Max: 1e6, Source: "four times that", at: func(p *Parameters) *float64 { return &p.Unexplained.Many }},
		{Name: "days", Unit: "days", Default: 8, Min: 2, Max: 14, Source: "of the last 14 with at least one: little, but day after day", at: func(p *Parameters) *float64 { return &p.Unexplained.Days }},
		{Name: "rarity", Unit: "powers of ten", Default: 3, Min: 0.5, Max: 100, Source: "1 in 1,000 by the employee's own past", at: func(p *Parameters) *float64 { return &p.Unexplained.Rarity }},
	},
}

// StaffLoginParameters are staff login's numbers.
type StaffLoginParameters struct {
	LearnDays, Hours float64
}

var staffLoginSpec = Spec{
	Name: "staff_login", Version: 1, Family: schemas.FamilyIdentity, Entity: schemas.KindEmployee, Technique: "T1078.004",
	Parameters: []Parameter{
		{Name: "learn_days", Unit: "days", Default: 14, Min: 1, Max: 90, Source: "two weeks show the office, the home and the shifts", at: func(p *Parameters) *float64 { return &p.StaffLogin.LearnDays }},
		{Name: "hours", Unit: "hours", Default: 4, Min: 0.1, Max: 48, Source: "within which secrets are viewed after an odd login", at: func(p *Parameters) *float64 { return &p.StaffLogin.Hours }},
	},
}

// habits of an employee: where from and when.
type staffHabits struct {
	sources sketch.Novelty // addresses, networks and devices
	hours   [24]uint8      // days on which the hour of day was worked in, halved at 200
	lonely  uint16         // bit i: the day i+2 days ago had an access without a ticket
	odd     []oddLogin     // sorted by time
	secrets []int64        // times at which secrets or personal data were seen, sorted
	alone   [2]baseline.Series
}

type oddLogin struct {
	time  int64
	score uint8
	event string
}

const (
	maxOdd     = 8
	maxSecrets = 32
	agentMark  = 0x9fb21c651e98df25
)

// unexplained looks at accesses that no ticket explains.
type unexplained struct{}

func sensitive(action string) bool {
	return reaches(action) || action == "export" || action == "change"
}

func (unexplained) employee(v *employeeView) {
	ev := v.event
	if ev.Type != schemas.TypeAccess || ev.Ticket != "" || !sensitive(ev.Action) {
		return
	}
	n := float64(v.day.alone)
	p, m := &v.p.Unexplained, v.employee
	base := &m.habits.alone[1]
	if v.dayNo < m.day {
		base = &m.habits.alone[0]
	}
	if n >= p.Some && n > float64(base.Max) && base.N >= 7 {
		own := shrink(base, float64(base.Mean), float64(base.N), 0.2, 0.5, 3)
		if s := own.surprise(n); s >= p.Rarity {
			v.alone(1, n, p.Some, fmt.Sprintf("%s to secrets or personal data within the day without a ticket, where %s was the recent maximum", accesses(n), mostOf(float64(base.Max))))
			if n >= p.Many {
				v.alone(2, n, p.Many, fmt.Sprintf("%s to secrets or personal data within the day without a ticket, where %s was the recent maximum", accesses(n), mostOf(float64(base.Max))))
			}
		}
	}
	// Today counts; yesterday may still change, and is left out.
	days := float64(bits.OnesCount16(m.habits.lonely&0x3fff) + 1)
	usual := float64(base.Active) / max(float64(base.N), 1)
	if days >= p.Days && v.dayNo == m.day && usual < 0.4 {
		v.alone(2, days, p.Days, fmt.Sprintf("accesses to secrets or personal data without a ticket on %s of the last 15 days", count(days)))
	}
}

func (v *employeeView) alone(level int, n, limit float64, text string) {
	v.hit(&unexplainedSpec, v.dayNo, 1, level, "24h", n, limit, "accesses", "24h0m0s", text)
}

// hit raises a finding about an employee once a level and day. Level 1 is worth
// a mention, 2 a look.
func (v *employeeView) hit(spec *Spec, d sketch.Day, measure, level int, window string, n, limit float64, unit, long, text string) {
	raised, bit := &v.employee.days[mod2(d)].raised, levelBit(measure, level)
	if *raised&bit != 0 {
		return
	}
	*raised |= bit
	v.e.raise(v.emit, spec, finding{
		entity: schemas.Entity{Kind: schemas.KindEmployee, ID: strings.Clone(v.event.Employee)}, value: windowValue(window, d.Start()), level: level,
		score: [...]float64{0, 0.2, 0.5, 0.8}[level], severity: [...]schemas.Severity{1: schemas.SeverityLow, 2: schemas.SeverityMedium, 3: schemas.SeverityHigh}[level],
		trigger: v.event.ID, time: v.event.Time, arrival: v.in.Arrival, origin: v.in.Origin,
		evidence: schemas.Evidence{Observed: n, Threshold: limit, Unit: unit, Window: long, Floor: limit, Samples: []string{v.event.ID}, Text: text}})
}

// staffLogin looks for an employee's account that is used from a place, with a
// device or at an hour that are not the employee's, and then to look at secrets.
type staffLogin struct{}

// learnStaff notes where and when the employee works. It runs before detectors do.
func (v *employeeView) learnStaff() {
	ev, m, ar := v.event, v.employee, &v.e.store.Arena
	v.hour.active = true
	if ev.Type == schemas.TypeAccess && sensitive(ev.Action) {
		if ev.Ticket == "" {
			v.day.alone = plus(v.day.alone, 1)
		}
		m.habits.sees(ev.Time)
	}
	if ev.Type == schemas.TypeLogin && ev.Outcome != "success" {
		return
	}
	score := uint8(0)
	if ev.IP.IsValid() {
		if v.isNew(v.e.sourceHash(ev.IP, false)) {
			score++
			if v.isNew(v.e.sourceHash(ev.IP, true)) {
				score++
			}
		} else {
			v.isNew(v.e.sourceHash(ev.IP, true))
		}
	}
	if ev.UserAgent != "" && v.isNew(v.e.hasher.String(ev.UserAgent)^agentMark) {
		score++
	}
	if m.habits.sources.Len() > maxSources {
		m.habits.sources.Keep(ar, v.dayNo-min(v.dayNo, sourceDays), maxSources)
	}
	if n := &v.in.Network; n.Hosting || n.VPN {
		score++
	}
	if score == 0 || float64(v.hourNo-m.since) < 24*v.p.StaffLogin.LearnDays {
		return
	}
	if v.offHours() {
		score++
	}
	if score >= 2 {
		m.habits.odds(oddLogin{ev.Time, score, strings.Clone(ev.ID)})
	}
}

// isNew notes a source or device and reports whether it was not used in the 90
// days that ended two days before.
func (v *employeeView) isNew(h uint64) bool {
	s, ar, d := &v.employee.habits.sources, &v.e.store.Arena, v.dayNo
	known := s.UsedBetween(ar, h, d-min(d, sourceDays), d-min(d, 2))
	s.Use(ar, h, d)
	return !known
}

// offHours reports whether the employee hardly ever works at this hour or the
// ones beside it.
func (v *employeeView) offHours() bool {
	h, total, near := int(uint32(v.hourNo)%24), 0, 0
	m := v.employee
	hours := m.habits.hours
	if settled := m.hour - 2; v.hourNo < m.hour && settled >= m.since && m.hours[mod3(settled)].active {
		hours[uint32(settled)%24] -= min(hours[uint32(settled)%24], 1) // which an hour before was not known yet
	}
	for i, n := range hours {
		total += int(n)
		if d := (i - h + 24) % 24; d <= 1 || d == 23 {
			near += int(n)
		}
	}
	return total >= 40 && near*50 <= total
}

func (s *staffHabits) sees(ms int64) {
	i, _ := slices.BinarySearch(s.secrets, ms)
	s.secrets = slices.Insert(s.secrets, i, ms)
	if len(s.secrets) > maxSecrets {
		s.secrets = s.secrets[1:]
	}
}

func (s *staffHabits) odds(o oddLogin) {
	i, _ := slices.BinarySearchFunc(s.odd, o, func(a, b oddLogin) int {
		if a.time != b.time {
			return int(a.time - b.time)
		}
		return strings.Compare(a.event, b.event)
	})
	s.odd = slices.Insert(s.odd, i, o)
	if len(s.odd) > maxOdd {
		s.odd = s.odd[1:]
	}
}

func (s *staffHabits) stepHour(hour int32, worked bool) {
	if !worked {
		return
	}
	h := &s.hours[uint32(hour)%24]
	if *h++; *h >= 200 {
		for i := range s.hours {
			s.hours[i] /= 2
		}
	}
}

func (s *staffHabits) stepDay(alone uint32, learn bool) {
	s.lonely <<= 1
	if alone > 0 {
		s.lonely |= 1
	}
	s.alone[0] = s.alone[1]
	// A habit that grows under our eyes is not learnt.
	usual := float64(s.alone[1].Active) >= 0.4*float64(s.alone[1].N)
	if learn && (s.alone[1].N < 10 || usual || bits.OnesCount16(s.lonely&0x7f) <= 3) {
		s.alone[1].Add(float64(alone), dayMemory)
	}
}

func (s *staffHabits) clear(st *sketch.Store) {
	s.sources.Clear(&st.Arena)
	*s = staffHabits{}
}

func (staffLogin) employee(v *employeeView) {
	s := &v.employee.habits
	within := int64(v.p.StaffLogin.Hours * msHour)
	for _, o := range s.odd {
		d := sketch.DayOf(o.time)
		if d+1 < v.employee.day {
			continue // its day is closed
		}
		for _, t := range s.secrets {
			if t < o.time || t-o.time > within {
				continue
			}
			level := min(int(o.score)-1, 3)
			for l := 1; l <= level; l++ {
				v.hit(&staffLoginSpec, d, 2, l, "24h", float64(o.score), float64(l+1), "oddities", "4h0m0s",
					fmt.Sprintf("%d of these signs: new address, new network, new device, hosting or VPN address, outside usual hours; and secrets or personal data viewed within %s hours", o.score, count(v.p.StaffLogin.Hours)))
			}
		}
	}
}

func (s *staffHabits) append(w *writer, st *sketch.Store) {
	w.b = s.sources.Append(&st.Arena, w.b)
	for _, n := range s.hours {
		w.byte(n)
	}
	w.uint(uint64(s.lonely))
	w.uint(uint64(len(s.odd)))
	for _, o := range s.odd {
		w.int(o.time)
		w.byte(o.score)
		w.text(o.event)
	}
	w.uint(uint64(len(s.secrets)))
	for _, t := range s.secrets {
		w.int(t)
	}
	w.series(&s.alone[0])
	w.series(&s.alone[1])
}

func (r *reader) habits() (s staffHabits, sources []byte) {
	sources = r.novelty()
	for i := range s.hours {
		s.hours[i] = r.byte()
	}
	s.lonely = uint16(r.uint(0xffff))
	for range r.uint(maxOdd) {
		s.odd = append(s.odd, oddLogin{r.int(), r.byte(), r.text(schemas.MaxID)})
	}
	for range r.uint(maxSecrets) {
		s.secrets = append(s.secrets, r.int())
	}
	s.alone[0], s.alone[1] = r.series(), r.series()
	return s, sources
}
