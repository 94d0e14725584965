package detectors

import (
	"fmt"
	"math"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// FanOutParameters are fan-out's numbers.
type FanOutParameters struct {
	Floor, Rarity float64
}

var fanOutSpec = Spec{
	Name: "fan_out", Version: 1, Family: schemas.FamilyNetwork, Entity: schemas.KindAccount, Technique: "T1583.005",
	Parameters: []Parameter{
		{Name: "floor", Unit: "sources", Default: 10, Min: 2, Max: 256, Source: "more than a person's devices and a company's offices bring in a day", at: func(p *Parameters) *float64 { return &p.FanOut.Floor }},
		{Name: "rarity", Unit: "powers of ten", Default: 5, Min: 1, Max: 100, Source: "1 in 100,000 by the account's own rate of new sources", at: func(p *Parameters) *float64 { return &p.FanOut.Rarity }},
	},
}

// fanOut notices that an account is used from many unknown sources in a day.
type fanOut struct{}

func (fanOut) account(v *accountView) {
	switch v.event.Type {
	case schemas.TypeSend, schemas.TypeLogin:
		v.fanOut(v.dayNo)
		if v.dayNo < v.account.day {
			v.fanOut(v.account.day)
		}
	}
	if v.event.Type == schemas.TypeSend && v.sentWith != nil {
		v.fanOutKey(v.sentWith)
	}
}

func (v *accountView) fanOut(d sketch.Day) {
	day, p := &v.account.days[mod2(d)], &v.e.versions.at(d.Start()).FanOut
	k := float64(day.newSources)
	if k < p.Floor || v.learningOn(d) {
		return
	}
	_, surprise := v.newSources(d)
	for level := 2; level <= 3; level++ {
		if surprise < p.Rarity*float64(level-1) {
			return
		}
		score, severity := grade(level - 1)
		v.hit(&fanOutSpec, day.given(), measureFanOut, finding{value: windowValue("24h", d.Start()), level: level, score: score, severity: severity,
			evidence: schemas.Evidence{Observed: k, Expected: round(float64(v.account.dailyAt(&v.e.store, d).sources)), Threshold: p.Floor, Unit: "sources", Window: "24h0m0s", Floor: p.Floor,
				Text: fmt.Sprintf("%s within the day that the account did not use before: a chance of %s by its usual rate of new sources", things(k, "source"), chance(surprise))}})
	}
}

// fanOutKey compares the sources that sent with a credential within the hour with its
// own past, known or not: where an account's sources change all the time, one key that
// only a server used still stands out.
func (v *accountView) fanOutKey(k *keyPast) {
	p, b, i := &v.p.FanOut, v.pastOf(&k.spread), mod3(v.hourNo)
	n := float64(k.sources[i].Len())
	if n < p.Floor || k.given[i]&givenFanOut != 0 || b.N < matureHours || b.Active < matureActive || n <= 2*float64(b.Max) {
		return
	}
	tail := baseline.LogTail(n, max(float64(b.Mean), 0.01), b.Size())
	if tail > -p.Rarity*math.Ln10 {
		return
	}
	k.alarmed |= 1 << i
	k.given[i] |= givenFanOut
	f := v.keyFinding(k, 1)
	f.score, f.severity = grade(1)
	f.evidence = schemas.Evidence{Observed: n, Expected: round(float64(b.Mean)), Threshold: max(p.Floor, math.Floor(2*float64(b.Max))+1), Unit: "sources", Window: "1h0m0s", Floor: p.Floor, Samples: []string{v.event.ID},
		Text: fmt.Sprintf("%s within the hour with credential %s, where %s is usual for it and %s the recent maximum: a chance of %s by its own history",
			things(n, "source"), brief(f.credential), count(float64(b.Mean)), mostOf(float64(b.Max)), chance(-tail/math.Ln10))}
	v.e.raise(v.emit, &fanOutSpec, f)
}

// givenFanOut is the bit of keyPast.given for a fan-out; volume has the two below it.
const givenFanOut = 1 << 2
