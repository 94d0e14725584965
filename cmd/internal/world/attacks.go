package world

import (
	"fmt"
	"net/netip"
)

// attacks are planned in this order, those that need rare victims first.
var attacks = []planner{
	{"dormant_wakes", (*World).dormantWakes},
	{"leaked_key_slow", (*World).leakedSlow},
	{"leaked_key_burst", (*World).leakedBurst},
	{"botnet_fanout", (*World).botnet},
	{"takeover_new_key", (*World).takeoverKey},
	{"takeover_known_address", (*World).takeoverKnown},
	{"takeover_web", (*World).takeoverWeb},
	{"subdomain_churn", (*World).churn},
	{"bad_outcomes", (*World).badList},
	{"exposed_key_used", (*World).exposedKey},
	{"employee_takeover", (*World).employeeTakeover},
	{"employee_slow_snoop", (*World).slowSnoop},
	{"password_spray", (*World).spray},
	{"credential_stuffing", (*World).stuffing},
	{"bruteforce", (*World).bruteforce},
	{"four_ip_flood", (*World).flood},
	{"held_sockets", (*World).sockets},
}

// leakedBurst is a leaked key used at once, as fast as the thief dares.
func (w *World) leakedBurst(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(10*minute, 6*hour))
	from := w.moment(d, length)
	x := w.blow(d, a, from, from+length, d.count(200, 3000))
	x.per = one(d, []int{1, 1, 1, 3, 10})
	x.messages = max(40, x.messages/x.per)
	x.ips = w.foreigners(d, 1+d.IntN(3), from, from+length)
	w.label("account", a.id, "leaked_key_burst", from, from+length)
	w.at(from, func() { w.strike(d, x) })
	return true
}

// leakedSlow hides below the account's own hourly volume, for days.
func (w *World) leakedSlow(d dice) bool {
	a := w.victim(d, sends(40))
	if a == nil {
		return false
	}
	length := w.fits(d.ms(30*hour, 8*day))
	from := w.moment(d, length)
	hourly := min(60, max(2, a.hourly()*d.between(0.3, 0.9)))
	x := w.blow(d, a, from, from+length, max(60, int(hourly*float64(length/hour))))
	x.ips = w.foreigners(d, 1+d.IntN(4), from, from+length)
	w.label("account", a.id, "leaked_key_slow", from, from+length)
	w.at(from, func() { w.strike(d, x) })
	return true
}

// botnet is one key used from hundreds of addresses, a few mails from each.
func (w *World) botnet(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(20*minute, 12*hour))
	from := w.moment(d, length)
	n := d.count(60, 500)
	x := w.blow(d, a, from, from+length, int(float64(n)*d.between(1.5, 6)))
	for range n {
		ip := w.nets.home(d)
		if d.chance(0.15) {
			ip = w.nets.foreign(d)
		}
		w.labelIP(ip, "~attacker_address", from, from+length)
		x.ips = append(x.ips, ip)
	}
	w.label("account", a.id, "botnet_fanout", from, from+length)
	w.at(from, func() { w.strike(d, x) })
	return true
}

// guess is how the attacker got in: some failures (none, where the password was
// bought), then a success. It returns when and as whom.
func (w *World) guess(d dice, a *account, at int64, ip netip.Addr, tries int) (int64, *person) {
	p := &a.people[d.IntN(len(a.people))]
	agent := one(d, agents)
	pause := d.size(1, 40)
	for range tries {
		w.fail(attempt{at: at, account: a.id, user: p.name, ip: ip, agent: agent})
		at += int64(pause * d.between(0.5, 1.5) * float64(second))
	}
	w.login(attempt{at: at, account: a.id, user: p.name, ip: ip, agent: agent, outcome: "success", method: "password"})
	return at, p
}

// takeoverKey is a guessed or stuffed login, then a key of the attacker's own, then
// sending with it.
func (w *World) takeoverKey(d dice) bool { return w.takeover(d, "takeover_new_key", false) }

// takeoverKnown is the same from an address that the account's people have used: a
// machine of theirs, or a neighbour behind the same gateway.
func (w *World) takeoverKnown(d dice) bool { return w.takeover(d, "takeover_known_address", true) }

