package world

import (
	"fmt"
	"math"
)

// credential is what an account sends with.
type credential struct {
	id, kind, channel string
	src               *source
	weight            float64
}

// change is a stretch of an account's life that differs from the rest; the zero
// value of a field leaves things as they are.
type change struct {
	from, to  int64
	volume    float64 // times the usual
	silent    bool
	strangers float64 // share of recipients never seen before
	bounce    float64 // share of recipients that bounce
	key       *credential
	src       *source
}

// account is a customer.
type account struct {
	id, domain, plan string
	d                dice
	what             archetype
	created, born    int64 // born is when it is first seen: the world's start, or later
	people           []person
	keys             []credential
	keyNo            int
	domains          []string
	rhythm           rhythm
	daily            float64 // messages
	period           int64   // days between campaigns; 0 is a steady sender
	phase            int64
	jobs             []int64 // milliseconds of the day
	per              int     // recipients of a message
	counted          bool
	web              float64 // share of messages that people send by hand
	strangers        float64
	next             uint64 // recipients that it knows
	bounce, complain float64
	test             float64
	delivered        bool
	noise            float64
	changes          []change
	dormant          int64 // silent from here on, where it is not 0
	busy             bool  // something is planned for it
	trend            float64
}

// zipfShare is the weight of a rank under Zipf's law: (rank + 3)^-skew.
func zipfShare(rank int, skew float64) float64 { return math.Pow(float64(rank)+3, -skew) }

// zipfScale makes the weights of so many ranks have mean 1.
func zipfScale(count int, skew float64) float64 {
	var sum float64
	for i := range count {
		sum += zipfShare(i, skew)
	}
	return float64(count) / sum
}

func (w *World) newAccount(n int, scale float64) *account {
	d := newDice(w.opt.Seed, "account", n)
	p := &w.platform
	a := &account{d: d, id: fmt.Sprintf(p.style, n), what: archetype(d.pick(p.mix[:]))}
	a.domain = fmt.Sprintf("%s%d.example", one(d, []string{"shop", "app", "studio", "news", "firm", "lab"}), n)
	a.domains = []string{a.domain}
	a.plan = p.plans[min(len(p.plans)-1, int(math.Sqrt(max(0, scale))*d.Float64()))]
	a.born = w.start
	a.created = w.start - int64(d.between(40, 1500))*day
	if d.chance(p.young) {
		a.created = w.start - int64(d.between(-0.8*float64(w.opt.Days), 30)*float64(day))
		a.born = max(w.start, a.created)
	}
	a.daily = w.opt.Rate * scale * d.between(0.6, 1.4)
	a.bounce, a.complain = d.size(0.002, 0.04), d.size(0.00005, 0.001)
	a.rhythm, a.noise = newRhythm(d, a.what), d.between(0.1, 0.8)
	a.delivered, a.counted = d.chance(p.delivered), d.chance(p.counted)
	if d.chance(0.15) {
		a.test = d.size(0.005, 0.1)
	}
	a.trend = d.NormFloat64() * 0.004
	for i := range 1 + d.poisson(0.8) {
		a.people = append(a.people, newPerson(d, w, fmt.Sprintf("%s@%s", one(d, []string{"owner", "admin", "it", "anna", "sam", "post"})+fmt.Sprint(i), a.domain)))
	}
	a.habits(w)
	return a
}

// habits are what follows from what the account sends for.
func (a *account) habits(w *World) {
	d := a.d
	a.per, a.strangers, a.next = 1, d.between(0.01, 0.1), uint64(20+d.size(20, 2000))
	keys := 1
	switch a.what {
	case shop:
		a.strangers = d.between(0.6, 0.99)
	case saas:
		a.strangers, keys = d.between(0.05, 0.5), 1+d.IntN(3)
	case newsletter:
		a.period, a.phase = one(d, []int64{1, 2, 7, 7, 7, 14, 28}), int64(d.IntN(28))
		a.per, a.strangers = one(d, []int{1, 1, 4, 20, 50}), d.between(0, 0.04)
		a.next = uint64(max(50, a.daily*float64(a.period)*d.between(0.8, 1.2)))
	case agency:
		keys, a.web = 2+d.IntN(4), d.between(0, 0.4)
		a.strangers = d.between(0.05, 0.4)
		for i := range 1 + d.IntN(6) {
			a.domains = append(a.domains, fmt.Sprintf("client%d.%s", i, a.domain))
		}
	case business:
		a.strangers, a.web, a.per = d.between(0.02, 0.3), d.between(0, 0.6), 1+d.IntN(3)
		a.noise *= 1.5
	case batch:
		for range 1 + d.IntN(3) {
			a.jobs = append(a.jobs, int64(d.IntN(96))*15*minute)
		}
		a.strangers = one(d, []float64{0.01, 0.1, 0.9})
	case monitor:
		a.next, a.strangers = uint64(2+d.IntN(8)), 0.0005
	}
	a.daily /= float64(a.per)
	for range keys {
		a.addKey(w, sourceKind(d.pick(w.platform.sources[:])))
	}
}

func (a *account) addKey(w *World, kind sourceKind) *credential {
	a.keyNo++
	c := credential{id: fmt.Sprintf("key-%s-%d", a.id, a.keyNo), kind: "api_key", channel: "api", src: newSource(a.d, w.nets, kind), weight: a.d.size(0.2, 2)}
	if a.d.chance(0.35) {
		c.id, c.kind, c.channel = fmt.Sprintf("smtp-%s-%d", a.id, a.keyNo), "smtp_password", "smtp"
	}
	a.keys = append(a.keys, c)
	return &a.keys[len(a.keys)-1]
}

// hourly is how many recipients an average hour has.
func (a *account) hourly() float64 { return a.daily * float64(a.per) / 24 }

// steady senders are those whose hours say something.
func (a *account) steady() bool { return a.period == 0 && a.dormant == 0 }

func (a *account) changed(at int64) change {
	c := change{volume: 1}
	for i := range a.changes {
		x := &a.changes[i]
		if at < x.from || at >= x.to {
			continue
		}
		if x.volume > 0 {
			c.volume *= x.volume
		}
		c.silent = c.silent || x.silent
		if x.strangers > 0 {
			c.strangers = x.strangers
		}
		if x.bounce > 0 {
			c.bounce = x.bounce
		}
		if x.key != nil {
			c.key = x.key
		}
		if x.src != nil {
			c.src = x.src
		}
	}
	return c
}

func (a *account) snapshot(w *World) {
	b := w.out.begin(a.born+int64(a.d.IntN(30_000)), "account").str("account", a.id).str("status", "active").str("plan", a.plan)
	b.key("created")
	b.bytes = append(b.bytes, '"')
	b.bytes = appendTime(b.bytes, a.created)
	b.bytes = append(b.bytes, '"')
	var names []string
	for _, p := range a.people {
		names = append(names, p.name)
	}
	b.list("users", names).list("domains", a.domains)
	b.key("credentials")
	b.raw("[")
	for i, k := range a.keys {
		if i > 0 {
			b.raw(",")
		}
		b.raw(`{"id":"` + k.id + `","kind":"` + k.kind + `"}`)
	}
	b.raw(`],"contacts":[{"email":"` + a.people[0].name + `","role":"owner"}]`)
	b.end()
}
