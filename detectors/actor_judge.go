package detectors

import "math/bits"

// beliefs are what an hour may bring in recipients and in strangers. While the
// account's strangers are not known yet, three quarters of what it sends are taken
// to be such. An account whose unknown sources are used to sending is judged by
// what these are used to, where that is more.
func (v *accountView) beliefs(p *ActorParameters, base *actorBase, expected, known float64) (volume, strangers belief) {
	volume = shrink(&base.volume, expected, known, p.PriorHour, p.PriorSize, p.PriorWeight)
	prior := max(p.PriorStrangers, 0.75*volume.mean)
	strangers = shrink(&base.fresh, float64(base.fresh.Mean), float64(base.fresh.N), prior, p.PriorSize, p.PriorWeight)
	return volume, strangers
}

// judgeActor looks at what the actor did in the hour h and the one before, and
// again at the clock's hour where the event is a late one of the hour before it.
func (v *accountView) judgeActor() {
	if v.account.watch == 0 {
		return
	}
	w := v.e.store.watches.At(v.account.watch)
	v.judgeActorHour(w, v.hourNo)
	if v.hourNo < v.account.hour {
		v.judgeActorHour(w, v.account.hour)
	}
}

// judgeLast judges an hour when it has settled, with all that is known of it by then:
// what was said of it before may have depended on what came first.
func (v *accountView) judgeLast(h int32) {
	w := v.e.store.watches.At(v.account.watch)
	for _, x := range [...]int32{h, h - 1} {
		w.hours[mod3(x)].looked = looked{}
		w.hours[mod3(x)].since = w.hours[mod3(x)].asked
	}
	v.judgeActorHour(w, h)
}

func (v *accountView) judgeActorHour(w *watch, h int32) {
	now, last := &w.hours[mod3(h)], &w.hours[mod3(h-1)]
	p := &v.e.versions.at(hourStart(h)).Actor
	blind, n := now.blind > 0 || last.blind > 0, grid(now.recipients-now.blind)+grid(last.recipients-last.blind)
	all := grid(now.recipients) + grid(last.recipients)
	if all < min(p.Floor, p.BlindFloor) || now.recipients == 0 {
		return
	}
	s := v.actorStrangers(now) + v.actorStrangers(last)
	k, graded := v.sourcesBefore(h), now.grade|last.grade
	seen := looked{float32(all), float32(n), float32(s), float32(k), float32(now.bounced) + float32(last.bounced), now.reputation, graded}
	if now.looked == seen {
		return
	}
	now.looked = seen
	_, network := v.surprising(dayOfHour(h), k)
	network = max(network, nearSurprise)
	// A new country is about as rare as a new source is for those who never travel;
	// a hosted one says less.
	if graded&gradeCountry != 0 {
		network += 0.7
	}
	if graded&gradeHosting != 0 {
		network += 0.3
	}
	a := v.account
	base := v.e.store.bases.At(now.base)
	expected := float64(base.expected)
	volume, strangers := v.beliefs(p, base, expected/2, float64(h-a.since))
	volume, strangers = volume.times(2), strangers.times(2)
	unnamed := grid(now.unnamed) + grid(last.unnamed)
	if n >= p.Floor {
		x := verdictOn{recipients: n, strangers: min(s, n), usual: expected}
		// People who have been written to before are rarely an intruder's aim, unless
		// the whole list is.
		reached := min(s+unnamed, n)
		if n >= 100 && n > 2*float64(base.volume.Max) {
			reached = n
		}
		if reached >= p.Floor {
			x.volume, x.list = volume.surprise(reached), strangers.surprise(x.strangers)
			x.bounced, x.reputation = float64(now.bounced)+float64(last.bounced), float64(now.reputation)
			x.sources, x.network = k, network
			if v.restless(h, x.network) || v.unfamiliar(h) {
				active := float64(base.volume.Active)
				fall := v.fall(h, active)
				x.volume = min(x.volume, succession(reached, active, float64(base.volume.Max), fall))
				x.list = min(x.list, succession(x.strangers, active+float64(base.named)/namedShow, float64(base.most), fall))
			}
			v.raiseActor(h, p, x, &overHours)
		}
	}
	// Of sends that name no address nothing is known but whom they went to, and a
	// list as long as a recent one is no news.
	if blind && !v.learningOn(dayOfHour(h)) && all >= p.BlindFloor && s >= p.BlindFloor && s > float64(base.most) {
		v.raiseActor(h, p, verdictOn{recipients: all, strangers: s, usual: expected, list: strangers.surprise(s)}, &overHours)
	}
}

