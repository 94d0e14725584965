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
	Share             float64
}

var strangersSpec = Spec{
	Name: "strangers", Version: 1, Family: schemas.FamilyVolume, Entity: schemas.KindAccount, Technique: "T1566",
	Parameters: []Parameter{
		{Name: "floor_1h", Unit: "recipients", Default: 25, Min: 1, Max: 1e7, Source: "the reference rule's floor on the labelled sets", at: func(p *Parameters) *float64 { return &p.Strangers.Floor1h }},
		{Name: "floor_24h", Unit: "recipients", Default: 50, Min: 1, Max: 1e8, Source: "twice the hour's", at: func(p *Parameters) *float64 { return &p.Strangers.Floor24h }},
		{Name: "rarity", Unit: "probability", Default: 1e-5, Min: 1e-30, Max: 0.1, Source: "as volume's", at: func(p *Parameters) *float64 { return &p.Strangers.Rarity }},
		{Name: "cohort_share", Unit: "share", Default: 0.75, Min: 0.01, Max: 100, Source: "of volume's cohort ceiling, for accounts whose past is too short", at: func(p *Parameters) *float64 { return &p.Strangers.Cohort }},
		{Name: "share", Unit: "log odds", Default: 1.7, Min: 0.1, Max: 100, Source: "level 2; on the labelled mail one account-day in 25 is beyond it", at: func(p *Parameters) *float64 { return &p.Strangers.Share }},
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
	if !v.hour.given().has(measureStrange, 2) && float64(v.hour.listed) >= p.Floor1h {
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
	most := float64(b.most)
	n := v.strangersNow(max(p.Floor1h, most+1))
	if silent(n, p.Floor1h, most, w.given(), measureStrange) {
		return
	}
	usual := max(float64(b.volume.Max), v.expected(), 1)
	q := (float64(b.strange) + 0.5) / (float64(b.named) + 1)
	s := min(float64(b.named)+1, 50)
	mean := usual * min(q, 1)
	variance := mean * (1 - min(q, 1)) * (1 + (usual-1)/(s+1))
	v.levels(judged{n: n, mean: mean, size: baseline.Size(mean, variance), most: most, times: 1, floor: p.Floor1h, rarity: p.Rarity,
		measure: "1h", window: "1h0m0s", unit: "strangers", start: hourStart(v.hourNo), bitMeasure: measureStrange,
		raised: w.given(), alarm: &w.alarmed, spec: &strangersSpec,
		what: fmt.Sprintf("recipients within the hour that the account never wrote to (usually %.0f %% of its mail goes to such)", 100*min(q, 1))})
}

func strangersDay(v *accountView, n float64) {
	b, p := v.dayBase, &v.dayP.Strangers
	if silent(n, p.Floor24h, 1.5*float64(b.strangers.Max), v.day.given(), measureStrange) {
		return
	}
	v.levels(judged{n: n, mean: float64(b.strangers.Mean), size: min(b.strangers.Size(), daySize), p95: float64(b.strangers.P95), most: float64(b.strangers.Max), times: 1.5,
		floor: p.Floor24h, rarity: p.Rarity, above: 1.5, measure: "24h", window: "24h0m0s", unit: "strangers", start: v.dayNo.Start(),
		bitMeasure: measureStrange, raised: v.day.given(), alarm: &v.day.alarmed, spec: &strangersSpec,
		what: "recipients within the day that the account never wrote to"})
}

// strangersCohort holds an account without a past to a share of its cohort's ceiling.
func strangersCohort(v *accountView) {
	p, w := &v.p.Strangers, v.hour
	ceiling := max(p.Floor1h, p.Cohort*v.ceiling(), 1.5*float64(v.hourBase.most))
	n := v.strangersNow(ceiling)
	for level := 1; level <= 2; level++ {
		limit := ceiling * math.Pow(4, float64(level-1))
		if n < limit || w.given().has(measureStrange, level) {
			continue
		}
		v.hit(&strangersSpec, w.given(), measureStrange, finding{value: windowValue("1h", hourStart(v.hourNo)), level: level, score: 0.25 * float64(level), severity: quiet[level],
			evidence: schemas.Evidence{Observed: n, Threshold: limit, Unit: "strangers", Window: "1h0m0s", Floor: p.Floor1h,
				Text: fmt.Sprintf("%s recipients within the hour that the account never wrote to, above the limit for accounts of its plan and age (%s)", count(n), count(limit))}})
	}
}

// add takes in an hour that has settled. Its evidence that the account now writes
// to other people is the log likelihood ratio of its share f of strangers, were 19
// of 20 recipients such, against the account's own share q (E. S. Page, Continuous
// inspection schemes, 1954), weighted by the root of up to two recipients:
//
//	Λ ← max(0, Λ + √min(n, 2)·(f·ln(0.95/q) + (1−f)·ln(0.05/(1−q))))
//
// and forgets a fifth a day.
func (b *habits) add(w *hourWindow, strangers float64, days int) {
	if b.against *= habitKeep; b.against < 0.01 {
		b.against = 0
	}
	if w.listed == 0 {
		return
	}
	f := min(strangers/float64(w.listed), 1)
	q := max((float64(b.strange)+0.5)/(float64(b.hours)+2), 0.1)
	if q < 0.95 && days >= matureHours/24 {
		d := f*math.Log(0.95/q) + (1-f)*math.Log(0.05/(1-q))
		b.against = float32(max(0, float64(b.against)+math.Sqrt(float64(min(w.listed, 2)))*d))
	}
	b.hours = b.hours*0.999 + 1
	b.strange = b.strange*0.999 + float32(f)
}

// judgeHabit asks whether an account has begun to write to other people than it
// used to, however few. Its signals are low and count only in policies that ask
// for them.
func judgeHabit(v *accountView, h int32) {
	a := v.account
	w, p := &a.hours[mod3(h)], &v.e.versions.at(hourStart(h)).Strangers
	if w.listed == 0 {
		return
	}
	b := a.hourly.habits
	b.add(w, w.countStrangers(&v.e.store), int(h-a.since)/24)
	against, q := float64(b.against), float64(b.strange)/max(float64(b.hours), 1)
	day := &a.days[mod2(dayOfHour(h))]
	for level := 2; level <= 3; level++ {
		if against < p.Share*float64(level)/2 || day.given().has(measureShare, level) {
			continue
		}
		v.hit(&strangersSpec, day.given(), measureShare, finding{value: windowValue("share", dayOfHour(h).Start()), level: level, score: 0.1 * float64(level), severity: schemas.SeverityLow,
			evidence: schemas.Evidence{Observed: round(against), Expected: 0, Threshold: round(p.Share * float64(1+level) / 3), Unit: "share of strangers", Window: "72h0m0s", Floor: 2,
				Text: fmt.Sprintf("many of its recipients are new to it, where usually %.0f %% are: odds of %s to 1 that its habits have changed", 100*q, odds(math.Exp(against)))}})
	}
}
