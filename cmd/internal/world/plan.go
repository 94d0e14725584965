package world

import (
	"net/netip"
	"slices"

	"holdfast/schemas"
)

// planner plans one attack or look-alike. It answers false where nobody is left
// whom it could happen to.
type planner struct {
	kind string
	plan func(*World, dice) bool
}

func names(of []planner) []string {
	var out []string
	for _, p := range of {
		out = append(out, p.kind)
	}
	return out
}

// AttackKinds lists the kinds of attack that a profile has.
func AttackKinds(profile string) []string {
	switch profile {
	case profileMail:
		return slices.Clone(mailKinds)
	case profileSSHD:
		return slices.Clone(serverKinds)
	}
	return names(attacks)
}

// LookalikeKinds lists the kinds of look-alike that a profile has.
func LookalikeKinds(profile string) []string {
	if profile == profileMail || profile == profileSSHD {
		return nil
	}
	return names(lookalikes)
}

// plan fills the calendar: one of each kind by turns, so that no kind takes all the
// fitting victims.
func (w *World) plan() {
	for _, set := range []struct {
		of []planner
		n  int
	}{{attacks, w.opt.Attacks}, {lookalikes, w.opt.Lookalikes}} {
		for i := range set.n {
			for _, p := range set.of {
				if w.opt.wants(p.kind) {
					p.plan(w, newDice(w.opt.Seed, p.kind, i))
				}
			}
		}
	}
}

// room is the time in which something of that length may begin. Before it everybody
// has had a third of the world's time to show habits.
func (w *World) room(length int64) (from, to int64) {
	from = w.start + (w.end-w.start)*35/100
	return from, max(from+1, w.end-length-hour)
}

// moment draws when something of that length begins.
func (w *World) moment(d dice, length int64) int64 {
	from, to := w.room(length)
	return from + d.Int64N(to-from)
}

// fits limits a length of time to what the world has room for.
func (w *World) fits(length int64) int64 { return min(length, (w.end-w.start)*55/100) }

// victim finds an account that nothing else happens to.
func (w *World) victim(d dice, fit func(*account) bool) *account {
	for _, i := range d.Perm(len(w.accounts)) {
		a := w.accounts[i]
		if !a.busy && a.born+3*day < w.start+(w.end-w.start)*35/100 && fit(a) {
			a.busy = true
			return a
		}
	}
	return nil
}

func (w *World) helper(d dice, fit func(*employee) bool) *employee {
	for _, i := range d.Perm(len(w.staff)) {
		e := w.staff[i]
		if !e.busy && e.hired == w.start && fit(e) {
			e.busy = true
			return e
		}
	}
	return nil
}

func alive(a *account) bool { return a.dormant == 0 }

func sends(perDay float64) func(*account) bool {
	return func(a *account) bool { return a.steady() && a.hourly()*24 >= perDay }
}

func (w *World) at(at int64, run func()) { w.incidents = append(w.incidents, incident{at, run}) }

func (w *World) label(kind, id, what string, from, to int64) {
	w.truth = append(w.truth, Span{schemas.Entity{Kind: schemas.EntityKind(kind), ID: id}, what, from, min(to, w.end)})
}

func (w *World) trap(kind, id, what string, from, to int64) {
	w.traps = append(w.traps, Span{schemas.Entity{Kind: schemas.EntityKind(kind), ID: id}, what, from, min(to, w.end)})
}

func (w *World) labelIP(ip netip.Addr, what string, from, to int64) {
	w.label("ip", w.ipID(ip), what, from, to)
}

// foreigners are an attacker's addresses, each a neutral entity of its own.
func (w *World) foreigners(d dice, n int, from, to int64) []netip.Addr {
	var out []netip.Addr
	for range n {
		ip := w.nets.foreign(d)
		w.labelIP(ip, "~attacker_address", from, to)
		out = append(out, ip)
	}
	return out
}

// blow is an attacker's sending: how much, from where, with what.
type blow struct {
	a        *account
	from, to int64
	messages int
	per      int // recipients of each
	ips      []netip.Addr
	key      credential
	sender   func(i int) string
	bounce   float64
	complain float64
	harm     bool
	known    float64 // share of recipients that the account has written to
}

func (w *World) blow(d dice, a *account, from, to int64, messages int) *blow {
	return &blow{a: a, from: from, to: to, messages: messages, per: 1, key: a.keys[d.IntN(len(a.keys))], harm: true,
		bounce: d.size(0.01, 0.25), complain: d.size(0.0005, 0.01), known: max(0, d.between(-0.3, 0.3))}
}

// strike sends it, at even times with some disorder.
func (w *World) strike(d dice, x *blow) {
	step := float64(x.to-x.from) / float64(x.messages)
	for i := range x.messages {
		m := message{at: x.from + int64((float64(i)+d.Float64())*step), ip: one(d, x.ips), credential: x.key.id, channel: x.key.channel,
			sender: "hello@" + x.a.domain, bounce: x.bounce, complain: x.complain, harm: x.harm, delivered: x.a.delivered, counted: x.a.counted}
		if x.sender != nil {
			m.sender = x.sender(i)
		}
		w.to = w.to[:0]
		for range x.per {
			n := stranger(d)
			if d.chance(x.known) {
				n = 1 + d.Uint64N(x.a.next)
			}
			w.to = append(w.to, n)
		}
		m.to = w.to
		w.post(x.a, d, &m)
	}
}

func (w *World) ipID(ip netip.Addr) string { return schemas.IPEntity(ip).ID }
