package detectors

import "holdfast/detectors/sketch"

// newSources is how many unknown sources were used on a day and the one before,
// and how surprising that is by the account's own rate of them: a gamma posterior
// over a prior of 0.3 sources in a day, whose predictive is negative binomial
// with shape a and mean a/b; the shape is held to 3, since days differ by more than
// chance (Gelman et al., Bayesian Data Analysis, 3rd edition,
// section 2.6).
func (v *accountView) newSources(d sketch.Day) (k, surprise float64) {
	return v.surprising(d, v.sourcesOn(d))
}

// sourcesUntil is the same as far as they were used before an hour was over.
func (v *accountView) sourcesUntil(h int32) (k, surprise float64) {
	return v.surprising(dayOfHour(h), v.sourcesBefore(h))
}

func (v *accountView) sourcesBefore(h int32) float64 {
	a, d := v.account, dayOfHour(h)
	k := v.sourcesOn(d)
	if h < a.hour && d == a.day {
		k -= float64(v.e.store.watches.At(a.watch).newcomers.Len())
	}
	return k
}

func (v *accountView) sourcesOn(d sketch.Day) float64 {
	today, before := &v.account.days[mod2(d)], v.account.days[mod2(d-1)].newSources
	if d < v.account.day {
		before = today.before
	}
	return float64(today.newSources) + float64(before)
}

func (v *accountView) surprising(d sketch.Day, k float64) (sources, surprise float64) {
	if k <= 0 {
		return 0, 0
	}
	mean, shape := v.account.dailyAt(&v.e.store, d).sourceRate()
	return k, belief{2 * mean, min(shape, 3)}.surprise(k)
}

// sourceRate is the unknown sources to expect in a day, and the posterior's shape.
func (b *dayBase) sourceRate() (mean, shape float64) {
	days := min(float64(b.watched), dayMemory)
	shape = 0.3 + float64(b.sources)*days
	return shape / (1 + days), shape
}

// nearSurprise is the surprise at new sources of regions that the account uses
// anyway: providers give out addresses of a few.
const nearSurprise = 0.5

// stableSources is the surprise, in powers of ten, from which a new source means
// something: the account hardly ever has one. Of the others it takes more to call
// what a new source sends unusual, and of those that have one every other day unless
// there are very many at once.
const (
	stableSources = 1.0
	restlessRate  = 0.5 // new sources a day
	manySources   = 3.0
)

// restless reports whether new sources mean little for the account.
func (v *accountView) restless(h int32, network float64) bool {
	return network < stableSources || network < manySources && v.account.dailyAt(&v.e.store, dayOfHour(h)).sources > restlessRate
}

// unfamiliar reports whether an account has sent on so few days that its habits
// cannot be known: who sends once a week has not yet shown a month. One that was
// silent for long is known by that, unless its people have come back to it.
func (v *accountView) unfamiliar(h int32) bool {
	d := dayOfHour(h)
	if v.account.dailyAt(&v.e.store, d).volume.Active >= 4 {
		return false
	}
	quiet, dormant := v.quietOn(d)
	return !dormant || quiet < 1 || v.attended(h)
}

// attended reports whether somebody signed in to the account in the hours before the
// actor's first send of an hour, leaving out what may still change when that comes.
func (v *accountView) attended(h int32) bool {
	first := v.e.store.watches.At(v.account.watch).hours[mod3(h)].first
	l, ar, until := &v.account.entered, &v.e.store.Arena, hourStart(h)+int64(first)*1000-lateness
	for i := range int(l.n) {
		m := l.at(ar, i)
		if m.kind&enteredGuessed == 0 && m.time < until && m.time >= until-attendedHours*msHour {
			return true
		}
	}
	return false
}

// attendedHours is how long after somebody has signed in what is sent may be theirs.
const attendedHours = 6

// fall is the power with which counts beyond the largest of an account's are taken
// to become rarer: 2 where little is known of it, 3 from four active hours or days
// on, and where a long silence is what is known.
func (v *accountView) fall(h int32, active float64) float64 {
	if _, dormant := v.quietOn(dayOfHour(h)); dormant && !v.attended(h) {
		return 3
	}
	return min(3, 2+active/4)
}
