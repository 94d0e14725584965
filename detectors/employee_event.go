package detectors

import (
	"strings"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// employeeView is what detectors see of an employee; see accountView.
type employeeView struct {
	e        *Engine
	in       *schemas.Input
	emit     func(schemas.Output)
	event    *schemas.Event
	employee *employee
	hourNo   int32
	hour     *reachWindow
	hourBase *baseline.Series
	dayNo    sketch.Day
	day      *reachWindow
	dayBase  *baseline.Series
	p        *Parameters
}

// employeeEvent folds a login or an access of an employee in.
func (e *Engine) employeeEvent(in *schemas.Input, ev *schemas.Event, emit func(schemas.Output)) bool {
	m := e.employees[in.Key]
	if m == nil {
		m = &employee{}
		e.employees[strings.Clone(in.Key)] = m
	}
	if e.skip(&m.applied, in) {
		return false
	}
	if m.clock != 0 && m.late(ev.Time) {
		e.countLate()
		return true
	}
	m.advance(&e.store.Store, ev.Time)
	e.stats.events.Add(1)
	h, d := hourOf(ev.Time), sketch.DayOf(ev.Time)
	v := &employeeView{e: e, in: in, emit: emit, event: ev, employee: m,
		hourNo: h, hour: &m.hours[mod3(h)], hourBase: &m.hourly[1], dayNo: d, day: &m.days[mod2(d)], dayBase: &m.daily[1],
		p: e.versions.at(hourStart(h))}
	if h < m.hour {
		v.hourBase = &m.hourly[0]
	}
	if d < m.day {
		v.dayBase = &m.daily[0]
	}
	v.count()
	v.learnStaff()
	for _, x := range employeeDetectors {
		x.employee(v)
	}
	return true
}

func (v *employeeView) count() {
	ev := v.event
	if ev.Type == schemas.TypeAccess || ev.Outcome == "success" {
		v.tellPlace()
	}
	if ev.Type != schemas.TypeAccess {
		return
	}
	v.countReach()
	if ev.Action != "view_secret" {
		return
	}
	credential := secretNamed(ev.Resource)
	if ev.Account != "" {
		v.see(ev.Account, credential)
	}
	for _, account := range ev.Accounts {
		v.see(account, "")
	}
}

// secretNamed is the credential in a resource such as "api_key:key-7", or "" for
// all of the account's where the resource names the account or nothing.
func secretNamed(resource string) string {
	kind, id, ok := strings.Cut(resource, ":")
	if !ok || kind == "account" || len(id) > schemas.MaxID {
		return ""
	}
	return id
}

// see tells the account that the employee saw its secret, once a day.
func (v *employeeView) see(account, credential string) {
	x := v.employee.sees(seen{account: strings.Clone(account), credential: strings.Clone(credential), day: v.dayNo,
		time: v.event.Time, arrival: v.in.Arrival, live: v.in.Origin == schemas.OriginLive, event: strings.Clone(v.event.ID)})
	if x == nil {
		return
	}
	v.sendSeen(factSeen, x)
	if v.employee.suspected(v.dayNo) {
		v.tellSuspect(x)
	}
}

// tellSuspect tells an account that an employee who saw its secret is suspect.
func (v *employeeView) tellSuspect(x *seen) {
	if x.told || !v.employee.suspected(x.day) {
		return
	}
	x.told = true
	v.sendSeen(factSuspect, x)
}

// sendSeen tells an account. Nobody but employees does, which replay's lanes count on.
func (v *employeeView) sendSeen(name string, x *seen) {
	origin := schemas.OriginImport
	if x.live {
		origin = schemas.OriginLive
	}
	v.e.tell(v.emit, schemas.Fact{Name: name, Entity: schemas.Entity{Kind: schemas.KindAccount, ID: x.account}, From: v.event.Entity(),
		Time: x.time, Window: x.day.Start() / 1000, Value: x.credential, Account: x.account, Employee: v.event.Employee,
		Credential: x.credential, Event: x.event, Origin: origin, Arrival: x.arrival})
}

// tellPlace tells an address which employee uses it, once a day.
func (v *employeeView) tellPlace() {
	ip := v.event.IP
	if !ip.IsValid() || !v.employee.arrives(place{v.e.sourceHash(ip, false), v.dayNo}) {
		return
	}
	v.e.tell(v.emit, schemas.Fact{Name: factStaff, Entity: schemas.IPEntity(ip), From: v.event.Entity(),
		Time: v.event.Time, Window: v.dayNo.Start() / 1000, Value: v.event.Employee, Employee: v.event.Employee,
		Address: schemas.IPKey(ip), Event: v.event.ID, Origin: v.in.Origin, Arrival: v.in.Arrival})
}
