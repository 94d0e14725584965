package world

import (
	"fmt"
	"net/netip"
)

// lookalikes are planned in this order, those that need rare accounts first.
var lookalikes = []planner{
	{"comes_back", (*World).comesBack},
	{"newsletter_doubling", (*World).doubling},
	{"provider_move", (*World).providerMove},
	{"seasonal_week", (*World).seasonal},
	{"new_server", (*World).newServer},
	{"key_rotation", (*World).rotation},
	{"launch", (*World).launch},
	{"import", (*World).listImport},
	{"new_tool_with_list", (*World).newTool},
	{"growth", (*World).growth},
	{"migration", (*World).migration},
	{"backlog", (*World).backlog},
	{"traveller", (*World).traveller},
	{"forgetful_user", (*World).forgetful},
	{"office_reset", (*World).officeReset},
	{"probes", (*World).probes},
	{"relay_connections", (*World).relayConnections},
	{"support_surge", (*World).surge},
	{"bulk_report", (*World).bulkReport},
	{"staff_traveller", (*World).staffTraveller},
}

// alter plans a change of an account that fits, labelled as a look-alike.
func (w *World) alter(d dice, kind string, length int64, fit func(*account) bool, how func(*account, *change)) *account {
	a := w.victim(d, fit)
	if a == nil {
		return nil
	}
	// Whole hours, since changes are looked up an hour at a time.
	length = max(hour, w.fits(length)/hour*hour)
	from := w.moment(d, length) / hour * hour
	c := change{from: from, to: from + length}
	how(a, &c)
	a.changes = append(a.changes, c)
	w.trap("account", a.id, kind, from, from+length)
	return a
}

func busyEnough(a *account) bool { return a.steady() && a.hourly()*24 >= 8 }

// launch is ten times the usual volume to people the account knows.
func (w *World) launch(d dice) bool {
	return w.alter(d, "launch", d.ms(6*hour, 2*day), busyEnough, func(a *account, c *change) {
		c.volume, c.strangers = d.size(4, 15), min(a.strangers+0.001, 0.3)
	}) != nil
}

// listImport is a list of people never written to, from the usual machine.
func (w *World) listImport(d dice) bool {
	return w.alter(d, "import", d.ms(4*hour, day), busyEnough, func(a *account, c *change) {
		c.volume, c.strangers, c.bounce = d.size(2, 12), d.between(0.7, 1), min(0.09, a.bounce*d.between(1, 3))
	}) != nil
}

// seasonal is a week of triple volume.
func (w *World) seasonal(d dice) bool {
	return w.alter(d, "seasonal_week", d.ms(5*day, 9*day), busyEnough, func(_ *account, c *change) { c.volume = d.between(2, 4) }) != nil
}

// doubling is a newsletter whose list doubles.
func (w *World) doubling(d dice) bool {
	return w.alter(d, "newsletter_doubling", 8*day, func(a *account) bool { return alive(a) && a.what == newsletter }, func(_ *account, c *change) {
		c.volume, c.strangers = d.between(1.8, 2.6), d.between(0.3, 0.6)
	}) != nil
}

// newServer is one more machine beside the old.
func (w *World) newServer(d dice) bool {
	return w.alter(d, "new_server", d.ms(day, 10*day), busyEnough, func(a *account, c *change) {
		more := *a.keys[0].src
		more.addrs = append([]netip.Addr{w.nets.server(d)}, more.addrs...)
		more.kind = min(more.kind, fixed)
		c.src, c.to = &more, w.end
	}) != nil
}

// providerMove is another provider's machines: the usual volume, the old addresses
// silent.
func (w *World) providerMove(d dice) bool {
	return w.alter(d, "provider_move", 3*day, busyEnough, func(_ *account, c *change) {
		c.src, c.to = newSource(d, w.nets, one(d, []sourceKind{fixed, rotating, serverless})), w.end
	}) != nil
}

// rotation is a new key made after a login, the old one revoked.
func (w *World) rotation(d dice) bool {
	var from int64
	var key *credential
	a := w.alter(d, "key_rotation", day, busyEnough, func(a *account, c *change) {
		key = a.addKey(w, fixed)
		key.src, key.weight = a.keys[0].src, 0
		c.key, c.to, from = key, w.end, c.from
	})
	if a == nil {
		return false
	}
	w.at(from-30*minute, func() {
		p := &a.people[0]
		ip := p.place(d, from)
		w.enter(a, p, from-20*minute, ip, p.agent)
		w.credential(a, from-15*minute, key.id, key.kind, "created", p.name, ip)
		w.credential(a, from+d.ms(minute, 6*hour), a.keys[0].id, a.keys[0].kind, "revoked", p.name, ip)
	})
	return true
}

