package world

import "net/netip"

// attempt is one login.
type attempt struct {
	at              int64
	account, staff  string
	user, agent     string
	ip              netip.Addr
	outcome, reason string
	method          string
}

func (w *World) login(x attempt) {
	b := w.out.begin(x.at, "login").str("account", x.account).str("employee", x.staff).str("user", x.user).ip(x.ip).str("user_agent", x.agent)
	b.str("outcome", x.outcome).str("method", x.method).str("reason", x.reason).end()
}

func (w *World) fail(x attempt) {
	x.outcome, x.method = "failure", "password"
	if x.reason == "" {
		x.reason = "bad_password"
	}
	w.login(x)
}

// enter is a successful login of one of the account's people.
func (w *World) enter(a *account, p *person, at int64, ip netip.Addr, agent string) {
	x := attempt{at: at, account: a.id, user: p.name, ip: ip, agent: agent, outcome: "success", method: "password"}
	if p.second {
		x.method = "mfa"
	}
	w.login(x)
}

// visit adds a day's logins.
func (a *account) visit(w *World, from int64) {
	for i := range a.people {
		p := &a.people[i]
		for range a.d.poisson(p.rate) {
			at := max(a.born+minute, from+a.hour()+int64(a.d.IntN(int(hour))))
			if a.d.chance(0.01) && len(p.places) < 6 { // moved, or a new telephone
				p.places = append(p.places, w.nets.home(a.d))
			}
			ip := p.place(a.d, at)
			if a.d.chance(w.platform.typo) {
				at = a.stumble(w, p, at, ip)
			}
			w.enter(a, p, at, ip, p.agent)
		}
	}
}

// hour draws the hour of the day of something people do.
func (a *account) hour() int64 {
	return int64(a.d.pick(a.rhythm.hours[:])) * hour
}

// stumble is a wrong password or a few, rarely until it is reset.
func (a *account) stumble(w *World, p *person, at int64, ip netip.Addr) int64 {
	n := 1 + a.d.poisson(0.5)
	if a.d.chance(0.04) {
		n += 3 + a.d.IntN(6)
	}
	for range n {
		w.fail(attempt{at: at, account: a.id, user: p.name, ip: ip, agent: p.agent})
		at += int64(a.d.between(3, 40) * float64(second))
	}
	if n > 4 {
		w.credential(a, at, p.name+":password", "user_password", "reset", p.name, ip)
		at += int64(a.d.between(30, 300) * float64(second))
	}
	return at
}

func (w *World) credential(a *account, at int64, id, kind, what, user string, ip netip.Addr) {
	w.out.begin(at, "credential").str("account", a.id).str("credential", id).str("kind", kind).str("change", what).str("user", user).str("actor", "customer").ip(ip).end()
}

// adjust is a customer at work on the account's settings, after a login.
func (a *account) adjust(w *World, from int64) {
	p := &a.people[a.d.IntN(len(a.people))]
	at := max(a.born+minute, from+a.hour()+int64(a.d.IntN(int(hour))))
	ip := p.place(a.d, at)
	w.enter(a, p, at, ip, p.agent)
	at += a.d.ms(20*second, 20*minute)
	switch a.d.IntN(7) {
	case 0, 1:
		k := a.addKey(w, sourceKind(a.d.pick(w.platform.sources[:])))
		if a.d.chance(0.7) { // mostly the machine that is there already gets it
			k.src = a.keys[0].src
		}
		w.credential(a, at, k.id, k.kind, "created", p.name, ip)
	case 2:
		w.credential(a, at, a.keys[0].id, a.keys[0].kind, "rotated", p.name, ip)
	case 3:
		w.credential(a, at, "sub"+a.domain, "sender_domain", "added", p.name, ip)
		a.domains = append(a.domains, "mail."+a.domain)
	case 4:
		p.second = !p.second
		w.credential(a, at, p.name+":mfa", "mfa", map[bool]string{true: "enabled", false: "disabled"}[p.second], p.name, ip)
	case 5:
		w.credential(a, at, "hook-"+a.id, "webhook", "added", p.name, ip)
	case 6:
		w.credential(a, at, "allow-"+a.id, "ip_allowlist", "added", p.name, ip)
	}
}
