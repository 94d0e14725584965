package detectors

import (
	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// Caps of an account's parts.
const (
	maxSources   = 256 // addresses; beyond that new ones are kept by network
	maxNetworks  = 256 // networks beside them, 12 bytes each: 6 KB in all
	knownHalf    = sketch.MaxFingerprints / 2
	maxFresh     = 4096 // recipients learnt in one hour, those of the least hashes: 12 KB
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
	o.sent = fading(o.sent, w.recipients)
	o.bounces = fading(o.bounces, uint32(w.bounces))
	o.complaints = fading(o.complaints, uint32(w.complaints))
}

// fading adds an hour's count to a sum that halves in a day.
func fading(sum float32, n uint32) float32 {
	if sum = sum*dayKeep + float32(n); sum < 0.01 {
		return 0
	}
	return sum
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
	judged  int32         // the last hour that needs no looking back on any more
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
	entered  marks                  // recent successful logins: source and user
	aside    uint32                 // handle in the store's asides, 0 for none
}

// free gives back everything that the account holds.
func (a *account) free(s *store) {
	a.forget(s)
	a.dropAside(s)
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
	a.tidyAside(s)
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

// used reports whether anything was sent in the hour, or came back.
func (w *hourWindow) used() bool { return w.recipients > 0 || w.bounces > 0 || w.complaints > 0 }

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
