package detectors

import (
	"math"

	"holdfast/detectors/sketch"
)

func (b *hourBase) add(s *store, w *hourWindow) {
	alpha := max(1/(float64(b.volume.N)+1), 1.0/hourMemory)
	b.squares = float32(float64(b.squares) + alpha*(float64(w.squares)/12-float64(b.squares)))
	b.volume.Add(float64(w.recipients), hourMemory)
	b.peak = float32(max(float64(w.peak), float64(b.peak)*(1-1.0/(4*hourMemory))))
	b.sent = b.sent*shareKeep + float32(w.recipients)
	b.bounces = b.bounces*shareKeep + float32(w.bounces)
	b.complaints = b.complaints*shareKeep + float32(w.complaints)
}

// addStrangers learns how many strangers an hour brings. In an account's first
// days everybody is one, which says nothing about it.
func (b *hourBase) addStrangers(s *store, w *hourWindow) {
	k := w.countStrangers(s)
	b.fresh.Add(k, hourMemory)
	b.strange = float32(float64(b.strange)*shareKeep + k)
	b.named = float32(float64(b.named)*shareKeep + float64(w.listed))
	b.most = float32(max(k, float64(b.most)*(1-1.0/(4*hourMemory))))
}

// learn makes recipients known. When half of the room is full the older half is
// dropped, but recipients written to since then were taken over.
func (a *account) learn(s *store, fresh *sketch.Fingerprints) {
	if a.known.Len()+fresh.Len() > knownHalf {
		a.elder.Clear(&s.Arena)
		a.elder, a.known = a.known, sketch.Fingerprints{}
	}
	a.known.Merge(&s.Arena, fresh, knownHalf)
}

// stepDay learns the day before the last, which is settled, and starts a new one.
func (a *account) stepDay(s *store) {
	settled := a.day - 2
	w := &a.days[mod2(settled)]
	if firstHour(settled) >= a.since {
		a.learnSources(w)
		a.learnDay(s, settled, w)
	}
	// Neither what alarmed nor what followed on the day after makes a source known.
	if a.stuck < frozenDays {
		if w.away {
			a.sources.Unlearn(&s.Arena, settled, settled)
		} else if a.strayed {
			a.sources.Unlearn(&s.Arena, settled-1, settled)
		}
	}
	a.tries.drop(&s.Arena, settled)
	a.recent.drop(&s.Arena, a.day.Start()-keepFailures*msMinute)
	a.entered.drop(&s.Arena, (a.day - 1).Start())
	a.dropOldKeys(s)
	a.strayed = w.away
	a.days[mod2(a.day-1)].before = w.newSources
	w.clear(s)
	a.stepAside(s)
	if a.watch != 0 && s.watches.At(a.watch).stepDay(&s.Store, a.day) {
		a.unwatch(s)
	}
}

// learnSources learns how many unknown sources a day brings, from alarmed days
// too, but never more than a day's surprise at a time.
func (a *account) learnSources(w *dayWindow) {
	b := &a.daily
	k := float64(w.newSources)
	if b.watched >= 3 {
		k = min(k, 3*float64(b.sources)+5)
	}
	if a.settling() {
		return
	}
	alpha := max(1/(float64(b.watched)+1), 1.0/dayMemory)
	b.sources += float32(alpha * (k - float64(b.sources)))
	b.watched = min(b.watched+1, math.MaxUint8-1)
}

// settling reports whether the day that is being learnt is still one of the first,
// whose sources all count as known.
func (a *account) settling() bool {
	return firstHour(a.day-2)-a.first < settleDays*24
}

func (a *account) learnDay(s *store, d sketch.Day, w *dayWindow) {
	if !w.alarmed {
		if w.recipients > 0 {
			a.stuck -= min(a.stuck, 1)
		}
	} else if a.stuck < frozenDays {
		a.stuck++
		return
	}
	b := &a.daily
	b.volume.Add(float64(w.recipients), dayMemory)
	if int(firstHour(d)-a.since)/24 >= acquainted {
		b.strangers.Add(float64(w.strangers), dayMemory)
		b.hours.Add(float64(w.hours), dayMemory)
	}
	b.hosts = float32(max(float64(w.hosts.Len()), float64(b.hosts)*(1-1.0/(4*dayMemory))))
	weeks := int(firstHour(d)-a.since) / (24 * 7)
	a.rhythm.AddDay(weekday(d), float64(w.recipients), weeks)
}
