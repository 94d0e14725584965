package detectors

import (
	"fmt"

	"holdfast/schemas"
)

// UnprovenParameters are the numbers by which accounts are judged of which little
// is known.
type UnprovenParameters struct {
	Days, Bounces, BounceRarity, Ceiling, CeilingSilent float64
}

var unprovenSpec = Spec{
	Name: "unproven_source", Version: 1, Family: schemas.FamilyNetwork, Entity: schemas.KindAccount, Technique: "T1078.004",
	Parameters: []Parameter{
		{Name: "days", Unit: "days", Default: 8, Min: 0, Max: 90, Source: "who sends on fewer days has not shown its habits: first campaigns and seasonal mail look like an intruder's", at: func(p *Parameters) *float64 { return &p.Unproven.Days }},
		{Name: "bounces", Unit: "hard bounces", Default: 3, Min: 1, Max: 1e6, Source: "a list of one's own gives two in a hundred, a bought one three in twenty-five", at: func(p *Parameters) *float64 { return &p.Unproven.Bounces }},
		{Name: "bounce_rarity", Unit: "powers of ten", Default: 1, Min: 0.1, Max: 100, Source: "one honest list in ten, from what has settled", at: func(p *Parameters) *float64 { return &p.Unproven.BounceRarity }},
		{Name: "ceiling", Unit: "times the cohort's hour", Default: 10, Min: 0.1, Max: 1e6, Source: "as much as its plan is given in a working day", at: func(p *Parameters) *float64 { return &p.Unproven.Ceiling }},
		{Name: "ceiling_silent", Unit: "times the cohort's hour", Default: 2, Min: 0.1, Max: 1e6, Source: "the same of an old account that was never seen to send, and to which nobody has just signed in", at: func(p *Parameters) *float64 { return &p.Unproven.CeilingSilent }},
	},
}

// known reports whether the account has sent on enough days to be known by them, or
// is known to have been silent for long.
func (v *accountView) known(h int32) bool {
	d := dayOfHour(h)
	if float64(v.account.dailyAt(&v.e.store, d).volume.Active) >= v.e.versions.at(hourStart(h)).Unproven.Days {
		return true
	}
	_, dormant := v.quietOn(d)
	return dormant && v.account.lastBefore(d) != 0
}

// proven reports whether outcomes show that somebody else sends: the mail bounces as
// none to a list of one's own does, or is more than any account may send of which
// nothing is known. Both only grow within an hour.
func (v *accountView) proven(h int32, x verdictOn) bool {
	start := hourStart(h)
	p := v.e.versions.at(start)
	ceiling := p.Unproven.Ceiling
	if _, dormant := v.quietOn(dayOfHour(h)); dormant && !v.attended(h) {
		ceiling = min(ceiling, p.Unproven.CeilingSilent)
	}
	return x.bounced >= p.Unproven.Bounces || x.reputation >= p.Unproven.BounceRarity ||
		x.recipients >= ceiling*v.account.profileAt(start).cohort(p, start)
}

// unproven reports an actor that would be grave if more were known of the account:
// reason to slow it down until outcomes or a person decide, and not to stop it.
func (v *accountView) unproven(raised bitSet, h int32, x verdictOn, s *stretch) {
	if raised.has(measureUnproven, 1) {
		return
	}
	d, shown := dayOfHour(h), "no day with mail"
	if active := float64(v.account.dailyAt(&v.e.store, d).volume.Active); active > 0 {
		shown = "only " + things(active, "day") + " with mail"
	}
	floor := v.e.versions.at(hourStart(h)).Actor.Floor
	v.hit(&unprovenSpec, raised, measureUnproven, finding{value: windowValue("24h", d.Start()), level: 1, score: share(x.joint()), severity: schemas.SeverityMedium,
		evidence: schemas.Evidence{Observed: x.recipients, Expected: round(x.usual), Threshold: floor, Unit: "recipients", Window: s.window, Floor: floor,
			Text: fmt.Sprintf("%s, judged together, sent to %s: a chance of %s by the account's own history, which has %s; bounces or a person must confirm it",
				newcomers(x.sources), things(x.recipients, "recipient"), chance(x.joint()), shown)}})
}
