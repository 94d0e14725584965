package world

import "fmt"

var serverKinds = []string{"bruteforce", "bruteforce_slow", "guessed_login"}

// serverWorld is one server's logins: a few people, and the Internet's guesses.
func (w *World) serverWorld(d dice) {
	for i := range w.opt.Accounts {
		a := &account{d: newDice(w.opt.Seed, "user", i), id: fmt.Sprintf("%s%d", one(d, []string{"user", "dev", "ops"}), i), born: w.start}
		a.people = []person{newPerson(a.d, w, a.id)}
		a.rhythm = newRhythm(a.d, business)
		w.users = append(w.users, a)
		w.accounts = append(w.accounts, a)
	}
	for i := range w.opt.Attacks {
		for _, k := range serverKinds {
			if w.opt.wants(k) {
				w.serverAttack(newDice(w.opt.Seed, k, i), k)
			}
		}
	}
}

// enterServer adds a day's logins of one of the server's users.
func (w *World) enterServer(a *account, from int64) {
	p := &a.people[0]
	for range a.d.poisson(w.opt.Rate * p.rate) {
		at := from + a.hour() + a.d.Int64N(hour)
		x := attempt{at: at, account: a.id, user: a.id, ip: p.place(a.d, at), outcome: "success", method: "publickey"}
		if p.second {
			x.method = "password"
			for a.d.chance(w.platform.typo) {
				w.fail(attempt{at: x.at, account: a.id, user: a.id, ip: x.ip})
				x.at += 5 * second
			}
		}
		w.login(x)
	}
}

var guessedNames = []string{"root", "admin", "test", "oracle", "postgres", "git", "ubuntu", "support", "guest", "pi", "ftp", "www"}

func (w *World) serverAttack(d dice, kind string) {
	n, pause := d.count(5, 800), d.ms(second, 10*second)
	if kind == "bruteforce_slow" {
		n, pause = d.count(20, 200), d.ms(minute, 20*minute)
	}
	length := w.fits(int64(n) * pause)
	from := w.moment(d, length)
	ip := w.nets.foreign(d)
	what := kind
	var target *account
	if kind == "guessed_login" {
		if target = w.victim(d, alive); target == nil {
			return
		}
		w.label("account", target.id, kind, from+length-1, from+length+2*hour)
		what = "bruteforce"
		if d.chance(0.3) {
			ip, what = target.people[0].places[0], "~attacker_address"
		}
	}
	w.labelIP(ip, what, from, from+length+2*hour)
	w.at(from, func() {
		for i := range n {
			at := from + int64((float64(i)+d.Float64()*0.9)*float64(length)/float64(n))
			x := attempt{at: at, account: one(d, guessedNames), ip: ip, reason: "unknown_user"}
			if target != nil || d.chance(0.1) {
				u := target
				if u == nil {
					u = one(d, w.users)
				}
				x.account, x.reason = u.id, ""
			}
			x.user = x.account
			w.fail(x)
		}
		if target != nil {
			w.login(attempt{at: from + length, account: target.id, user: target.id, ip: ip, outcome: "success", method: "password"})
		}
	})
}
