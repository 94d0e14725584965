package detectors

import (
	"fmt"
	"math"

	"holdfast/detectors/baseline"
	"holdfast/schemas"
)

// NewSourceParameters are new source's numbers.
type NewSourceParameters struct {
	LearnDays float64
	Rarity    float64
	Fanout    float64
	Floor     float64
}

var newSourceSpec = Spec{
	Name: "new_source", Version: 1, Family: schemas.FamilyNetwork, Entity: schemas.KindAccount, Technique: "T1078.004",
	Parameters: []Parameter{
		{Name: "learn_days", Unit: "days", Default: 7, Min: 0, Max: 90, Source: "a week shows every weekday's sources", at: func(p *Parameters) *float64 { return &p.NewSource.LearnDays }},
		{Name: "rarity", Unit: "probability", Default: 0.05, Min: 1e-9, Max: 1, Source: "about one new source in 20 days is worth a mention; level 2 asks for 1/50 of it, level 3 for its fourth power", at: func(p *Parameters) *float64 { return &p.NewSource.Rarity }},
		{Name: "fan_out", Unit: "sources", Default: 10, Min: 2, Max: 256, Source: "more than a person's devices and a company's offices bring in a day", at: func(p *Parameters) *float64 { return &p.NewSource.Fanout }},
		{Name: "floor", Unit: "recipients", Default: 50, Min: 1, Max: 1e7, Source: "as volume's", at: func(p *Parameters) *float64 { return &p.NewSource.Floor }},
	},
}

// newSource counts the sources of sends and successful logins that the account did
// not use in the 90 days which ended two days before: a source stays unknown for a
// day and the next, and all unknown sources of a day are judged together, as one actor. By
// itself it never gives more than reason to look.
type newSource struct{}

// countSource notes the source of a send or login. It is not counted while the
// account is still being learnt.
func (v *accountView) countSource(recipients int64) {
	if !v.event.IP.IsValid() {
		return
	}
	a, ar, d := v.account, &v.e.store.Arena, v.dayNo
	h := v.e.sourceHash(v.event.IP, false)
	if a.sources.Len() >= maxSources && !a.sources.Has(ar, h) {
		a.sources.Keep(ar, d-min(d, sourceDays+2), maxSources+maxNetworks-1)
		if a.sources.Len() >= maxSources {
			h = v.e.sourceHash(v.event.IP, true)
		}
	}
	known := a.sources.UsedBetween(ar, h, d-min(d, sourceDays), d-min(d, 2))
	first := a.sources.Use(ar, h, d)
	if known || v.age() < settleDays {
		return
	}
	if first && v.day.newSources < math.MaxUint16 {
		v.day.newSources++
	}
	if v.learning() {
		return
	}
	if v.event.Type == schemas.TypeSend {
		v.day.unknown = plus(v.day.unknown, uint32(min(recipients, schemas.MaxCount)))
		if v.event.Credential != "" {
			v.tellSource(h)
		}
	}
}

// settleDays is when the sources of an account's first day count as known, so
// that its rate of new ones can be learnt from then on.
const settleDays = 3

// age is how many days the account has been seen before the view's day.
func (v *accountView) age() float64 {
	return float64(firstHour(v.dayNo)-hourOf(v.account.first)) / 24
}

// learning reports whether the account's sources are still being learnt on the day.
func (v *accountView) learning() bool { return v.age() < v.dayP.NewSource.LearnDays }

func (newSource) account(v *accountView) {
	k, n := float64(v.day.newSources), float64(v.day.unknown)
	if k == 0 || v.learning() || v.day.raised&levelBit(measureSource, 3) != 0 {
		return
	}
	p := &v.dayP.NewSource
	// The account's own rate of new sources: a gamma posterior over a prior of half
	// a source in ten days, whose predictive is negative binomial with shape a and
	// mean a/b (Gelman et al., Bayesian Data Analysis, 3rd edition, section 2.6).
	days := min(max(v.age()-settleDays-1, 0), dayMemory)
	a, b := 0.5+float64(v.dayBase.sources)*days, 10+days
	tail := baseline.LogTail(k, a/b, a)
	rare := math.Log(p.Rarity)
	large, threshold := v.unknownVolume(n)
	if tail <= rare {
		sourceLevel(v, 1, k, n, a/b, 1, 0.3, schemas.SeverityLow)
	}
	if k >= 3 && tail <= rare-math.Log(50) || large {
		sourceLevel(v, 2, k, n, a/b, threshold, 0.6, schemas.SeverityMedium)
	}
	if k >= p.Fanout && tail <= 4*rare {
		sourceLevel(v, 3, k, n, a/b, p.Fanout, 0.8, schemas.SeverityHigh)
	}
}

// unknownVolume reports whether unknown sources alone sent more in the day than
// the whole account usually does. A new server that takes over the usual load does not.
func (v *accountView) unknownVolume(n float64) (large bool, threshold float64) {
	p := &v.dayP.NewSource
	if n < p.Floor {
		return false, p.Floor
	}
	if !v.matureDays() {
		start := v.dayNo.Start()
		limit := max(v.account.profileAt(start).cohort(v.dayP, start), p.Floor, 1.5*float64(v.dayBase.volume.Max))
		return n >= limit, limit
	}
	s := &v.dayBase.volume
	limit := max(p.Floor, float64(s.P95), float64(s.Mean)+1)
	return n >= limit && baseline.LogTail(n, max(float64(s.Mean), 0.01), min(s.Size(), daySize)) <= math.Log(p.Rarity/50), limit
}

func sourceLevel(v *accountView, level int, k, n, usual, threshold, score float64, severity schemas.Severity) {
	f := finding{value: windowValue("24h", v.dayNo.Start()), level: level, score: score, severity: severity,
		evidence: schemas.Evidence{Observed: k, Expected: round(usual), Threshold: threshold, Unit: "sources", Window: "24h0m0s", Floor: 1}}
	if v.day.raised&levelBit(measureSource, level) != 0 {
		return
	}
	f.evidence.Text = fmt.Sprintf("%s source(s) within the day that the account did not use before, %s last, with %s recipients sent to from such; %s a day is usual",
		count(k), schemas.IPKey(v.event.IP), count(n), count(usual))
	v.hit(&newSourceSpec, &v.day.raised, measureSource, f)
}
