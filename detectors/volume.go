package detectors

import (
	"fmt"
	"math"

	"holdfast/detectors/baseline"
	"holdfast/schemas"
)

// VolumeParameters are volume's numbers.
type VolumeParameters struct {
	Floor5m, Floor1h, Floor24h float64
	Ceiling5m, Ceiling1h       float64
	Cohort1h                   float64
	Rarity                     float64
	Above95                    float64
}

var volumeSpec = Spec{
	Name: "volume", Version: 1, Family: schemas.FamilyVolume, Entity: schemas.KindAccount, Technique: "T1496.004",
	Parameters: []Parameter{
		{Name: "floor_5m", Unit: "recipients", Default: 30, Min: 1, Max: 1e7, Source: "below it a burst does little harm", at: func(p *Parameters) *float64 { return &p.Volume.Floor5m }},
		{Name: "floor_1h", Unit: "recipients", Default: 50, Min: 1, Max: 1e7, Source: "below it an hour does little harm", at: func(p *Parameters) *float64 { return &p.Volume.Floor1h }},
		{Name: "floor_24h", Unit: "recipients", Default: 100, Min: 1, Max: 1e8, Source: "twice the hour's", at: func(p *Parameters) *float64 { return &p.Volume.Floor24h }},
		{Name: "ceiling_5m", Unit: "recipients", Default: 100_000, Min: 1, Max: 1e9, Source: "a fifth of the hour's; a quarter under 30 days of age", at: func(p *Parameters) *float64 { return &p.Volume.Ceiling5m }},
		{Name: "ceiling_1h", Unit: "recipients", Default: 500_000, Min: 1, Max: 1e9, Source: "beyond what shared sending pools carry unannounced; a quarter under 30 days of age", at: func(p *Parameters) *float64 { return &p.Volume.Ceiling1h }},
		{Name: "cohort_1h", Unit: "recipients", Default: 200, Min: 1, Max: 1e9, Source: "for plans without a cohort of their own, while an account's past is too short to judge by", at: func(p *Parameters) *float64 { return &p.Volume.Cohort1h }},
		{Name: "rarity", Unit: "probability", Default: 1e-5, Min: 1e-30, Max: 0.1, Source: "one hour in 11 years of an account's own, before the other conditions; level 2 asks for its square", at: func(p *Parameters) *float64 { return &p.Volume.Rarity }},
		{Name: "above_p95", Unit: "ratio", Default: 3, Min: 1, Max: 100, Source: "far above the account's own 95th percentile, so that a steady series is not alarmed by little", at: func(p *Parameters) *float64 { return &p.Volume.Above95 }},
	},
}

// volume compares the recipients of an hour, of its busiest five minutes and of
// the day with the account's own past. All of these only grow within their window.
type volume struct{}

func (volume) account(v *accountView) {
	if v.event.Type != schemas.TypeSend || v.event.Test {
		return
	}
	p := &v.p.Volume
	volumeKeys(v)
	n := float64(v.hour.recipients)
	if n >= min(p.Floor1h, p.Ceiling1h/4) {
		volumeHour(v, n)
	}
	if peak := float64(v.hour.peak); peak >= min(p.Floor5m, p.Ceiling5m/4) {
		volumeBurst(v, peak)
	}
	if day := float64(v.day.recipients); day >= v.dayP.Volume.Floor24h && v.matureDays() {
		volumeDay(v, day)
	}
}

// judged is one count against what may be expected of it.
type judged struct {
	n, mean, size float64
	p95, most     float64
	times         float64 // how often most must be exceeded
	floor, rarity float64
	above         float64
	measure       string
	window, unit  string
	start         int64
	bitMeasure    int
	raised        bitSet
	alarm         *bool
	spec          *Spec
	what          string
}

// levels raises level 1 and 2 of a count: both ask for the floor (level 2 twice
// it), for more than ever before (level 2 twice that), for a multiple of the 95th
// percentile and for a tail probability below the rarity (level 2 its square).
func (v *accountView) levels(j judged) {
	if silent(j.n, j.floor, j.times*j.most, j.raised, j.bitMeasure) || j.n < j.above*j.p95 {
		return
	}
	if *j.alarm && j.raised.has(j.bitMeasure, 1) && (j.n < 2*j.floor || j.n <= 2*j.times*j.most) {
		return // level 1 has been raised and level 2 is out of reach
	}
	tail := baseline.LogTail(j.n, max(j.mean, 0.01), j.size)
	for level := 1; level <= 2; level++ {
		k := float64(level)
		if j.n < k*j.floor || j.n <= k*j.times*j.most || tail > k*math.Log(j.rarity) {
			return
		}
		*j.alarm = true
		v.hit(j.spec, j.raised, j.bitMeasure, finding{
			value: windowValue(j.measure, j.start), level: level, score: 0.25 * k, severity: quiet[level],
			evidence: schemas.Evidence{
				Observed: j.n, Expected: round(j.mean), Threshold: math.Ceil(max(k*j.floor, k*j.times*j.most+1, j.above*j.p95)),
				Unit: j.unit, Window: j.window, Floor: j.floor,
				Text: fmt.Sprintf("%s %s, where %s is usual and %s the recent maximum: a chance of %s by its own history",
					count(j.n), j.what, count(j.mean), mostOf(j.most), chance(-tail/math.Ln10)),
			},
		})
	}
}

