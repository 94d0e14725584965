package world

import "net/netip"

// exposedKey is an employee who looks at one customer's secret in the course of
// work; soon the key is used from an address that nobody knows.
func (w *World) exposedKey(d dice) bool {
	a := w.victim(d, alive)
	e := w.helper(d, func(e *employee) bool { return e.role == support || e.role == admin })
	if e == nil && len(w.staff) > 0 { // employees may be at it more than once
		e = one(d, w.staff)
	}
	if a == nil || e == nil {
		return false
	}
	length := w.fits(d.ms(20*minute, 5*hour))
	wait := min(d.ms(20*minute, 20*hour), w.fits(25*hour)-length)
	seen := w.moment(d, length+wait)
	from := seen + wait
	x := w.blow(d, a, from, from+length, d.count(100, 1500))
	x.key = a.keys[0]
	x.ips = w.foreigners(d, 1+d.IntN(2), from, from+length)
	w.label("employee", e.id, "~exposed_a_key", seen, from+length)
	w.label("account", a.id, "~secret_viewed", seen, from)
	w.label("account", a.id, "exposed_key_used", from, from+length)
	w.at(seen, func() {
		ticket := ""
		if d.chance(0.4) {
			ticket = e.ticket()
		}
		w.access(e, seen, a, "view_secret", ticket, e.self.place(d, seen), e.self.agent)
	})
	w.at(from, func() { w.strike(d, x) })
	return true
}

// employeeTakeover is somebody with an employee's login who reads as many
// customers' secrets as an hour or two allow.
func (w *World) employeeTakeover(d dice) bool {
	e := w.helper(d, func(*employee) bool { return true })
	if e == nil {
		return false
	}
	length := w.fits(d.ms(20*minute, 3*hour))
	from := w.moment(d, length)
	ip := w.foreigners(d, 1, from, from+length)[0]
	if d.chance(0.25) { // malware on the employee's own machine
		ip = e.self.places[0]
	}
	w.label("employee", e.id, "employee_takeover", from, from+length)
	n, agent := d.count(25, 120), one(d, agents)
	var seen []*account
	for range n {
		a := one(d, w.accounts)
		seen = append(seen, a)
		w.label("account", a.id, "~secret_viewed", from, from+3*day)
	}
	w.at(from, func() {
		w.staffLogin(e, from, ip, agent)
		for i, a := range seen {
			at := from + second + int64((float64(i)+d.Float64())*float64(length-minute)/float64(n))
			w.access(e, at, a, one(d, []string{"view_secret", "view_secret", "view_pii"}), "", ip, agent)
		}
	})
	return true
}

// slowSnoop is an employee who looks at one to three customers a day without being
// asked to, for many days.
func (w *World) slowSnoop(d dice) bool {
	e := w.helper(d, func(e *employee) bool { return e.role != engineer && e.role != analyst })
	if e == nil {
		return false
	}
	length := w.fits(d.ms(6*day, 14*day))
	from := w.moment(d, length)
	w.label("employee", e.id, "employee_slow_snoop", from, from+length)
	for at := from; at < from+length; at += day {
		w.at(at, func() {
			for range 1 + d.IntN(3) {
				t := min(at+d.Int64N(8*hour), from+length-1)
				w.access(e, t, w.anybody(d), one(d, []string{"view_secret", "view_pii", "view_pii", "view_logs"}), "", e.self.place(d, t), e.self.agent)
			}
		})
	}
	return true
}

// spray is one password tried on many users of many customers from one address.
func (w *World) spray(d dice) bool {
	length := w.fits(d.ms(8*minute, 20*hour))
	from := w.moment(d, length)
	ip := w.nets.foreign(d)
	w.labelIP(ip, "password_spray", from, from+length)
	n, agent := min(d.count(40, 300), len(w.accounts)), one(d, agents)
	targets := w.targets(d, n, "~spray_collateral", from, from+length)
	n = len(targets)
	w.at(from, func() {
		for i, a := range targets {
			p := &a.people[d.IntN(len(a.people))]
			x := attempt{at: from + int64((float64(i)+d.Float64())*float64(length)/float64(n)), account: a.id, user: p.name, ip: ip, agent: agent}
			w.fail(x)
			if d.chance(0.3) {
				x.at = min(x.at+int64(d.IntN(int(minute))), from+length)
				w.fail(x)
			}
		}
	})
	return true
}

