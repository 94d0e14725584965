package detectors

import (
	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// watch is what is kept of an account only while there is something to watch:
// senders that it does not know, failed logins, new credentials. Most accounts
// have none; one that has been quiet in this respect for a week loses it again.
type watch struct {
	hours    [3]actorHour // by the clock's hour, as account.hours
	sums     [2]actorSums // settled hours, decaying; [1] for the clock's hour, [0] for the one before
	messages [2]sketch.Fingerprints
	fresh    marks // credentials made recently
	places   marks // where logins came from, with coordinates
	// What was counted in the five-minute buckets that may still change, so that it
	// can be taken off where only what has settled is to be looked at.
	bucket int32
	open   [openBuckets]openBucket
	// newcomers are the unknown sources whose first use on the clock's day was in the
	// clock's hour, so that the hour before is not judged by them. Kept while that
	// can still change.
	newcomers sketch.Fingerprints
	heavy     sketch.Top // of the day: recipients by source, for the evidence
	actors    dayList    // the last days' unknown sources that sent: of IPv6 the /64
}

// actorBase is what an hour's actor is judged by, each time by the same: the past,
// and the recipients to expect of that hour and the one before.
type actorBase struct {
	volume, fresh baseline.Series
	named, most   float32
	expected      float32
}

// keepBase notes the past of an hour in which the actor has begun to send.
func (a *account) keepBase(s *store, h int32, hour *actorHour) {
	if hour.base != 0 {
		return
	}
	b := a.hourlyAt(s, h)
	hour.base = s.bases.New()
	*s.bases.At(hour.base) = actorBase{b.volume, b.fresh, b.named, b.most, a.expectedBy(s, h, b)}
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
	first      uint16     // seconds from the hour's beginning to the first send, and one
	base       uint32     // handle in the store's bases, 0 where nothing was sent
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

func (h *actorHour) clear(s *store) {
	h.strangers.Clear(&s.Store)
	if h.base != 0 {
		s.bases.Free(h.base)
	}
	*h = actorHour{}
}

func (w *watch) clear(s *store) {
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
	w.newcomers.Clear(&s.Arena)
	*w = watch{}
}

// stepHour makes room for the hour that has begun and adds the one that has settled.
func (w *watch) stepHour(s *store, hour int32, told bool) {
	w.newcomers.Clear(&s.Arena)
	w.hours[mod3(hour)].clear(s)
	settled := &w.hours[mod3(hour-2)]
	w.sums[0] = w.sums[1]
	k := 0.0
	if settled.recipients > 0 {
		k = float64(settled.strangers.Count(&s.Store))
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
		e.store.watches.At(a.watch).bucket = bucketOf(a.clock)
	}
	return e.store.watches.At(a.watch)
}

// store is where the parts of accounts stand.
type store struct {
	sketch.Store
	watches slab.Table[watch]
	pasts   slab.Table[past]
	bases   slab.Table[actorBase]
	sockets slab.Table[sockets]
	asides  slab.Table[aside]
	keys    slab.Table[keyPast]
}