// silent reports whether a count gives no level, whatever its probability: it need
// not be worked out.
func silent(n, floor, most float64, raised bitSet, measure int) bool {
	return n < floor || n <= most || raised.has(measure, 2)
}

// quiet grades what an account does from sources that it knows: launches, imports
// and newsletters look like this. It counts only together with something else.
var quiet = [...]schemas.Severity{1: schemas.SeverityLow, 2: schemas.SeverityMedium, 3: schemas.SeverityHigh}

func round(x float64) float64 { return math.Round(x*100) / 100 }

func volumeHour(v *accountView, n float64) {
	p, b, w := &v.p.Volume, v.hourBase, v.hour
	if v.mature() {
		if !silent(n, p.Floor1h, float64(b.volume.Max), w.given(), measureHour) {
			v.levels(judged{n: n, mean: v.expected(), size: b.volume.Size(), p95: float64(b.volume.P95), most: float64(b.volume.Max), times: 1,
				floor: p.Floor1h, rarity: p.Rarity, above: p.Above95, measure: "1h", window: "1h0m0s", unit: "recipients", start: hourStart(v.hourNo),
				bitMeasure: measureHour, raised: w.given(), alarm: &w.alarmed, spec: &volumeSpec, what: "recipients within the hour"})
		}
	} else {
		cohort := max(v.ceiling(), 1.5*float64(b.volume.Max))
		overCeiling(v, n, cohort, 1, "1h", "above the limit for accounts of its plan and age while little is known of them")
		overCeiling(v, n, 4*cohort, 2, "1h", "above four times the limit for accounts of its plan and age while little is known of them")
	}
	overCeiling(v, n, ageShare(v, p.Ceiling1h), 3, "1h", "above the limit for every account of its age")
}

func volumeBurst(v *accountView, n float64) {
	p, b, w := &v.p.Volume, v.hourBase, v.hour
	if v.mature() && !silent(n, p.Floor5m, float64(b.peak), w.given(), measureBurst) {
		mean := float64(b.volume.Mean) / 12
		size := baseline.Size(mean, float64(b.squares)-mean*mean)
		v.levels(judged{n: n, mean: v.expected() / 12, size: size, p95: float64(b.volume.P95) / 12, most: float64(b.peak), times: 1,
			floor: p.Floor5m, rarity: p.Rarity / 12, above: p.Above95, measure: "5m", window: "5m0s", unit: "recipients", start: hourStart(v.hourNo),
			bitMeasure: measureBurst, raised: w.given(), alarm: &w.alarmed, spec: &volumeSpec, what: "recipients within five minutes"})
	}
	overCeiling(v, n, ageShare(v, p.Ceiling5m), 3, "5m", "above the limit for every account of its age")
}

// daySize is the most evenness that a few weeks of days can show: the size of a
// series that looks steadier is held to 4, which makes twice the mean unremarkable.
const daySize = 4

func volumeDay(v *accountView, n float64) {
	p, b := &v.dayP.Volume, v.dayBase
	mean := float64(b.volume.Mean)
	if silent(n, p.Floor24h, 1.5*float64(b.volume.Max), v.day.given(), measureHour) {
		return
	}
	v.levels(judged{n: n, mean: mean, size: min(b.volume.Size(), daySize), p95: float64(b.volume.P95), most: float64(b.volume.Max), times: 1.5,
		floor: p.Floor24h, rarity: p.Rarity, above: 1.5, measure: "24h", window: "24h0m0s", unit: "recipients", start: v.dayNo.Start(),
		bitMeasure: measureHour, raised: v.day.given(), alarm: &v.day.alarmed, spec: &volumeSpec, what: "recipients within the day"})
}

// ageShare is a ceiling, or a quarter of it for accounts under 30 days.
func ageShare(v *accountView, ceiling float64) float64 {
	if v.young() {
		return ceiling / 4
	}
	return ceiling
}

func overCeiling(v *accountView, n, ceiling float64, level int, measure, why string) {
	if n < ceiling {
		return
	}
	bits, window, within := measureHour, "1h0m0s", "the hour"
	if measure == "5m" {
		bits, window, within = measureBurst, "5m0s", "five minutes"
	}
	if v.hour.given().has(bits, level) {
		return
	}
	// While an account is only held to its cohort it still has to be learnt, or
	// one that sends once a week never would be: only the ceiling for all freezes.
	v.hour.alarmed = v.hour.alarmed || level == 3
	v.hit(&volumeSpec, v.hour.given(), bits, finding{value: windowValue(measure, hourStart(v.hourNo)), level: level, score: 0.25 * float64(level), severity: quiet[level],
		evidence: schemas.Evidence{Observed: n, Expected: round(v.expected()), Threshold: ceiling, Unit: "recipients", Window: window, Floor: v.p.Volume.Floor1h,
			Text: fmt.Sprintf("%s recipients within %s, %s (%s)", count(n), within, why, count(ceiling))}})
}