func (w *World) takeover(d dice, kind string, known bool) bool {
	a := w.victim(d, func(a *account) bool { return alive(a) && !a.people[0].dynamic })
	if a == nil {
		return false
	}
	length := w.fits(d.ms(150*minute, 8*hour)) // guessing alone takes up to 105 minutes
	from := w.moment(d, length)
	ips := w.foreigners(d, 1+d.IntN(2), from, from+length)
	login, tries := ips[0], d.count(4, 40)
	if known {
		login, tries = a.people[0].places[0], d.count(12, 60)
	} else if d.chance(0.3) {
		tries = 1 + d.IntN(3)
	}
	w.label("account", a.id, kind, from, from+length)
	w.at(from, func() {
		at, p := w.guess(d, a, from+second, login, tries)
		at += d.ms(20*second, 15*minute)
		a.keyNo++
		key := credential{id: fmt.Sprintf("key-%s-%d", a.id, a.keyNo), kind: "api_key", channel: "api"}
		w.credential(a, at, key.id, key.kind, "created", p.name, login)
		at += d.ms(20*second, 30*minute)
		if d.chance(0.3) {
			w.credential(a, at-5*second, "out"+fmt.Sprint(a.keyNo)+"."+a.domain, "sender_domain", "added", p.name, login)
		}
		x := w.blow(d, a, at, from+length, d.count(120, 2500))
		x.ips, x.key = ips, key
		w.strike(d, x)
	})
	return true
}

// takeoverWeb sends by hand, or by a script in a browser's session.
func (w *World) takeoverWeb(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(2*hour, 12*hour))
	from := w.moment(d, length)
	ips := w.foreigners(d, 1, from, from+length)
	w.label("account", a.id, "takeover_web", from, from+length)
	w.at(from, func() {
		at, _ := w.guess(d, a, from+second, ips[0], d.IntN(25))
		x := w.blow(d, a, at+d.ms(minute, 20*minute), from+length, d.count(60, 600))
		x.ips, x.key = ips, credential{channel: "web"}
		x.per = one(d, []int{1, 1, 5, 20})
		w.strike(d, x)
	})
	return true
}

// dormantWakes is an account that nobody has used for months. Where the world lasts
// long enough it sent a little in its first days.
func (w *World) dormantWakes(d dice) bool {
	a := w.victim(d, func(a *account) bool { return a.born == w.start && a.created < w.start-20*day })
	if a == nil {
		return false
	}
	length := w.fits(d.ms(20*minute, 6*hour))
	from := w.moment(d, length)
	a.created, a.dormant = min(a.created, w.start-200*day), w.start
	if w.end-w.start >= 90*day {
		from = max(from, w.start+70*day+d.Int64N(w.end-w.start-70*day-length-hour))
		a.dormant = from - 62*day - d.Int64N(from-62*day-w.start)
	}
	for i := range a.people {
		a.people[i].rate = 0
	}
	x := w.blow(d, a, from, from+length, d.count(150, 2000))
	x.ips = w.foreigners(d, 1+d.IntN(2), from, from+length)
	if d.chance(0.3) { // from the very machine, which somebody else runs now
		x.ips = []netip.Addr{a.keys[0].src.at(d, from)}
	}
	w.label("account", a.id, "dormant_wakes", from, from+length)
	w.at(from, func() { w.strike(d, x) })
	return true
}

// churn is a sender with a new subdomain under one domain for every message.
func (w *World) churn(d dice) bool {
	a := w.victim(d, alive)
	if a == nil {
		return false
	}
	length := w.fits(d.ms(30*minute, 2*day))
	from := w.moment(d, length)
	x := w.blow(d, a, from, from+length, d.count(150, 3000))
	if d.chance(0.5) {
		x.ips = w.foreigners(d, 1+d.IntN(3), from, from+length)
	} else {
		x.ips = []netip.Addr{x.key.src.at(d, from)}
	}
	each := 1 + d.IntN(3)
	x.sender = func(i int) string {
		return fmt.Sprintf("info@%s.%s", word(uint64(i/each)+uint64(from)), a.domain)
	}
	w.label("account", a.id, "subdomain_churn", from, from+length)
	w.at(from, func() { w.strike(d, x) })
	return true
}

// word makes a name from a number, the same each time.
func word(n uint64) string {
	n = (n + 1) * 0x9e3779b97f4a7c15
	b := make([]byte, 4+n%6)
	for i := range b {
		n = n*6364136223846793005 + 1442695040888963407
		b[i] = "bcdfghklmnprstvwaeiou"[n>>40%21]
	}
	return string(b)
}

// badList is the customer's own doing: a bought list, from the known machine.
func (w *World) badList(d dice) bool {
	a := w.victim(d, sends(15))
	if a == nil {
		return false
	}
	length := w.fits(d.ms(2*hour, 14*hour))
	from := w.moment(d, length)
	x := w.blow(d, a, from, from+length, d.count(500, 3000))
	x.bounce, x.complain, x.known = d.between(0.12, 0.35), d.between(0.002, 0.02), 0
	for range 8 {
		x.ips = append(x.ips, x.key.src.at(d, from))
	}
	w.label("account", a.id, "bad_outcomes", from, from+length+hour)
	w.at(from, func() { w.strike(d, x) })
	return true
}