func (w *World) targets(d dice, n int, why string, from, to int64) []*account {
	var out []*account
	for _, i := range d.Perm(len(w.accounts)) {
		if a := w.accounts[i]; len(out) < n && a.born <= from {
			out = append(out, a)
			w.label("account", a.id, why, from, to)
		}
	}
	return out
}

// stuffing is a list of stolen pairs tried once each from several addresses; many
// names do not exist here.
func (w *World) stuffing(d dice) bool {
	length := w.fits(d.ms(20*minute, 10*hour))
	from := w.moment(d, length)
	n := min(d.count(80, 500), len(w.accounts))
	targets := w.targets(d, n/2, "~stuffing_collateral", from, from+length)
	if len(targets) == 0 {
		return false
	}
	var ips []netip.Addr
	for range 1 + d.IntN(4) {
		ip := w.nets.foreign(d)
		w.labelIP(ip, "credential_stuffing", from, from+length)
		ips = append(ips, ip)
	}
	w.at(from, func() {
		for i := range n {
			a := targets[i%len(targets)]
			x := attempt{at: from + int64((float64(i)+d.Float64())*float64(length)/float64(n)), account: a.id, user: a.people[0].name, ip: ips[i%len(ips)], agent: one(d, agents)}
			switch {
			case i >= len(targets):
				x.user, x.reason = word(uint64(i)+uint64(from))+"@"+w.platform.mailHosts[i%len(w.platform.mailHosts)], "unknown_user"
				w.fail(x)
			case d.chance(0.01):
				x.outcome, x.method = "success", "password"
				w.login(x)
			default:
				w.fail(x)
			}
		}
	})
	return true
}

// bruteforce is one user's password tried over and over: fast, or every few minutes
// for a day.
func (w *World) bruteforce(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	n := d.count(60, 1500)
	pause := d.ms(second/2, 4*minute)
	length := w.fits(min(int64(n)*pause, 2*day))
	from := w.moment(d, length)
	ip := w.nets.foreign(d)
	w.labelIP(ip, "bruteforce", from, from+length)
	w.label("account", a.id, "~bruteforce_collateral", from, from+length)
	p, agent := &a.people[d.IntN(len(a.people))], one(d, agents)
	w.at(from, func() {
		for at := from; at < from+length; at += 1 + int64(float64(pause)*d.between(0.5, 1.5)) {
			w.fail(attempt{at: at, account: a.id, user: p.name, ip: ip, agent: agent})
		}
	})
	return true
}

// flood is four addresses that send through the keys of many customers.
func (w *World) flood(d dice) bool {
	length := w.fits(d.ms(10*minute, 3*hour))
	from := w.moment(d, length)
	targets := w.targets(d, d.count(6, 30), "~flood_collateral", from, from+length+hour)
	if len(targets) == 0 {
		return false
	}
	var ips []netip.Addr
	for range 4 {
		ip := w.nets.foreign(d)
		w.labelIP(ip, "four_ip_flood", from, from+length)
		ips = append(ips, ip)
	}
	total := d.count(2000, 8000)
	w.at(from, func() {
		for _, a := range targets {
			x := w.blow(d, a, from, from+length, max(40, total/len(targets)))
			x.ips = ips
			w.strike(d, x)
		}
	})
	return true
}

// sockets is one address that opens connections and keeps them.
func (w *World) sockets(d dice) bool {
	length := w.fits(d.ms(10*minute, 4*hour))
	from := w.moment(d, length)
	ip := w.nets.foreign(d)
	w.labelIP(ip, "held_sockets", from, from+length)
	n := d.count(800, 5000)
	held := d.between(0.6, 1)
	w.at(from, func() {
		for i := range n {
			at := from + int64((float64(i)+d.Float64())*float64(length)/float64(n))
			closes := int64(0)
			if !d.chance(held) {
				closes = int64(10_000 + d.IntN(300_000))
			}
			w.connection(at, ip, "smtp", "", closes)
		}
	})
	return true
}
