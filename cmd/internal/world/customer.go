package world

import (
	"math"
	"net/netip"
	"strconv"
)

// live adds a day of the account's own life, from its first to its last hour.
func (a *account) live(w *World, from int64) {
	if a.born >= from+day {
		return
	}
	if a.born >= from {
		a.snapshot(w)
	}
	level := min(4, max(0.25, math.Exp(a.trend*float64((from-w.start)/day)))) // nobody grows for ever
	for h := from; h < from+day; h += hour {
		if h+hour <= a.born || a.dormant != 0 && h >= a.dormant {
			continue
		}
		c := a.changed(h + hour/2)
		if c.silent {
			continue
		}
		mean, span := a.expect(h)
		mean *= level * c.volume * math.Exp(a.noise*a.d.NormFloat64()-a.noise*a.noise/2)
		for range a.d.poisson(mean) {
			a.send(w, h+int64(a.d.Float64()*float64(span)), &c)
		}
	}
	a.visit(w, from)
	if a.d.chance(w.platform.credRate) {
		a.adjust(w, from)
	}
}

// expect is the mean number of messages of an hour, and how long they take.
func (a *account) expect(h int64) (mean float64, span int64) {
	switch {
	case a.period > 0:
		if (h/day+a.phase)%a.period == 0 && h%day/hour == a.phase%12+8 {
			return a.daily * float64(a.period), hour / 2
		}
		return a.daily * 0.002, hour
	case len(a.jobs) > 0:
		n := 0.0
		for _, j := range a.jobs {
			if h%day/hour == j/hour {
				n += a.daily / float64(len(a.jobs))
			}
		}
		return n, hour / 4
	}
	return a.daily / 24 * a.rhythm.share(h), hour
}

// stranger is a recipient number that nobody has used.
func stranger(d dice) uint64 { return d.Uint64() | 1<<63 }

func (a *account) recipient(share float64) (n uint64, fresh bool) {
	if a.d.chance(share) {
		a.next++
		return a.next, true
	}
	if a.what == shop || a.what == saas { // mostly recent ones
		back := uint64(a.d.ExpFloat64() * float64(a.next) / 3)
		return a.next - min(back, a.next-1), false
	}
	return 1 + a.d.Uint64N(a.next), false
}

// mailbox appends the address of an account's n-th recipient.
func (w *World) mailbox(b []byte, a *account, n uint64) []byte {
	x := n
	if x < 1<<63 { // mixes account and number, so that nothing shows which is new
		x = n*0x9e3779b97f4a7c15 ^ uint64(len(a.id))<<40
		for i := range len(a.id) {
			x = (x ^ uint64(a.id[i])) * 0x100000001b3
		}
	}
	x ^= x >> 29
	b = append(b, 'u')
	b = strconv.AppendUint(b, x>>8%900_000_000_000, 36)
	b = append(b, '@')
	return append(b, w.platform.mailHosts[x%uint64(len(w.platform.mailHosts))]...)
}

// message is one send of whoever.
type message struct {
	at         int64
	ip         netip.Addr
	credential string
	channel    string
	sender     string
	to         []uint64
	counted    bool
	test       bool
	harm       bool
	bounce     float64 // share of recipients
	complain   float64
	delivered  bool
}

