package detectors

import (
	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// watch is what is kept of an account only while there is something to watch:
// senders that it does not know, failed logins, new credentials. Most accounts
// have none; one that has been quiet in this respect for a week loses it again.
type watch struct {
	hours    [3]actorHour // by the clock's hour, as account.hours
	bases    [3]actorBase
	sums     [2]actorSums // settled hours, decaying; [1] for the clock's hour, [0] for the one before
	messages [2]sketch.Fingerprints
	fresh    marks // credentials made of late
	places   marks // where logins came from, with coordinates
	// What was counted in the five-minute buckets that may still change, so that it
	// can be taken off where only what has settled is to be looked at.
	bucket int32
	open   [openBuckets]openBucket
	heavy  sketch.Top // of the day: recipients by source, for the evidence
	actors dayList    // the last days' unknown sources that sent: of IPv6 the /64
}

// actorBase is the past by which an hour's actor is judged, each time by the same,
// and the recipients to expect of that hour and the one before.
type actorBase struct {
	hour     hourBase
	expected float32
}

type openBucket struct{ recipients, bounced uint32 }

// openBuckets is the number of buckets that an event within the lateness can
// belong to.
const openBuckets = int(lateness/msBucket) + 1

// actorHour is what sources unknown to the account sent within an hour. They are
// judged together, as one actor, until they are known.
type actorHour struct {
	recipients uint32
	blind      uint32 // of them without an address, which nobody can know
	unnamed    uint32 // of them counted only
	asked      uint32
	since      uint32
	bounced    uint32
	closed     openBucket // of recipients and bounced, what can no longer change
	reputation float32    // the greatest surprise at its bounces so far, in powers of ten
	strangers  sketch.Distinct
	grade      byte   // what is odd about where the sources are, see gradeCountry
	looked     looked // not saved: to look once more changes nothing
}

// actorSums are sums over settled hours that halve in a day.
type actorSums struct {
	sent, blind, unnamed, strangers, hours, bounced float32
}

const (
	watchDays   = 7
	maxMessages = 4096    // message ids of one day that bounces are looked up in
	dayKeep     = 0.97153 // an hour; half is left after a day
	// dayHours is how many hours' worth such a sum holds: 1/(1−dayKeep).
	dayHours = 35.1
)

func (s *actorSums) add(h *actorHour, strangers float64) {
	s.decay()
	s.sent += float32(h.recipients)
	s.blind += float32(h.blind)
	s.unnamed += float32(h.unnamed)
	s.strangers += float32(strangers)
	s.bounced += float32(h.bounced)
	if strangers > 0 {
		s.hours++
	}
}

// decay halves the sums in a day; what is next to nothing is nothing, so that a
// watch can end.
func (s *actorSums) decay() {
	for _, v := range [...]*float32{&s.sent, &s.blind, &s.unnamed, &s.strangers, &s.hours, &s.bounced} {
		*v *= dayKeep
		if *v < 0.01 {
			*v = 0
		}
	}
}

func (h *actorHour) clear(s *sketch.Store) {
	h.strangers.Clear(s)
	*h = actorHour{}
}

func (w *watch) clear(s *sketch.Store) {
	for i := range w.hours {
		w.hours[i].clear(s)
	}
	for i := range w.messages {
		w.messages[i].Clear(&s.Arena)
	}
	for _, m := range [...]*marks{&w.fresh, &w.places} {
		m.clear(&s.Arena)
	}
	w.actors.clear(&s.Arena)
	w.heavy.Clear(&s.Arena)
	*w = watch{}
}

// stepHour makes room for the hour that has begun and adds the one that has settled.
func (w *watch) stepHour(s *sketch.Store, hour int32, told bool) {
	w.hours[mod3(hour)].clear(s)
	settled := &w.hours[mod3(hour-2)]
	w.sums[0] = w.sums[1]
	k := 0.0
	if settled.recipients > 0 {
		k = float64(settled.strangers.Count(s))
	}
	if told {
		w.sums[1] = actorSums{} // what has been told is not told again
		return
	}
	w.sums[1].add(settled, k)
}

// leave makes room for the bucket that has begun and closes the one in its place. It
// reports whether anything was in it.
func (w *watch) leave() bool {
	open := &w.open[uint32(w.bucket)%uint32(openBuckets)]
	if *open == (openBucket{}) {
		return false
	}
	sum := &w.hours[mod3((w.bucket-int32(openBuckets))/12)].closed
	sum.recipients, sum.bounced = plus(sum.recipients, open.recipients), plus(sum.bounced, open.bounced)
	*open = openBucket{}
	return true
}

// stepDay forgets what is too old and reports whether nothing is left.
func (w *watch) stepDay(s *sketch.Store, day sketch.Day) (empty bool) {
	w.messages[mod2(day)].Clear(&s.Arena)
	w.actors.drop(&s.Arena, day-min(day, 1))
	w.heavy.Clear(&s.Arena)
	since := day - min(day, watchDays)
	for _, m := range [...]*marks{&w.fresh, &w.places} {
		m.drop(&s.Arena, since.Start())
	}
	busy := w.actors.n > 0 || w.fresh.n > 0 || w.places.n > 0 || w.sums[1] != actorSums{} || w.sums[0] != actorSums{}
	for i := range w.hours {
		busy = busy || w.hours[i].recipients > 0
	}
	for i := range w.messages {
		busy = busy || w.messages[i].Len() > 0
	}
	return !busy
}

// watching returns the account's watch, making one where there is none.
func (e *Engine) watching(a *account) *watch {
	if a.watch == 0 {
		a.watch = e.store.watches.New()
		w := e.store.watches.At(a.watch)
		w.bucket = bucketOf(a.clock)
		for _, h := range [...]int32{a.hour - 1, a.hour} {
			base := a.hourlyAt(&e.store, h)
			w.bases[mod3(h)] = actorBase{*base, float32(a.expectedBy(h, base))}
		}
	}
	return e.store.watches.At(a.watch)
}

// store is where the parts of accounts stand.
type store struct {
	sketch.Store
	watches slab.Table[watch]
	pasts   slab.Table[past]
}
