package detectors

import (
	"fmt"
	"math"

	"holdfast/detectors/baseline"
	"holdfast/schemas"
)

// StrangersParameters are strangers' numbers.
type StrangersParameters struct {
	Floor1h, Floor24h float64
	Rarity            float64
	Cohort            float64
}

var strangersSpec = Spec{
	Name: "strangers", Version: 1, Family: schemas.FamilyVolume, Entity: schemas.KindAccount, Technique: "T1566",
	Parameters: []Parameter{
		{Name: "floor_1h", Unit: "recipients", Default: 25, Min: 1, Max: 1e7, Source: "the reference rule's floor on the labelled sets", at: func(p *Parameters) *float64 { return &p.Strangers.Floor1h }},
		{Name: "floor_24h", Unit: "recipients", Default: 50, Min: 1, Max: 1e8, Source: "twice the hour's", at: func(p *Parameters) *float64 { return &p.Strangers.Floor24h }},
		{Name: "rarity", Unit: "probability", Default: 1e-5, Min: 1e-30, Max: 0.1, Source: "as volume's", at: func(p *Parameters) *float64 { return &p.Strangers.Rarity }},
		{Name: "cohort_share", Unit: "share", Default: 0.75, Min: 0.01, Max: 100, Source: "of volume's cohort ceiling, for accounts whose past is too short", at: func(p *Parameters) *float64 { return &p.Strangers.Cohort }},
	},
}

// strangers counts distinct recipients that the account never wrote to. The
// account's own share of strangers tells how many to expect: of as many recipients
// as its largest hour ever had, so that the threshold does not move while the
// window fills.
type strangers struct{}

func (strangers) account(v *accountView) {
	if v.event.Type != schemas.TypeSend || v.event.Test || len(v.event.Recipients) == 0 {
		return
	}
	p := &v.p.Strangers
	if v.hour.raised&levelBit(measureStrange, 2) == 0 && float64(v.hour.listed) >= p.Floor1h {
		if v.mature() {
			strangersHour(v)
		} else {
			strangersCohort(v)
		}
	}
	if n := float64(v.day.strangers); n >= v.dayP.Strangers.Floor24h && v.matureDays() {
		strangersDay(v, n)
	}
}

// strangersHour judges the hour by the share's posterior predictive: of N
// recipients, N being the most of any hour, the strangers are beta-binomial with
//
//	mean = N·q,   var = N·q·(1−q)·(1 + (N−1)/(s+1)),   q = (S+½)/(R+1),   s = min(R+1, 50)
//
// with S strangers among R recipients so far. s is capped because lists come in
// whole: the share of one hour says less than its count suggests. The tail is that
// of the negative binomial with this mean and variance.
func strangersHour(v *accountView) {
	b, p, w := v.hourBase, &v.p.Strangers, v.hour
	usual := max(float64(b.volume.Max), v.expected(), 1)
	q := (float64(b.strange) + 0.5) / (float64(b.named) + 1)
	s := min(float64(b.named)+1, 50)
	mean := usual * min(q, 1)
	variance := mean * (1 - min(q, 1)) * (1 + (usual-1)/(s+1))
	most := float64(b.most)
	n := v.strangersNow(max(p.Floor1h, most+1))
	v.levels(judged{n: n, mean: mean, size: baseline.Size(mean, variance), most: most, times: 1, floor: p.Floor1h, rarity: p.Rarity,
		measure: "1h", window: "1h0m0s", unit: "strangers", start: hourStart(v.hourNo), bitMeasure: measureStrange,
		raised: &w.raised, alarm: &w.alarmed, spec: &strangersSpec,
		what: fmt.Sprintf("recipients within the hour whom the account never wrote to (%.0f %% of its mail goes to such)", 100*min(q, 1))})
}

func strangersDay(v *accountView, n float64) {
	b, p := v.dayBase, &v.dayP.Strangers
	v.levels(judged{n: n, mean: float64(b.strangers.Mean), size: min(b.strangers.Size(), daySize), p95: float64(b.strangers.P95), most: float64(b.strangers.Max), times: 1.5,
		floor: p.Floor24h, rarity: p.Rarity, above: 1.5, measure: "24h", window: "24h0m0s", unit: "strangers", start: v.dayNo.Start(),
		bitMeasure: measureStrange, raised: &v.day.raised, alarm: &v.day.alarmed, spec: &strangersSpec,
		what: "recipients within the day whom the account never wrote to"})
}

// strangersCohort holds an account without a past to a share of its cohort's ceiling.
func strangersCohort(v *accountView) {
	p, w := &v.p.Strangers, v.hour
	ceiling := max(p.Floor1h, p.Cohort*v.ceiling(), 1.5*float64(v.hourBase.most))
	n := v.strangersNow(ceiling)
	for level := 1; level <= 2; level++ {
		limit := ceiling * math.Pow(4, float64(level-1))
		if n < limit || w.raised&levelBit(measureStrange, level) != 0 {
			continue
		}
		v.hit(&strangersSpec, &w.raised, measureStrange, finding{value: windowValue("1h", hourStart(v.hourNo)), level: level,
			evidence: schemas.Evidence{Observed: n, Threshold: limit, Unit: "strangers", Window: "1h0m0s", Floor: p.Floor1h,
				Text: fmt.Sprintf("%s recipients within the hour whom the account never wrote to, beyond what accounts of its plan and age are given (%s)", count(n), count(limit))}})
	}
}
