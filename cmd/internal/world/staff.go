package world

import (
	"fmt"
	"net/netip"
	"time"
)

// role is what an employee does.
type role int

const (
	support  role = iota // tickets all day
	engineer             // a few looks, often without a ticket, also on call at night
	analyst              // reads many accounts to find abuse
	admin                // reports each month, secrets now and then
)

// employee works for the platform.
type employee struct {
	id       string
	d        dice
	role     role
	self     person
	hired    int64
	rhythm   rhythm
	daily    float64
	ticketed float64
	actions  [5]float64 // of the actions below
	busy     bool
}

var actions = []string{"view_account", "view_logs", "view_pii", "view_secret", "list"}

func (w *World) newEmployee(n int) *employee {
	d := newDice(w.opt.Seed, "employee", n)
	e := &employee{d: d, id: fmt.Sprintf("emp-%02d", n), role: role(d.pick([]float64{6, 2, 1, 1})), hired: w.start}
	e.self = newPerson(d, w, e.id)
	e.rhythm.officeHours(d.between(7, 20), d.between(2, 3.5), 0)
	e.rhythm.week = [7]float64{0.05, 1, 1, 1, 1, 1, 0.05}
	e.ticketed = 1 - w.platform.unticketd*d.size(0.3, 2)
	switch e.role {
	case support:
		e.daily, e.actions = d.size(5, 30), [5]float64{10, 3, 2, d.size(0.2, 3), 0}
		if d.chance(0.2) {
			e.rhythm.week = [7]float64{1, 1, 1, 0.1, 0.1, 1, 1}
		}
	case engineer:
		e.daily, e.actions, e.ticketed = d.size(0.5, 5), [5]float64{3, 10, 0.2, 0.3, 1}, d.between(0.3, 0.9)
	case analyst:
		e.daily, e.actions, e.ticketed = d.size(20, 60), [5]float64{10, 8, 2, 0.05, 2}, d.between(0.7, 1)
	case admin:
		e.daily, e.actions = d.size(1, 6), [5]float64{5, 1, 1, 2, 1}
	}
	e.rhythm.normalise()
	if d.chance(0.1) {
		e.hired = w.start + int64(d.Float64()*float64(w.opt.Days))*day
	}
	return e
}

// work adds a day of the employee's own work.
func (e *employee) work(w *World, from int64) {
	if e.hired >= from+day {
		return
	}
	ramp := min(1, 0.2+float64(from-e.hired)/float64(10*day))
	first := true
	ip := e.self.place(e.d, from)
	for h := from; h < from+day; h += hour {
		for range e.d.poisson(e.daily / 24 * e.rhythm.share(h) * ramp) {
			at := h + int64(e.d.IntN(int(hour)))
			if first {
				w.staffLogin(e, at-int64(e.d.IntN(int(2*minute)))-second, ip, e.self.agent)
				first = false
			}
			e.look(w, at, ip)
		}
	}
	if e.role == engineer && e.d.chance(0.03) { // called at night
		at := from + int64(e.d.IntN(5))*hour + int64(e.d.IntN(int(hour)))
		w.staffLogin(e, at, e.self.places[len(e.self.places)-1], e.self.agent)
		for range 2 + e.d.IntN(6) {
			at += e.d.ms(10*second, 5*minute)
			w.access(e, at, w.anybody(e.d), "view_logs", e.ticket(), e.self.places[len(e.self.places)-1], e.self.agent)
		}
	}
	if e.role == admin && time.UnixMilli(from).UTC().Day() == 1+len(e.id)%5 {
		w.export(e, from+9*hour+int64(e.d.IntN(int(4*hour))), e.d.count(1000, 30_000), ip)
	}
}

func (e *employee) look(w *World, at int64, ip netip.Addr) {
	what := actions[e.d.pick(e.actions[:])]
	t := ""
	if e.d.chance(e.ticketed) {
		t = e.ticket()
	}
	w.access(e, at, w.anybody(e.d), what, t, ip, e.self.agent)
	if what == "view_secret" && e.d.chance(0.5) { // looks at the account beforehand, as people do
		w.access(e, at-int64(e.d.IntN(int(minute))), w.anybody(e.d), "view_account", t, ip, e.self.agent)
	}
}

func (e *employee) ticket() string { return fmt.Sprintf("T-%d", 1000+e.d.IntN(90_000)) }

func (w *World) anybody(d dice) *account {
	for range 20 {
		if a := one(d, w.accounts); a.born <= w.now {
			return a
		}
	}
	return w.accounts[0]
}

func (w *World) staffLogin(e *employee, at int64, ip netip.Addr, agent string) {
	w.login(attempt{at: at, staff: e.id, user: e.id, ip: ip, agent: agent, outcome: "success", method: "sso"})
}

func (w *World) access(e *employee, at int64, a *account, what, ticket string, ip netip.Addr, agent string) {
	resource := "account:" + a.id
	if what == "view_secret" {
		resource = a.keys[0].kind + ":" + a.keys[0].id
	}
	w.out.begin(at, "access").str("employee", e.id).str("account", a.id).str("action", what).str("resource", resource).ip(ip).str("user_agent", agent).str("ticket", ticket).end()
}

func (w *World) export(e *employee, at int64, rows int, ip netip.Addr) {
	w.out.begin(at, "access").str("employee", e.id).str("action", "export").str("resource", "report:senders").num("rows", int64(rows)).ip(ip).str("user_agent", e.self.agent).str("ticket", e.ticket()).end()
}
