package detectors

import "holdfast/detectors/sketch"

// late reports whether an event is too far behind the account's clock to count.
func (a *account) late(t int64) bool { return t < a.clock-lateness }

// closing is who looks at what can no longer change: a used hour before it is learnt
// from, and what the actor sent and got back within a bucket.
type closing struct {
	hour   func(h int32)
	bucket func(w *watch, leaves int32)
}

// advance moves the clock to t where it is later, and closes what is over, in the
// order in which it is over.
func (a *account) advance(s *store, t int64, settled *closing) {
	h, d := hourOf(t), sketch.DayOf(t)
	switch {
	case a.clock == 0:
		a.first, a.since, a.hour, a.day = h, h, h, d
	case h-a.hour > forgetHours:
		a.forget(s)
		a.since, a.hour, a.day = h, h, d
	}
	a.first, a.since = min(a.first, h), min(a.since, h)
	early := t < hourStart(h)+lateness // late ones may still come, for the hour before
	for a.hour < h {
		a.leaveBuckets(s, bucketOf(hourStart(a.hour+1))-1, settled)
		if a.hour++; a.hour == h && early {
			p := a.keepPast(s)
			p.hour, p.expected = a.hourly, [2]float32{a.expectedIn(a.hour-1, &a.hourly), a.expectedIn(a.hour-2, &a.hourly)}
		}
		a.stepHour(s, settled)
		if a.day < dayOfHour(a.hour) {
			// The day's last hour settles at the earliest when the first of the next is over.
			a.keepPast(s).day = a.daily
			a.day++
			a.stepDay(s)
		}
	}
	a.leaveBuckets(s, bucketOf(t), settled)
	a.clock = max(a.clock, t)
	a.ring.Advance(bucketOf(a.clock))
	// Once the lateness has passed, the hour before can no longer change: it is looked
	// back on now rather than when the next one begins.
	if last := a.hour - 1; settled != nil && last > a.judged && last >= a.since && a.clock >= hourStart(a.hour)+lateness {
		if a.hours[mod3(last)].used() {
			settled.hour(last)
		}
		a.judged = last
	}
	if a.clock >= hourStart(a.hour)+lateness {
		if a.watch != 0 {
			s.watches.At(a.watch).newcomers.Clear(&s.Arena)
		}
		a.settle(s)
	}
}

// leaveBuckets closes the buckets that can no longer change once a bucket has begun.
func (a *account) leaveBuckets(s *store, bucket int32, settled *closing) {
	if a.watch == 0 {
		return
	}
	w := s.watches.At(a.watch)
	for w.bucket < bucket {
		if w.open == [openBuckets]openBucket{} {
			w.bucket = bucket
			return
		}
		w.bucket++
		if w.leave() && settled != nil {
			settled.bucket(w, w.bucket)
		}
	}
}

// past is what an account's past was for the hour and the day before the clock's.
// It is kept while events of these can still come, for ten minutes. Both parts are
// always there: a day that began in an hour of silence has one before it too.
type past struct {
	hour     hourBase
	day      dayBase
	expected [2]float32 // recipients of the hour before the clock's, and of the one before it
}

func (a *account) keepPast(s *store) *past {
	if a.past == 0 {
		a.past = s.pasts.New()
		p := s.pasts.At(a.past)
		p.hour, p.day = a.hourly, a.daily
	}
	return s.pasts.At(a.past)
}

// settle ends the ten minutes.
func (a *account) settle(s *store) {
	if a.past != 0 {
		s.pasts.Free(a.past)
		a.past = 0
	}
}

// hourlyAt is the past by which an hour is judged, the clock's or the one before.
func (a *account) hourlyAt(s *store, h int32) *hourBase {
	if h < a.hour && a.past != 0 {
		return &s.pasts.At(a.past).hour
	}
	return &a.hourly
}

// dailyAt is the same of a day.
func (a *account) dailyAt(s *store, d sketch.Day) *dayBase {
	if d < a.day && a.past != 0 {
		return &s.pasts.At(a.past).day
	}
	return &a.daily
}

// stepHour makes room for the hour that has begun: the recipients of the third
// hour back become known, and the second hour back, settled now, is learnt.
func (a *account) stepHour(s *store, closed *closing) {
	a.bounced[uint32(a.hour)%2].Clear(&s.Arena)
	a.clearKeys(s)
	w := &a.hours[mod3(a.hour)]
	if w.fresh.Len() > 0 && !w.alarmed {
		a.learn(s, &w.fresh)
	}
	w.clear(s)
	settled := a.hour - 2
	w = &a.hours[mod3(settled)]
	if settled >= a.since && settled > a.judged {
		if closed != nil && w.used() {
			closed.hour(settled)
		}
		a.judged = settled
	}
	if a.watch != 0 {
		s.watches.At(a.watch).stepHour(s, a.hour, w.told)
	}
	if settled < a.since {
		a.stepKeys(s, false)
		return
	}
	a.hourly.slow.add(w)
	strangers := w.countStrangers(s)
	a.hourly.habits.add(w, strangers, int(settled-a.since)/24)
	if strangers > 0 {
		a.days[mod2(dayOfHour(settled))].hours++
	}
	skip := a.skipHour(w.alarmed, w.recipients > 0)
	a.stepKeys(s, !skip)
	if skip {
		return
	}
	days := int(settled-a.since) / 24
	a.rhythm.AddHour(int(uint32(settled)%24), float64(w.recipients), days)
	a.hourly.add(s, w)
	if days >= acquainted {
		a.hourly.addStrangers(s, w)
	}
}

// skipHour reports whether an hour is not to be learnt from, because an alarm
// was open in it or shortly before.
func (a *account) skipHour(alarmed, active bool) bool {
	switch {
	case alarmed:
		a.open = openHours
	case a.open > 0:
		a.open--
	default:
		if active {
			a.frozen -= min(a.frozen, 1)
		}
		return false
	}
	if a.frozen >= frozenHours {
		return false
	}
	a.frozen++
	return true
}
