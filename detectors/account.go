package detectors

import (
	"math"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// Caps of an account's parts.
const (
	maxSources   = 256 // addresses; beyond that new ones are kept by network
	maxNetworks  = 256 // networks beside them, 12 bytes each: 6 KB in all
	knownHalf    = sketch.MaxFingerprints / 2
	maxFresh     = 4096 // recipients learnt in one hour: 12 KB
	maxTold      = 256  // facts a day about sources that sign in
	maxToldUse   = 512  // with those about sources that send, which guesses leave room for
	hourMemory   = 28 * 24
	dayMemory    = 28
	shareKeep    = 0.99863 // an hour; half is forgotten after 21 days
	openHours    = 6       // an alarm stays open so long after its last hour
	frozenHours  = 14 * 24 // after so many hours of alarm the level is accepted as new
	frozenDays   = 14
	sourceDays   = 90
	habitKeep    = 0.99075 // an hour; four fifths are left after a day
	acquainted   = 7       // days after which strangers are learnt from
	keptSources  = 4       // of them after 30 quiet days
	matureHours  = 14 * 24
	matureActive = 20
)

// hourWindow is what is counted in one hour. Only two hours are open at a time,
// the clock's and the one before; the one before those is settled, and its
// recipients are not yet among the known.
type hourWindow struct {
	squares    uint64 // sum of the squares of its five-minute buckets
	recipients uint32
	peak       uint32 // the largest of its five-minute buckets
	listed     uint32 // recipients that were named
	asked      uint32 // strangers when the sketch was last asked
	since      uint32 // strangers seen since then, at most
	bounces    uint16 // hard ones
	complaints uint16
	strangers  sketch.Distinct
	fresh      sketch.Fingerprints // to be known once the hour has settled
	raised     uint16              // a bit for each signal given, see levelBit
	alarmed    bool
	told       bool // its unknown sources were called as unusual as can be
	away       bool // its unknown sources alarmed
}

// dayWindow is what is counted in one day (UTC), 24 bytes and the set of facts sent.
type dayWindow struct {
	recipients uint32
	strangers  uint32
	newSources uint16 // unknown sources used
	before     uint16 // the same of the day before, once that is settled
	hours      uint8  // settled hours in which strangers were written to
	active     bool   // the gate has been told
	alarmed    bool
	away       bool // the alarm was about unknown sources
	raised     uint64
	told       sketch.Fingerprints // facts sent
	hosts      sketch.Fingerprints // of senders, below their registrable domains
}

// hourBase is the account's own past by the hour, as far as a window may see it.
type hourBase struct {
	volume     baseline.Series
	squares    float32 // mean of the squares of five-minute counts
	peak       float32 // largest five-minute count, decaying
	strange    float32 // strangers and named recipients, decaying sums
	named      float32
	most       float32         // most strangers in an hour, decaying
	fresh      baseline.Series // strangers an hour
	bounces    float32         // decaying sums, as strange and named: of all sends
	sent       float32
	complaints float32
	slow       outcomes // settled hours; learnt whatever alarmed
	habits     habits
}

// outcomes are what became of an account's sends, in sums that halve in a day.
type outcomes struct {
	sent, bounces, complaints float32
}

// habits are whom an account writes to: the active hours seen and the mean share
// of strangers in them, as decaying sums, and how much the last ones speak against
// them, see judgeHabit.
type habits struct {
	hours, strange, against float32
}

func (o *outcomes) add(w *hourWindow) {
	for _, v := range [...]struct {
		sum *float32
		n   uint32
	}{{&o.sent, w.recipients}, {&o.bounces, uint32(w.bounces)}, {&o.complaints, uint32(w.complaints)}} {
		*v.sum = *v.sum*dayKeep + float32(v.n)
		if *v.sum < 0.01 {
			*v.sum = 0
		}
	}
}

// dayBase is the account's own past by the day.
type dayBase struct {
	volume    baseline.Series
	strangers baseline.Series
	hours     baseline.Series // hours with strangers
	hosts     float32         // most sender hosts in a day, decaying
	sources   float32         // mean of the unknown sources used a day
	watched   uint8           // days that this is the mean of
}

// profile is what the last snapshots said. A window uses the newest one that is
// older than its start by the lateness.
type profile struct {
	at      int64
	plan    uint32
	created sketch.Day
}

// account is the state of one account: 500 bytes, and blocks of its own for known
// recipients (3 bytes each), sources (12 each), recent strangers and records.
// hourly and daily are the past for the clock's hour and day. For ten minutes after
// an hour's beginning that of the one before is kept beside it, so that a window's
// past is the same in whatever order its records and its neighbour's arrive.
type account struct {
	key     slab.Ref
	keyLen  uint8
	open    uint8  // hours for which the alarm stays open
	stuck   uint8  // days skipped as alarmed
	strayed bool   // unknown sources alarmed on the day that settled last
	frozen  uint16 // hours skipped as alarmed
	day     sketch.Day
	past    uint32        // handle in the store's pasts, 0 once nothing late can come
	watch   uint32        // handle in the store's watches, 0 for none
	judged  int32         // the last hour that was looked back on
	brought int32         // the last hour with an event that was not live
	keys    uint32        // of the store's keys, the first; or the only one's print, see soleKey
	quiet   [4]sketch.Day // the last four days on which anything was sent, newest first
	hour    int32
	since   int32 // first hour of the history
	first   int32 // first hour in which it was seen at all
	clock   int64
	applied [2]int64

	// What every event needs stands together.
	sources sketch.Novelty
	known   sketch.Fingerprints
	elder   sketch.Fingerprints // known before known was last started anew
	days    [2]dayWindow
	hours   [3]hourWindow

	profiles [2]profile // older, newer
	ring     sketch.Ring
	hourly   hourBase
	daily    dayBase
	rhythm   baseline.Rhythm
	away     sketch.Day // the last day that unknown sources alarmed
	records  records
	bounced  [2]sketch.Fingerprints // messages that bounced in the clock's hour and the one before, should their send still come
	tries    logins                 // of the last days
	recent   failures               // of the last minutes
	entered  marks                  // logins that succeeded of late: source and user
}

// free gives back everything that the account holds.
func (a *account) free(s *store) {
	a.forget(s)
	a.sources.Clear(&s.Arena)
	a.records.clear(&s.Store)
	s.Free(a.key)
	a.key = 0
}

// forget drops all but a summary: who the account is, when it began, its newest
// sources, and its records, which come by facts and age by their own days.
func (a *account) forget(s *store) {
	for i := range a.hours {
		a.hours[i].clear(s)
	}
	for i := range a.days {
		a.days[i].clear(s)
	}
	a.known.Clear(&s.Arena)
	a.elder.Clear(&s.Arena)
	a.sources.Keep(&s.Arena, 0, keptSources)
	a.ring, a.rhythm = sketch.Ring{}, baseline.Rhythm{}
	a.hourly, a.daily = hourBase{}, dayBase{}
	a.settle(s)
	a.open, a.stuck, a.frozen = 0, 0, 0
	a.strayed = false
	a.bounced[0].Clear(&s.Arena)
	a.bounced[1].Clear(&s.Arena)
	a.tries.clear(&s.Arena)
	a.recent.clear(&s.Arena)
	a.entered.clear(&s.Arena)
	a.dropKeys(s)
	a.unwatch(s)
}

// unwatch ends the account's watch.
func (a *account) unwatch(s *store) {
	if a.watch != 0 {
		s.watches.At(a.watch).clear(s)
		s.watches.Free(a.watch)
		a.watch = 0
	}
}

// countStrangers is the distinct strangers of the hour.
func (w *hourWindow) countStrangers(s *store) float64 {
	if w.listed == 0 {
		return 0
	}
	return float64(w.strangers.Count(&s.Store))
}

func (w *hourWindow) clear(s *store) {
	w.strangers.Clear(&s.Store)
	w.fresh.Clear(&s.Arena)
	*w = hourWindow{}
}

func (w *dayWindow) clear(s *store) {
	w.told.Clear(&s.Arena)
	w.hosts.Clear(&s.Arena)
	*w = dayWindow{}
}

// late reports whether an event is too far behind the account's clock to count.
func (a *account) late(t int64) bool { return t < a.clock-lateness }

// closing is who looks at what can no longer change: an hour before it is learnt
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
			if a.day++; a.hour == h {
				a.keepPast(s).day = a.daily
			}
			a.stepDay(s)
		}
	}
	a.leaveBuckets(s, bucketOf(t), settled)
	a.clock = max(a.clock, t)
	a.ring.Advance(bucketOf(a.clock))
	// Once the lateness has passed, the hour before can no longer change: it is looked
	// back on now rather than when the next one begins.
	if last := a.hour - 1; settled != nil && last > a.judged && last >= a.since && a.clock >= hourStart(a.hour)+lateness {
		settled.hour(last)
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
// It is kept while events of these can still come, for ten minutes.
type past struct {
	hour     hourBase
	day      dayBase
	expected [2]float32 // recipients of the hour before the clock's, and of the one before it
}

func (a *account) keepPast(s *store) *past {
	if a.past == 0 {
		a.past = s.pasts.New()
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
		if closed != nil {
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

// stranger reports whether a recipient was never written to before the windows
// that could still change when hour h began.
func (a *account) stranger(s *store, h int32, hash uint64) (stranger, refresh bool) {
	if a.known.Has(&s.Arena, hash) {
		return false, false
	}
	if a.elder.Has(&s.Arena, hash) {
		return false, true
	}
	if h == a.hour {
		w := &a.hours[mod3(h-2)]
		if !w.alarmed && w.fresh.Has(&s.Arena, hash) {
			return false, false
		}
	}
	return true, true
}

// profileAt is the snapshot in force for a window that starts at ms.
func (a *account) profileAt(ms int64) *profile {
	if p := &a.profiles[1]; p.at != 0 && p.at <= ms-lateness {
		return p
	}
	if p := &a.profiles[0]; p.at != 0 && p.at <= ms-lateness {
		return p
	}
	return &noProfile
}

var noProfile profile // never changed

// snapshot notes what a snapshot says, by its time and not by its arrival. One
// that says nothing new leaves the versions alone.
func (a *account) snapshot(p profile) {
	for i := range a.profiles {
		if o := &a.profiles[i]; o.at != 0 && o.created == p.created && o.plan == p.plan {
			o.at = min(o.at, p.at)
			return
		}
	}
	switch {
	case p.at > a.profiles[1].at:
		a.profiles[0], a.profiles[1] = a.profiles[1], p
	case p.at > a.profiles[0].at && p.at < a.profiles[1].at:
		a.profiles[0] = p
	}
}