// looked is what an actor was last judged by. More of it is looked at again, the
// same is not.
type looked struct {
	recipients, placed, strangers, sources, bounced, reputation float32
	grade                                                       byte
}

// grid rounds a count down to five binary digits, exact up to 31: what is judged
// moves in steps of a sixteenth at most, and so it need not be judged each time. A
// function of the count alone, it leaves no trace of the order of arrival.
func grid(n uint32) float64 {
	if drop := bits.Len32(n) - 5; drop > 0 {
		n = n >> drop << drop
	}
	return float64(n)
}

// actorStrangers is the strangers that the actor wrote to in an hour, as a number on
// the grid. The sketch is asked only when it may have come to the grid's next step,
// so that when it was asked leaves no trace.
func (v *accountView) actorStrangers(h *actorHour) float64 {
	if h.strangers.IsExact() {
		return grid(uint32(h.strangers.Count(&v.e.store.Store)))
	}
	if grid(h.asked+h.since+h.since/4+1) > grid(h.asked) {
		h.asked, h.since = uint32(h.strangers.Count(&v.e.store.Store)), 0
	}
	return grid(h.asked)
}

// expectedBy is the recipients to expect in an hour and the one before by a past.
func (a *account) expectedBy(s *store, h int32, base *hourBase) float32 {
	if h < a.hour && a.past != 0 {
		p := s.pasts.At(a.past)
		return p.expected[0] + p.expected[1]
	}
	return a.expectedIn(h, base) + a.expectedIn(h-1, base)
}

// judgeSettled looks back over the last days when an hour has settled in which the
// actor sent: little by little it may have done what no single hour shows. It is
// asked before the hour is learnt from.
func (v *accountView) judgeSettled(h int32) {
	a := v.account
	w := v.e.store.watches.At(a.watch)
	p := &v.e.versions.at(hourStart(h)).Actor
	hour := &w.hours[mod3(h)]
	if hour.recipients == 0 && hour.bounced == 0 || a.hours[mod3(h)].told {
		return // nothing new, or nothing that has not been told
	}
	sums := w.sums[1] // up to the hour before
	sums.add(hour, v.actorStrangers(hour))
	n := float64(sums.sent)
	if n < p.SlowFloor {
		return
	}
	base, day := &a.hourly, a.dailyAt(&v.e.store, dayOfHour(h))
	known := float64(h - a.since)
	days := known / 24
	total := shrink(&base.volume, float64(base.volume.Mean), known, p.PriorHour, p.PriorSize, p.PriorWeight).times(dayHours)
	total.size = shrink(&day.volume, float64(day.volume.Mean), days, 24*p.PriorHour, 1, p.PriorWeight/24).size
	listHours := shrink(&day.hours, float64(day.hours.Mean), float64(day.hours.N), 2, 2, p.PriorWeight/24).times(dayHours / 24)
	x := verdictOn{recipients: n, strangers: float64(sums.strangers), usual: total.mean, bounced: float64(sums.bounced)}
	q := (float64(base.strange) + 7.5) / (float64(base.named) + 10)
	if x.strangers+float64(sums.unnamed) < p.SlowFloor {
		return
	}
	x.volume = max(0, total.surprise(x.strangers+float64(sums.unnamed))-0.5)
	x.list = max(0, max(listHours.surprise(float64(sums.hours)), shareSurprise(x.strangers, n, q, min(float64(base.named)+10, 200)))-0.5)
	if blind := float64(sums.blind); blind > 0 {
		if s := float64(sums.strangers); s >= p.SlowFloor {
			v.raiseActor(h, p, verdictOn{recipients: n, strangers: s, usual: total.mean, list: listHours.surprise(float64(sums.hours))}, &overDays)
		}
		return
	}
	if sums.bounced >= 2 {
		x.reputation = v.bounceSurprise(p, base, float64(sums.bounced), n)
	}
	x.sources, x.network = v.sourcesUntil(h)
	x.network = max(x.network, nearSurprise)
	if v.restless(h, x.network) || v.unfamiliar(h) {
		active := float64(day.volume.Active)
		fall := v.fall(h, active)
		x.volume = min(x.volume, succession(x.strangers+float64(sums.unnamed), active, float64(day.volume.Max), fall))
		x.list = min(x.list, succession(x.strangers, active+float64(base.named)/namedShow, float64(day.strangers.Max), fall))
	}
	v.raiseActor(h, p, x, &overDays)
}
