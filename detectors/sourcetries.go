package detectors

import (
	"fmt"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// SourceParameters are the numbers of the detectors that look at addresses.
type SourceParameters struct {
	Attempts, Many       float64
	SprayUsers, SprayMin float64
	StuffUsers, StuffNo  float64
	FloodSome, FloodMany float64
	HeldSome, HeldMany   float64
}

var bruteForceSpec = Spec{
	Name: "brute_force", Version: 1, Family: schemas.FamilySource, Entity: schemas.KindIP, Technique: "T1110.001",
	Parameters: []Parameter{
		{Name: "attempts", Unit: "failed logins", Default: 5, Min: 2, Max: 1e6, Source: "at one user, or one more at several, from an address that the accounts do not know, in two days", at: func(p *Parameters) *float64 { return &p.Source.Attempts }},
		{Name: "many", Unit: "failed logins", Default: 30, Min: 5, Max: 1e6, Source: "beyond what a person would try", at: func(p *Parameters) *float64 { return &p.Source.Many }},
	},
}

var spraySpec = Spec{
	Name: "password_spray", Version: 1, Family: schemas.FamilySource, Entity: schemas.KindIP, Technique: "T1110.003",
	Parameters: []Parameter{
		{Name: "some", Unit: "users", Default: 10, Min: 3, Max: 128, Source: "of accounts that do not know the address, each tried a few times", at: func(p *Parameters) *float64 { return &p.Source.SprayMin }},
		{Name: "users", Unit: "users", Default: 20, Min: 3, Max: 128, Source: "more colleagues than mistype in two days behind an address that is new to all of them", at: func(p *Parameters) *float64 { return &p.Source.SprayUsers }},
	},
}

var stuffingSpec = Spec{
	Name: "credential_stuffing", Version: 1, Family: schemas.FamilySource, Entity: schemas.KindIP, Technique: "T1110.004",
	Parameters: []Parameter{
		{Name: "users", Unit: "users", Default: 15, Min: 3, Max: 128, Source: "tried once or twice each, with a list got elsewhere", at: func(p *Parameters) *float64 { return &p.Source.StuffUsers }},
		{Name: "unknown", Unit: "users", Default: 5, Min: 1, Max: 128, Source: "of them unknown to the platform, as on a list that was not made for it", at: func(p *Parameters) *float64 { return &p.Source.StuffNo }},
	},
}

var floodSpec = Spec{
	Name: "flood", Version: 1, Family: schemas.FamilySource, Entity: schemas.KindIP, Technique: "T1498",
	Parameters: []Parameter{
		{Name: "some", Unit: "accounts", Default: 3, Min: 2, Max: 1000, Source: "alarmed in two days by unknown sources of which the address is one: two may share a thief", at: func(p *Parameters) *float64 { return &p.Source.FloodSome }},
		{Name: "accounts", Unit: "accounts", Default: 6, Min: 2, Max: 1000, Source: "twice that: no service is new to so many and unusual in each", at: func(p *Parameters) *float64 { return &p.Source.FloodMany }},
	},
}

var heldSpec = Spec{
	Name: "held_sockets", Version: 1, Family: schemas.FamilySource, Entity: schemas.KindIP, Technique: "T1499.001",
	Parameters: []Parameter{
		{Name: "some", Unit: "connections", Default: 300, Min: 10, Max: 1e9, Source: "a large sender's pool is tens", at: func(p *Parameters) *float64 { return &p.Source.HeldSome }},
		{Name: "many", Unit: "connections", Default: 1000, Min: 10, Max: 1e9, Source: "a thousand held open for minutes are there to be held open", at: func(p *Parameters) *float64 { return &p.Source.HeldMany }},
	},
}

// tryNobody marks attempts on a user whom the platform does not know. It is
// tryKnown's bit: addresses hear only of sources that accounts do not know.
const tryNobody = tryKnown

// maxPairs is the cap of pairs of one address; the oldest day's go first.
const maxPairs = 256

// told notes what an account has told: the highest number wins.
func (l *logins) told(a *slab.Arena, t try) {
	at, ok := l.find(a, t)
	if ok {
		x := l.at(a, at)
		x.fails, x.flags = max(x.fails, t.fails), x.flags|t.flags
		x.put(a.Block(l.ref)[at*tryBytes:])
		return
	}
	if l.n >= maxPairs {
		if at == 0 || l.at(a, 0).day == t.day {
			return
		}
		b := a.Block(l.ref)
		copy(b, b[tryBytes:int(l.n)*tryBytes])
		l.n--
		at--
	}
	used := int(l.n) * tryBytes
	l.ref = a.Grow(l.ref, used, used+tryBytes)
	b := a.Block(l.ref)
	copy(b[(at+1)*tryBytes:used+tryBytes], b[at*tryBytes:used])
	t.put(b[at*tryBytes:])
	l.n++
}

// shape is what an address's attempts look like over a day and the one before.
type shape struct {
	attempts, users, unknown, successes float64
	most                                float64 // tries at one user
	own                                 bool    // some failed on the later day
}

func (l *logins) shape(a *slab.Arena, d sketch.Day) (s shape) {
	var users userTries
	for i := range int(l.n) {
		x := l.at(a, i)
		if x.day != d && x.day+1 != d {
			continue
		}
		if x.flags&tryOK != 0 {
			s.successes++
		}
		if x.fails == 0 {
			continue
		}
		n, first := users.add(x.user, x.fails)
		if first {
			s.users++
			if x.flags&tryNobody != 0 {
				s.unknown++
			}
		}
		s.attempts += float64(x.fails)
		s.own = s.own || x.day == d
		s.most = max(s.most, float64(n))
	}
	return s
}

// userTries sums failures by user, in a table that needs no memory of its own.
type userTries [2 * maxPairs]struct{ user, fails uint32 }

func (u *userTries) add(user, fails uint32) (sum uint32, first bool) {
	for i := user; ; i++ {
		x := &u[i%uint32(len(u))]
		if x.fails == 0 {
			x.user, x.fails = user, fails
			return fails, true
		}
		if x.user == user {
			x.fails = plus(x.fails, fails)
			return x.fails, false
		}
	}
}

// judgeTries tells three shapes apart: many tries at few users (brute force), few
// tries at many (spray), and a list of users of whom the platform does not even
// know some (stuffing). All of these counts only grow within the two days. Two days
// of which the later has no attempt are the same as those before: nothing is said again.
func (v *sourceView) judgeTries(d sketch.Day) {
	if v.given(d, markedBrute, 2) && v.given(d, markedSpray, 2) && v.given(d, markedStuffing, 2) {
		return // there is nothing worse to say
	}
	s := v.address.tries.shape(&v.e.store.Arena, d)
	if !s.own {
		return
	}
	p := &v.e.versions.at(d.Start()).Source
	say := func(spec *Spec, measure, level int, n, limit float64, unit, text string) {
		if n >= limit {
			v.hit(spec, d, measure, finding{value: "48h", level: level, evidence: schemas.Evidence{Observed: n, Threshold: limit, Unit: unit, Window: "48h0m0s", Floor: p.Attempts, Text: text}})
		}
	}
	tried := fmt.Sprintf("%s for %s, at most %s for one user, and %s, all on accounts that did not use the address before", things(s.attempts, "failed login"), things(s.users, "user"), count(s.most), things(s.successes, "successful login"))
	// A few tries at each of some colleagues are typing errors behind one address.
	say(&bruteForceSpec, markedBrute, 1, max(s.most, s.attempts-1), p.Attempts, "failed logins", tried)
	say(&bruteForceSpec, markedBrute, 2, s.attempts, p.Many, "failed logins", tried)
	say(&spraySpec, markedSpray, 1, s.users, p.SprayMin, "users", tried)
	say(&spraySpec, markedSpray, 2, s.users, p.SprayUsers, "users", tried)
	if s.unknown >= p.StuffNo {
		say(&stuffingSpec, markedStuffing, 2, s.users, p.StuffUsers, "users", fmt.Sprintf("%s, %s of them unknown to the platform", tried, count(s.unknown)))
	}
}

// judgeFlood counts the accounts that an address alarmed. A service that moves to
// a new address is new to all its customers, but sends what they always sent.
func (v *sourceView) judgeFlood(d sketch.Day) {
	if !v.address.victims.hasDay(&v.e.store.Arena, d) {
		return // what the two days hold was said of the day before
	}
	n := float64(v.address.victims.distinct(&v.e.store.Arena, d))
	p := &v.e.versions.at(d.Start()).Source
	for level, limit := range [...]float64{1: p.FloodSome, 2: p.FloodMany} {
		if level == 0 || n < limit {
			continue
		}
		v.hit(&floodSpec, d, markedFlood, finding{value: "48h", level: level, evidence: schemas.Evidence{Observed: n, Threshold: limit, Unit: "accounts", Window: "48h0m0s", Floor: p.FloodSome,
			Text: fmt.Sprintf("sources that they do not know raised alarms for %s in two days, and this address is one of them", things(n, "account"))}})
	}
}

// judgeHeld looks at the connections that were held at the end of some minutes on end.
func (v *sourceView) judgeHeld(n float64, at int64) {
	d := sketch.DayOf(at)
	p := &v.e.versions.at(d.Start()).Source
	for level, limit := range [...]float64{1: p.HeldSome, 2: p.HeldMany} {
		if level == 0 || n < limit {
			continue
		}
		v.hit(&heldSpec, d, markedHeld, finding{value: "24h", level: level, evidence: schemas.Evidence{Observed: n, Threshold: limit, Unit: "connections", Window: "3m0s", Floor: p.HeldSome,
			Text: fmt.Sprintf("%s open at the same time at the end of three minutes in a row", things(n, "connection"))}})
	}
}
