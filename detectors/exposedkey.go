package detectors

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// ExposedParameters are exposed key's numbers.
type ExposedParameters struct {
	Days float64
}

var exposedKeySpec = Spec{
	Name: "exposed_key", Version: 1, Family: schemas.FamilyInsider, Entity: schemas.KindAccount, Technique: "T1528",
	Parameters: []Parameter{
		{Name: "days", Unit: "days", Default: 3, Min: 0, Max: 30, Source: "keys that were read are used within hours to days", at: func(p *Parameters) *float64 { return &p.Exposed.Days }},
	},
}

// exposedKey is certain by itself: a key that a suspect employee saw is used from
// a source new to its account, or any key is used from a source that is new to
// its account and on a day around it an employee's. Everything is compared by
// days, so that it does not matter which record came first.
type exposedKey struct{}

func (exposedKey) pair(v *pairView) {
	if !v.mayMeet() {
		return
	}
	before := v.meetings(true)
	for _, m := range v.meetings(false) {
		known := slices.ContainsFunc(before, func(o meeting) bool { return o.id == m.id })
		if !known {
			before = append(before, m)
			v.exposed(m)
		}
	}
}

// mayMeet reports whether there are a use and what can make it suspect: mostly an
// entity has only uses, and many.
func (v *pairView) mayMeet() bool {
	var any [recordKinds]bool
	for i := range v.all {
		any[v.all[i].kind] = true
	}
	if v.entity.Kind == schemas.KindIP {
		return any[recordUse] && any[recordStaff]
	}
	return any[recordUse] && any[recordSeen] && any[recordSuspect]
}

// meeting is a use of a key and what makes it suspect.
type meeting struct {
	id         string
	use, other *record
	how        string
}

// meetings lists all of the entity's, with or without the new record.
func (v *pairView) meetings(without bool) (out []meeting) {
	for i := range v.all {
		use := &v.all[i]
		if use.kind != recordUse || without && use.same(v.fresh) {
			continue
		}
		for j := range v.all {
			other := &v.all[j]
			if without && other.same(v.fresh) {
				continue
			}
			m, ok := v.meet(use, other, without)
			if ok {
				m.id = strings.Join([]string{m.how, use.who, use.credential, other.who, strconv.FormatInt(use.day.Start()/1000, 10)}, "|")
				out = append(out, m)
			}
		}
	}
	return out
}

// meet joins, at an address, an employee and a key used from it on the same day
// or one beside it; at an account, an employee who saw a key and is suspect, and a
// use of that key from an unknown source on that day or the days after.
func (v *pairView) meet(use, other *record, without bool) (meeting, bool) {
	m := meeting{use: use, other: other}
	if v.entity.Kind == schemas.KindIP {
		m.how = "address"
		return m, other.kind == recordStaff && within(other.day, use.day, 1)
	}
	m.how = "seen"
	if other.kind != recordSeen || other.credential != "" && other.credential != use.credential || use.day < other.day {
		return m, false
	}
	suspect := v.find(recordSuspect, other)
	if suspect == nil || without && suspect.same(v.fresh) {
		return m, false
	}
	return m, v.inTime(other.day, use.day)
}

func (v *pairView) find(kind recordKind, like *record) *record {
	for i := range v.all {
		if x := &v.all[i]; x.kind == kind && x.who == like.who && x.day == like.day && x.credential == like.credential {
			return x
		}
	}
	return nil
}

func (v *pairView) inTime(saw, use sketch.Day) bool {
	return int(use)-int(saw) <= int(v.e.versions.at(saw.Start()).Exposed.Days)
}

// exposed raises the signal. Its event is the later of the two, and it counts as
// live only if both are.
func (v *pairView) exposed(m meeting) {
	use, other, account := m.use, m.other, v.entity
	text := fmt.Sprintf("key %s was used from %s, a source new to the account, %s employee %s saw it, who had viewed secrets of unusually many customers",
		use.credential, use.place, after(use, other), other.who)
	from := ""
	if a, err := netip.ParseAddr(use.place); err == nil {
		from = a.String()
	}
	if v.entity.Kind == schemas.KindIP {
		from = v.entity.ID
		account = schemas.Entity{Kind: schemas.KindAccount, ID: use.who}
		text = fmt.Sprintf("key %s was used from %s, a source new to the account and an address that employee %s used %s",
			use.credential, v.entity.ID, other.who, apart(use, other))
	}
	last := use
	if other.time > use.time || other.time == use.time && other.event > use.event {
		last = other
	}
	origin := last.origin()
	if !use.live || !other.live {
		origin = schemas.OriginImport
	}
	v.e.raise(v.emit, &exposedKeySpec, finding{
		entity: account, account: account.ID, credential: use.credential, level: 1, score: 1, severity: schemas.SeverityCritical, certain: true,
		address: from, employee: other.who,
		value: m.id, trigger: last.event, time: last.time, arrival: last.arrival, origin: origin,
		evidence: schemas.Evidence{Observed: 1, Threshold: 1, Unit: "uses", Window: "72h0m0s", Floor: 1, Samples: []string{use.event, other.event}, Text: text},
	})
}

func apart(use, staff *record) string {
	switch {
	case staff.day == use.day:
		return "on the same day"
	case staff.day < use.day:
		return "the day before"
	}
	return "the day after"
}

func after(use, saw *record) string {
	if use.day == saw.day {
		return "on the day on which"
	}
	return things(float64(use.day-saw.day), "day") + " after"
}