func (a *account) send(w *World, at int64, c *change) {
	m := message{at: at, counted: a.counted, bounce: a.bounce, complain: a.complain, delivered: a.delivered}
	m.sender = "hello@" + one(a.d, a.domains)
	m.test = a.test > 0 && a.d.chance(a.test)
	if a.web > 0 && a.d.chance(a.web) {
		m.channel, m.ip = "web", a.people[a.d.IntN(len(a.people))].place(a.d, at)
	} else {
		k := a.key()
		if c.key != nil {
			k = c.key
		}
		src := k.src
		if c.src != nil {
			src = c.src
		}
		m.credential, m.channel, m.ip = k.id, k.channel, src.at(a.d, at)
	}
	share := a.strangers
	if c.strangers > 0 {
		share = c.strangers
	}
	w.to = w.to[:0]
	fresh := 0
	for range max(1, a.per/2+a.d.IntN(a.per+1)) {
		n, isNew := a.recipient(share)
		w.to = append(w.to, n)
		if isNew {
			fresh++
		}
	}
	m.bounce *= 0.6 + 0.8*float64(fresh)/float64(len(w.to))
	if c.bounce > 0 {
		m.bounce = c.bounce
	}
	m.to = w.to
	w.post(a, a.d, &m)
	if m.channel == "smtp" && a.d.chance(w.platform.connects) {
		w.connection(at-int64(a.d.IntN(500)), m.ip, "smtp", a.id, int64(200+a.d.IntN(20_000)))
	}
}

func (a *account) key() *credential {
	if len(a.keys) == 1 {
		return &a.keys[0]
	}
	var sum float64
	for i := range a.keys {
		sum += a.keys[i].weight
	}
	x := a.d.Float64() * sum
	for i := range a.keys {
		if x -= a.keys[i].weight; x < 0 {
			return &a.keys[i]
		}
	}
	return &a.keys[0]
}

// post writes a send and what becomes of it.
func (w *World) post(a *account, d dice, m *message) {
	id := d.Uint64()
	b := w.out.begin(m.at, "send").str("account", a.id).str("credential", m.credential).str("channel", m.channel).ip(m.ip).str("sender", m.sender)
	if m.counted {
		b.num("recipient_count", int64(len(m.to)))
	} else {
		b.key("recipients")
		for i, n := range m.to {
			b.bytes = append(b.bytes, "[,"[min(i, 1)], '"')
			b.bytes = w.mailbox(b.bytes, a, n)
			b.bytes = append(b.bytes, '"')
		}
		b.bytes = append(b.bytes, ']')
	}
	b.messageID(a, id)
	b.num("size", int64(800+d.IntN(60_000)))
	if m.test {
		b.raw(`,"test":true`)
	}
	b.harm = m.harm
	b.end()
	if m.test {
		return
	}
	for _, n := range m.to {
		if out := outcome(d, m); out != "" {
			w.delivery(a, m.at+d.ms(500, 20*minute), id, n, out)
		}
	}
}

func (b *buffer) messageID(a *account, id uint64) {
	b.key("message_id")
	b.bytes = append(b.bytes, `"m`...)
	b.bytes = strconv.AppendUint(b.bytes, id, 16)
	b.bytes = append(b.bytes, '@')
	b.bytes = append(b.bytes, a.domain...)
	b.bytes = append(b.bytes, '"')
}

func outcome(d dice, m *message) string {
	switch x := d.Float64(); {
	case x < m.bounce:
		if d.chance(0.85) {
			return "hard_bounce"
		}
		return "soft_bounce"
	case x < m.bounce+m.complain:
		return "complaint"
	case x < m.bounce+m.complain*3:
		return "unsubscribe"
	}
	if m.delivered {
		return "delivered"
	}
	return ""
}

func (w *World) delivery(a *account, at int64, id, to uint64, what string) {
	b := w.out.begin(at, "delivery").str("account", a.id)
	b.messageID(a, id)
	b.key("recipient")
	b.bytes = append(b.bytes, '"')
	b.bytes = w.mailbox(b.bytes, a, to)
	b.bytes = append(b.bytes, '"')
	b.str("outcome", what).end()
}

func (w *World) connection(at int64, ip netip.Addr, protocol, account string, length int64) {
	w.out.begin(at, "connection").ip(ip).str("state", "open").str("protocol", protocol).str("account", account).end()
	if length > 0 {
		w.out.begin(at+length, "connection").ip(ip).str("state", "close").str("protocol", protocol).str("account", account).num("duration_ms", length).num("bytes", length*3).end()
	}
}
