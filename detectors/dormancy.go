package detectors

import (
	"fmt"
	"hash/maphash"

	"holdfast/detectors/domain"
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// DormancyParameters are dormancy's numbers.
type DormancyParameters struct {
	Days, Watched, Floor float64
}

var dormancySpec = Spec{
	Name: "dormancy", Version: 1, Family: schemas.FamilyVolume, Entity: schemas.KindAccount, Technique: "T1078",
	Parameters: []Parameter{
		{Name: "days", Unit: "days", Default: 60, Min: 7, Max: 3650, Source: "two billing periods without a message", at: func(p *Parameters) *float64 { return &p.Dormancy.Days }},
		{Name: "watched", Unit: "days", Default: 7, Min: 1, Max: 3650, Source: "for an account older than that which has never sent, how long it must have been seen", at: func(p *Parameters) *float64 { return &p.Dormancy.Watched }},
		{Name: "floor", Unit: "recipients", Default: 20, Min: 1, Max: 1e7, Source: "as for unknown sources", at: func(p *Parameters) *float64 { return &p.Dormancy.Floor }},
	},
}

// dormancy notices an account that sends after a long silence.
type dormancy struct{}

func (dormancy) account(v *accountView) {
	n := float64(v.day.recipients)
	p := &v.dayP.Dormancy
	if v.event.Type != schemas.TypeSend || n < p.Floor || v.day.given().has(measureDormant, 1) {
		return
	}
	quiet, ok := v.quietOn(v.dayNo)
	if !ok {
		return
	}
	v.hit(&dormancySpec, v.day.given(), measureDormant, finding{value: windowValue("24h", v.dayNo.Start()), level: 1, score: 0.6, severity: schemas.SeverityMedium,
		evidence: schemas.Evidence{Observed: n, Threshold: p.Floor, Unit: "recipients", Window: "24h0m0s", Floor: p.Floor,
			Text: fmt.Sprintf("mail to %s after at least %s without a message", things(n, "recipient"), things(quiet, "day"))}})
}

// quietOn is how long the account was silent before a day, and whether that is
// dormancy. The day before may still change, so that it is not looked at.
func (v *accountView) quietOn(d sketch.Day) (float64, bool) {
	a, p := v.account, &v.e.versions.at(d.Start()).Dormancy
	if last := a.lastBefore(d); last != 0 {
		days := float64(d - last)
		return days, days >= p.Days
	}
	watched := float64(firstHour(d)-a.first) / 24
	created := a.profileAt(d.Start()).created
	return watched, watched >= p.Watched && created > 0 && float64(d)-float64(created) >= p.Days
}

// lastBefore is the last day on which the account sent before the one that precedes d,
// 0 where none is known.
func (a *account) lastBefore(d sketch.Day) sketch.Day {
	for _, last := range a.quiet {
		if last != 0 && last+1 < d {
			return last
		}
	}
	return 0
}

// sentOn notes that something was sent on a day.
func (a *account) sentOn(d sketch.Day) {
	for i, have := range a.quiet {
		if d == have {
			return
		}
		if d > have {
			copy(a.quiet[i+1:], a.quiet[i:])
			a.quiet[i] = d
			return
		}
	}
}

// ChurnParameters are identity churn's numbers.
type ChurnParameters struct {
	Floor, Times float64
}

var churnSpec = Spec{
	Name: "identity_churn", Version: 1, Family: schemas.FamilyVolume, Entity: schemas.KindAccount, Technique: "T1036",
	Parameters: []Parameter{
		{Name: "floor", Unit: "sender hosts", Default: 20, Min: 2, Max: 1e6, Source: "more subdomains in a day than a company gives to its departments", at: func(p *Parameters) *float64 { return &p.Churn.Floor }},
		{Name: "times", Unit: "ratio", Default: 3, Min: 1, Max: 1000, Source: "of the recent maximum of a day", at: func(p *Parameters) *float64 { return &p.Churn.Times }},
	},
}

// identityChurn counts the hosts below registrable domains that an account sends
// as in a day. Who sends for many customers has many registrable domains; who
// hides from filters makes up a host for every message.
type identityChurn struct{}

func (identityChurn) account(v *accountView) {
	ev, p := v.event, &v.dayP.Churn
	if ev.Type != schemas.TypeSend || ev.Test || ev.Sender == "" {
		return
	}
	host, below := v.e.senders.host(ev.Sender)
	if !below || !v.day.hosts.Add(&v.e.store.Arena, v.e.hasher.String(host), maxHosts) {
		return
	}
	n := float64(v.day.hosts.Len())
	most := float64(v.dayBase.hosts)
	for level := 1; level <= 2; level++ {
		limit := max(p.Floor, p.Times*most) * float64(2*level-1)
		if n < limit {
			return
		}
		score, severity := grade(level)
		v.hit(&churnSpec, v.day.given(), measureHosts, finding{value: windowValue("24h", v.dayNo.Start()), level: level, score: score, severity: severity,
			evidence: schemas.Evidence{Observed: n, Expected: round(most), Threshold: limit, Unit: "sender hosts", Window: "24h0m0s", Floor: p.Floor,
				Text: fmt.Sprintf("mail with senders of %s within the day, the last below %s, where %s was the recent maximum", things(n, "different host"), shown(domain.Registrable(host)), mostOf(most))}})
	}
}

// maxHosts bounds the hosts that are told apart in a day: 3 KB.
const maxHosts = 1024

// senders remembers of the hosts that came last whether they lie below their
// registrable domains, since an account's are mostly the same. 63 bits of hash under
// a seed of this process stand for a host; the last bit says whether it does.
type senders struct {
	seed  maphash.Seed
	known [4096]uint64
}

func newSenders() *senders { return &senders{seed: maphash.MakeSeed()} }

// host returns the host of a sender and whether it lies below its registrable domain.
func (s *senders) host(sender string) (host string, below bool) {
	if host = schemas.NormalDomain(domain.Host(sender)); host == "" {
		return "", false
	}
	h := maphash.String(s.seed, host)
	x := &s.known[h>>1%uint64(len(s.known))]
	if *x|1 != h|1 || *x == 0 {
		*x = h &^ 1
		if domain.Registrable(host) != host {
			*x |= 1
		}
	}
	return host, *x&1 != 0
}