// newTool is a new address and a new key, made as one should, and a list of
// strangers.
func (w *World) newTool(d dice) bool {
	a := w.victim(d, busyEnough)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(2*hour, 12*hour))
	from := w.moment(d, length+day)
	a.keyNo++
	key := credential{id: fmt.Sprintf("key-%s-%d", a.id, a.keyNo), kind: "api_key", channel: "api"}
	x := w.blow(d, a, from, from+length, d.count(60, 1200))
	x.harm, x.key, x.ips, x.bounce, x.complain = false, key, []netip.Addr{w.nets.server(d)}, min(0.05, a.bounce*1.5), a.complain
	w.trap("account", a.id, "new_tool_with_list", from-hour, from+length)
	w.at(from-30*minute, func() {
		p := &a.people[d.IntN(len(a.people))]
		ip := p.places[0]
		w.enter(a, p, from-20*minute, ip, p.agent)
		w.credential(a, from-d.ms(3*minute, 18*minute), key.id, key.kind, "created", p.name, ip)
	})
	w.at(from, func() { w.strike(d, x) })
	return true
}

// growth is a business that doubles within weeks.
func (w *World) growth(d dice) bool {
	a := w.victim(d, busyEnough)
	if a == nil {
		return false
	}
	a.trend = d.between(0.03, 0.08)
	w.trap("account", a.id, "growth", w.start+7*day, w.end)
	return true
}

// migration is a young account that comes from another provider: small trials, then
// all of its mail within a week.
func (w *World) migration(d dice) bool {
	for _, i := range d.Perm(len(w.accounts)) {
		a := w.accounts[i]
		if a.busy || a.dormant != 0 || a.period != 0 {
			continue
		}
		a.busy = true
		from := w.moment(d, w.fits(8*day)) / day * day
		a.born, a.created = from, from-int64(d.IntN(int(hour)))
		a.daily = w.opt.Rate * d.size(2, 6) / float64(a.per)
		a.strangers = max(a.strangers, 0.5)
		a.trend = 0
		for n, v := range []float64{0.02, 0.1, 0.25, 0.5, 0.8} {
			a.changes = append(a.changes, change{from: from + int64(n)*day, to: from + int64(n+1)*day, volume: v})
		}
		w.trap("account", a.id, "migration", from, from+8*day)
		return true
	}
	return false
}

// backlog is a queue that stood still for a day and then empties within hours.
func (w *World) backlog(d dice) bool {
	return w.alter(d, "backlog", 2*day, busyEnough, func(a *account, c *change) {
		still := d.ms(6*hour, 30*hour) / hour * hour
		a.changes = append(a.changes, change{from: c.from, to: c.from + still, silent: true})
		a.changes = append(a.changes, change{from: c.from + still, to: c.from + still + 3*hour, volume: 1 + float64(still)/float64(3*hour)})
	}) != nil
}

// comesBack is an account that was quiet for long and whose owner takes it up again:
// a login from home, then some mail from the usual machine to people it knows.
func (w *World) comesBack(d dice) bool {
	a := w.victim(d, func(a *account) bool { return a.born == w.start && a.created < w.start-20*day })
	if a == nil {
		return false
	}
	a.created, a.dormant = min(a.created, w.start-200*day), w.start
	length := w.fits(d.ms(2*hour, 4*day))
	from := w.moment(d, length)
	x := w.blow(d, a, from+hour, from+length, d.count(20, 300))
	x.harm, x.known, x.bounce, x.complain, x.ips = false, 0.9, min(0.06, a.bounce*2), a.complain, nil
	for range 4 {
		x.ips = append(x.ips, x.key.src.at(d, from))
	}
	w.trap("account", a.id, "comes_back", from, from+length)
	w.at(from, func() {
		p := &a.people[0]
		w.enter(a, p, from+d.ms(minute, 50*minute), p.place(d, from), p.agent)
		w.strike(d, x)
	})
	return true
}
