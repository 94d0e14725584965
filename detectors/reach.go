package detectors

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"holdfast/detectors/baseline"
	"holdfast/schemas"
)

// ReachParameters are reach's numbers.
type ReachParameters struct {
	Floor, Ceiling1h, Ceiling24h float64
	Rarity                       float64
	Ticketed                     float64
	LearnDays                    float64
}

var reachSpec = Spec{
	Name: "reach", Version: 1, Family: schemas.FamilyInsider, Entity: schemas.KindEmployee, Technique: "T1213",
	Parameters: []Parameter{
		{Name: "floor", Unit: "customers", Default: 10, Min: 2, Max: 1e6, Source: "at least 10: support seldom needs the secrets of more in an hour", at: func(p *Parameters) *float64 { return &p.Reach.Floor }},
		{Name: "ceiling_1h", Unit: "customers", Default: 20, Min: 2, Max: 1e6, Source: "for an employee without a past", at: func(p *Parameters) *float64 { return &p.Reach.Ceiling1h }},
		{Name: "ceiling_24h", Unit: "customers", Default: 40, Min: 2, Max: 1e6, Source: "for an employee without a past", at: func(p *Parameters) *float64 { return &p.Reach.Ceiling24h }},
		{Name: "rarity", Unit: "probability", Default: 1e-5, Min: 1e-30, Max: 0.1, Source: "as volume's", at: func(p *Parameters) *float64 { return &p.Reach.Rarity }},
		{Name: "ticketed_rows", Unit: "customers", Default: 5, Min: 0, Max: 1e7, Source: "a bulk read under a ticket counts for at most so many, because somebody asked for it: half the floor", at: func(p *Parameters) *float64 { return &p.Reach.Ticketed }},
		{Name: "learn_days", Unit: "days", Default: 7, Min: 1, Max: 90, Source: "a working week", at: func(p *Parameters) *float64 { return &p.Reach.LearnDays }},
	},
}

// reach counts the distinct customers whose secrets or personal data an employee
// saw in an hour and in a day, against the employee's own past.
type reach struct{}

// reaches reports whether an access shows secrets or personal data.
func reaches(action string) bool {
	return action == "view_secret" || action == "view_pii" || action == "impersonate"
}

// bulk reports whether an access reads many customers at once, a row each.
func bulk(action string) bool { return action == "export" || action == "list" }

// countReach adds an access to both windows.
func (v *employeeView) countReach() {
	ev, s := v.event, &v.e.store.Store
	if !reaches(ev.Action) && !bulk(ev.Action) {
		return
	}
	add := func(account string) {
		h := v.e.hasher.String(account)
		v.hour.customers.Add(s, h)
		v.day.customers.Add(s, h)
	}
	if ev.Account != "" {
		add(ev.Account)
	}
	for _, account := range ev.Accounts {
		add(account)
	}
	if !bulk(ev.Action) {
		return
	}
	rows := float64(max(ev.Rows-int64(len(ev.Accounts)), 0))
	if ev.Ticket != "" {
		rows = min(rows, v.p.Reach.Ticketed)
	}
	n := uint32(min(rows, schemas.MaxCount))
	v.hour.rows, v.day.rows = plus(v.hour.rows, n), plus(v.day.rows, n)
}

func (reach) employee(v *employeeView) {
	if v.event.Type != schemas.TypeAccess {
		return
	}
	p := &v.p.Reach
	reachLevels(v, v.hour, v.hourBase, p.Ceiling1h, "1h", "1h0m0s", hourStart(v.hourNo), "the hour")
	reachLevels(v, v.day, v.dayBase, p.Ceiling24h, "24h", "24h0m0s", v.dayNo.Start(), "the day")
}

func reachLevels(v *employeeView, w *reachWindow, b *baseline.Series, ceiling float64, measure, window string, start int64, within string) {
	p := &v.p.Reach
	if w.raised&levelBit(0, 2) != 0 {
		return
	}
	n := w.count(&v.e.store.Store)
	if n < p.Floor {
		return
	}
	mature := float64(v.hourNo-v.employee.since) >= 24*p.LearnDays && b.Active >= 5
	tail := 0.0
	if mature {
		tail = baseline.LogTail(n, max(float64(b.Mean), 0.01), b.Size())
	}
	for level := 1; level <= 2; level++ {
		k := float64(level)
		limit := k * ceiling
		if mature {
			limit = max(k*p.Floor, k*float64(b.Max)+1)
		}
		if n < limit || mature && tail > k*math.Log(p.Rarity) {
			return
		}
		if w.raised&levelBit(0, level) != 0 {
			continue
		}
		w.raised |= levelBit(0, level)
		v.suspect()
		score, severity := grade(level)
		v.e.raise(v.emit, &reachSpec, finding{
			entity: schemas.Entity{Kind: schemas.KindEmployee, ID: strings.Clone(v.event.Employee)}, value: windowValue(measure, start), level: level,
			score: score, severity: severity, trigger: v.event.ID, time: v.event.Time, arrival: v.in.Arrival, origin: v.in.Origin,
			evidence: schemas.Evidence{Observed: n, Expected: round(float64(b.Mean)), Threshold: limit, Unit: "customers", Window: window, Floor: p.Floor, Samples: []string{v.event.ID},
				Text: fmt.Sprintf("saw secrets or personal data of %s within %s, where the recent maximum was %s", things(n, "customer"), within, mostOf(float64(b.Max)))}})
	}
}

// suspect notes that reach alarmed on the day, and tells every account whose
// secret the employee saw on that day or one beside it.
func (v *employeeView) suspect() {
	m := v.employee
	if slices.Contains(m.suspect, v.dayNo) {
		return
	}
	m.suspect = append(m.suspect, v.dayNo)
	slices.Sort(m.suspect)
	for i := range m.seen {
		v.tellSuspect(&m.seen[i])
	}
}
