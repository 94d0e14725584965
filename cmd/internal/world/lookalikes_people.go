package world

import "net/netip"

// traveller is somebody who logs in from abroad for some days.
func (w *World) traveller(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(day, 10*day))
	from := w.moment(d, length)
	w.trap("account", a.id, "traveller", from, from+length)
	p, agent := &a.people[0], a.people[0].agent
	for at := from; at < from+length; at += day {
		w.at(at, func() {
			ip := w.nets.home(d)
			for range 1 + d.IntN(3) {
				w.enter(a, p, min(at+d.Int64N(12*hour), from+length-1), ip, agent)
			}
		})
	}
	return true
}

// forgetful is somebody who fails again and again, resets the password, and gets in.
func (w *World) forgetful(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	from := w.moment(d, hour)
	w.trap("account", a.id, "forgetful_user", from, from+2*hour)
	w.at(from, func() {
		p := &a.people[d.IntN(len(a.people))]
		ip, at := p.place(d, from), from
		for range 4 + d.IntN(16) {
			w.fail(attempt{at: at, account: a.id, user: p.name, ip: ip, agent: p.agent})
			at += int64(d.between(5, 60) * float64(second))
		}
		if d.chance(0.7) {
			w.credential(a, at, p.name+":password", "user_password", "reset", p.name, ip)
		}
		w.enter(a, p, at+d.ms(20*second, 5*minute), ip, p.agent)
	})
	return true
}

// officeReset is an office behind one address whose people all had to change their
// passwords, and mistype them.
func (w *World) officeReset(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := 3 * hour
	from := w.moment(d, length)
	ip := w.nets.home(d)
	for range 6 + d.IntN(20) {
		p := newPerson(d, w, word(d.Uint64())+"@"+a.domain)
		p.places, p.dynamic = []netip.Addr{ip}, false
		a.people = append(a.people, p)
	}
	w.trap("account", a.id, "office_reset", from, from+length)
	w.trap("ip", w.ipID(ip), "office_reset", from, from+length)
	w.at(from, func() {
		for i := range a.people {
			p := &a.people[i]
			at := from + d.Int64N(2*hour)
			for range 1 + d.IntN(5) {
				w.fail(attempt{at: at, account: a.id, user: p.name, ip: ip, agent: p.agent})
				at += int64(d.between(5, 40) * float64(second))
			}
			w.enter(a, p, at, ip, p.agent)
		}
	})
	return true
}

// probes are a monitoring service's messages to one mailbox from many places.
func (w *World) probes(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(5*day, 20*day))
	from := w.moment(d, length)
	var ips []netip.Addr
	for range 5 + d.IntN(15) {
		ips = append(ips, w.nets.server(d))
	}
	key := a.keys[0]
	step := d.ms(5*minute, 30*minute)
	w.trap("account", a.id, "probes", from, from+length)
	for start := from; start < from+length; start += day {
		w.at(start, func() {
			for at := start; at < min(start+day, from+length); at += step {
				m := message{at: at + int64(d.IntN(2000)), ip: one(d, ips), credential: key.id, channel: key.channel, sender: "probe@" + a.domain, to: []uint64{1}}
				w.post(a, d, &m)
			}
		})
	}
	return true
}

// relayConnections is a relay that keeps some hundred connections open, as good
// clients do, and closes them.
func (w *World) relayConnections(d dice) bool {
	length := w.fits(d.ms(4*hour, 2*day))
	from := w.moment(d, length)
	ip := one(d, one(d, w.nets.relays))
	w.trap("ip", w.ipID(ip), "relay_connections", from, from+length)
	n := d.count(200, 1500)
	w.at(from, func() {
		for range n {
			w.connection(from+d.Int64N(length), ip, "smtp", "", d.ms(5*second, 20*minute))
		}
	})
	return true
}

// surge is a day on which everybody calls: an employee sees many customers, each
// with a ticket.
func (w *World) surge(d dice) bool {
	e := w.helper(d, func(e *employee) bool { return e.role == support })
	if e == nil {
		return false
	}
	length := 10 * hour
	from := w.moment(d, day)/day*day + 7*hour
	w.trap("employee", e.id, "support_surge", from, from+length)
	n := d.count(40, 150)
	w.at(from, func() {
		ip := e.self.places[0]
		w.staffLogin(e, from, ip, e.self.agent)
		for range n {
			w.access(e, from+second+d.Int64N(length-minute), w.anybody(d), actions[e.d.pick(e.actions[:])], e.ticket(), ip, e.self.agent)
		}
	})
	return true
}

// bulkReport is a report of thousands of rows by somebody whose task it is.
func (w *World) bulkReport(d dice) bool {
	e := w.helper(d, func(e *employee) bool { return e.role == admin || e.role == support })
	if e == nil {
		return false
	}
	from := w.moment(d, day)/day*day + 9*hour
	w.trap("employee", e.id, "bulk_report", from-minute, from+day)
	for at := from % (7 * day); at <= from; at += 7 * day { // as each week before
		if at < w.start+7*day && at < from {
			continue
		}
		w.at(at, func() { w.export(e, at, d.count(2000, 50_000), e.self.places[0]) })
	}
	return true
}

// staffTraveller is an employee at a conference, who works as usual.
func (w *World) staffTraveller(d dice) bool {
	e := w.helper(d, func(e *employee) bool { return e.role == support || e.role == engineer })
	if e == nil {
		return false
	}
	length := w.fits(d.ms(2*day, 5*day))
	from := w.moment(d, length)
	w.trap("employee", e.id, "staff_traveller", from, from+length)
	for at := from; at < from+length; at += day {
		w.at(at, func() {
			ip := w.nets.home(d)
			w.staffLogin(e, at, ip, e.self.agent)
			for i := range int64(1 + d.IntN(6)) {
				w.access(e, min(at+(i+1)*d.ms(minute, 20*minute), from+length-1), w.anybody(d), one(d, []string{"view_account", "view_logs"}), e.ticket(), ip, e.self.agent)
			}
		})
	}
	return true
}
