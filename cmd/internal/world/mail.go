package world

import (
	"fmt"
	"slices"
)

var mailKinds = []string{"burst30", "burst100", "burst300", "fanout", "slow", "swap"}

// mailWorld is people's mail alone, without addresses: who writes to whom. Each
// message has one recipient, whoever is written to mostly belongs to a circle.
func (w *World) mailWorld(d dice) {
	n := w.opt.Accounts
	scale := zipfScale(n, w.platform.skew)
	ranks := d.Perm(n)
	for i := range n {
		a := w.newAccount(i, scale*zipfShare(ranks[i], w.platform.skew))
		a.id, a.what, a.per, a.web, a.jobs, a.period = fmt.Sprintf("acct-%04d", i), business, 1, 0, nil, 0
		a.born, a.test, a.dormant, a.strangers, a.noise = w.start, 0, 0, 0, a.d.between(0.5, 1.5)
		w.accounts = append(w.accounts, a)
	}
	for i, a := range w.accounts {
		c := &correspondent{a: a, n: i}
		for range a.d.count(3, 60) {
			c.circle = append(c.circle, w.colleague(a.d, i))
		}
		w.writers = append(w.writers, c)
	}
	for i := range w.opt.Attacks {
		for _, k := range mailKinds {
			if w.opt.wants(k) {
				w.mailAttack(newDice(w.opt.Seed, k, i), k)
			}
		}
	}
}

// correspondent is somebody with a circle of people to write to.
type correspondent struct {
	a       *account
	n       int
	circle  []int
	swapped int64 // from here on it writes to another's circle
	other   *correspondent
}

// colleague is mostly somebody near in number: departments sit together.
func (w *World) colleague(d dice, n int) int {
	if d.chance(0.7) {
		return ((n/20)*20 + d.IntN(20)) % len(w.accounts)
	}
	return d.IntN(len(w.accounts))
}

func (c *correspondent) live(w *World, from int64) {
	a := c.a
	for h := from; h < from+day; h += hour {
		circle := c.circle
		if c.other != nil && h >= c.swapped && h < c.swapped+7*day {
			circle = c.other.circle
		}
		noise := a.d.ExpFloat64() // people write in bouts
		for range a.d.poisson(a.daily / 24 * a.rhythm.share(h) * noise) {
			to := circle[int(a.d.Float64()*a.d.Float64()*float64(len(circle)))]
			if a.d.chance(0.03) {
				to = w.colleague(a.d, c.n)
				c.circle = append(c.circle, to)
			}
			w.write(a, a.d, h+a.d.Int64N(hour), to, false)
		}
	}
}

func (w *World) write(a *account, d dice, at int64, to int, harm bool) {
	b := w.out.begin(at, "send").str("account", a.id).list("recipients", []string{fmt.Sprintf("r%d@mail.example", to)})
	b.messageID(a, d.Uint64())
	b.harm = harm
	b.end()
}

func (w *World) mailAttack(d dice, kind string) {
	a := w.victim(d, func(a *account) bool { return a.daily > 0.3 })
	if a == nil {
		return
	}
	n, length := 0, hour
	switch kind {
	case "burst30":
		n = 30
	case "burst100":
		n = 100
	case "burst300":
		n = 300
	case "fanout":
		n, length = d.count(30, 120), d.ms(hour, 3*hour)
	case "slow":
		n, length = d.count(60, 200), w.fits(d.ms(day, 4*day))
	case "swap":
		length = w.fits(7 * day)
	}
	from := w.moment(d, length)
	w.label("account", a.id, kind, from, from+length)
	if kind == "swap" {
		i := slices.Index(w.accounts, a)
		w.writers[i].swapped, w.writers[i].other = from, w.writers[d.IntN(len(w.writers))]
		return
	}
	few := d.Perm(len(w.accounts))[:min(len(w.accounts), max(5, n/3))]
	w.at(from, func() {
		for i := range n {
			to := d.IntN(len(w.accounts))
			if kind != "fanout" && kind != "slow" {
				to = one(d, few)
			}
			w.write(a, d, from+int64((float64(i)+d.Float64())*float64(length)/float64(n)), to, true)
		}
	})
}
