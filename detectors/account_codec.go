package detectors

import (
	"math"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
)

// append encodes the account: scalars, profiles, windows, the past, then the
// sets, in the order below.
func (a *account) append(w *writer, s *sketch.Store) {
	for _, v := range [...]uint64{uint64(a.open), uint64(a.stuck), uint64(a.frozen), uint64(a.day), uint64(a.hour), uint64(a.since)} {
		w.uint(v)
	}
	w.int(a.clock)
	w.int(a.first)
	for i := range a.profiles {
		p := &a.profiles[i]
		w.int(p.at)
		w.int(p.created)
		w.uint(uint64(p.plan))
	}
	for i := range a.hours {
		a.hours[i].append(w, s)
	}
	for i := range a.days {
		a.days[i].append(w, s)
	}
	head, counts := a.ring.Parts()
	w.uint(uint64(head))
	for _, c := range counts {
		w.uint(uint64(c))
	}
	hours, days := a.rhythm.Parts()
	for _, u := range hours {
		w.uint(uint64(u))
	}
	for _, u := range days {
		w.uint(uint64(u))
	}
	for i := range a.hourly {
		a.hourly[i].append(w)
		a.daily[i].append(w)
	}
	w.b = a.known.Append(&s.Arena, w.b)
	w.b = a.elder.Append(&s.Arena, w.b)
	w.b = a.sources.Append(&s.Arena, w.b)
	w.text(string(a.records.bytes(s)))
}

func (h *hourWindow) append(w *writer, s *sketch.Store) {
	empty := h.recipients == 0 && h.listed == 0 && h.raised == 0 && h.fresh.Len() == 0
	w.bool(!empty)
	if empty {
		return
	}
	for _, v := range [...]uint64{uint64(h.recipients), uint64(h.peak), h.squares, uint64(h.listed), uint64(h.asked), uint64(h.since), uint64(h.raised)} {
		w.uint(v)
	}
	w.bool(h.alarmed)
	w.b = h.strangers.Append(s, w.b)
	w.b = h.fresh.Append(&s.Arena, w.b)
}

func (d *dayWindow) append(w *writer, s *sketch.Store) {
	for _, v := range [...]uint64{uint64(d.recipients), uint64(d.strangers), uint64(d.unknown), uint64(d.newSources), uint64(d.raised)} {
		w.uint(v)
	}
	w.bool(d.active)
	w.bool(d.alarmed)
	w.b = d.told.Append(&s.Arena, w.b)
}

func (b *hourBase) append(w *writer) {
	w.series(&b.volume)
	for _, v := range [...]float32{b.squares, b.peak, b.strange, b.named, b.most} {
		w.float(v)
	}
}

func (b *dayBase) append(w *writer) {
	w.series(&b.volume)
	w.series(&b.strangers)
	w.float(b.sources)
}

// accountValue is a checked account that is not yet in a store.
type accountValue struct {
	a       account
	hours   [3]hourSets
	told    [2][]byte
	known   []byte
	elder   []byte
	sources []byte
	records []byte
}

type hourSets struct {
	strangers sketch.Decoded
	fresh     []byte
}

const maxHour = math.MaxInt32 / 2

func (r *reader) account() (v accountValue) {
	a := &v.a
	a.open, a.stuck, a.frozen = uint8(r.uint(openHours)), uint8(r.uint(frozenDays)), uint16(r.uint(frozenHours))
	a.day, a.hour, a.since = sketch.Day(r.uint(math.MaxUint16)), int32(r.uint(maxHour)), int32(r.uint(maxHour))
	a.clock, a.first = r.int(), r.int()
	for i := range a.profiles {
		a.profiles[i] = profile{at: r.int(), created: r.int(), plan: uint32(r.uint(math.MaxUint32))}
	}
	for i := range a.hours {
		a.hours[i], v.hours[i] = r.hourWindow()
	}
	for i := range a.days {
		a.days[i], v.told[i] = r.dayWindow()
	}
	head := int32(r.uint(math.MaxInt32))
	var counts [4]uint32
	for i := range counts {
		counts[i] = uint32(r.uint(math.MaxUint32))
	}
	a.ring = sketch.RingOf(head, counts)
	a.rhythm = r.rhythm()
	for i := range a.hourly {
		a.hourly[i], a.daily[i] = r.hourBase(), r.dayBase()
	}
	v.known, v.elder, v.sources, v.records = r.prints(), r.prints(), r.novelty(), r.records()
	// The clock and what is derived from it must agree, or windows would be mixed up.
	if a.clock != 0 && (a.hour != hourOf(a.clock) || a.day != sketch.DayOf(a.clock) || a.since > a.hour || a.first > a.clock || a.clock < 0 || a.first <= 0 ||
		head != bucketOf(a.clock)) {
		r.fail()
	}
	return v
}

func (r *reader) hourWindow() (h hourWindow, sets hourSets) {
	if !r.bool() {
		return h, sets
	}
	h.recipients, h.peak, h.squares = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32)), r.uint(math.MaxUint64)
	h.listed, h.asked, h.since = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32))
	h.raised, h.alarmed = uint16(r.uint(math.MaxUint16)), r.bool()
	sets.strangers, sets.fresh = r.distinct(), r.prints()
	return h, sets
}

func (r *reader) dayWindow() (d dayWindow, told []byte) {
	d.recipients, d.strangers, d.unknown = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32))
	d.newSources, d.raised = uint16(r.uint(math.MaxUint16)), uint16(r.uint(math.MaxUint16))
	d.active, d.alarmed = r.bool(), r.bool()
	return d, r.prints()
}

func (r *reader) rhythm() baseline.Rhythm {
	var hours [24]uint16
	var days [7]uint16
	for i := range hours {
		hours[i] = uint16(r.uint(math.MaxUint16))
	}
	for i := range days {
		days[i] = uint16(r.uint(math.MaxUint16))
	}
	out, ok := baseline.RhythmOf(hours, days)
	if !ok {
		r.fail()
	}
	return out
}

func (r *reader) hourBase() (b hourBase) {
	b.volume = r.series()
	b.squares, b.peak, b.strange, b.named, b.most = r.float(), r.float(), r.float(), r.float(), r.float()
	return b
}

func (r *reader) dayBase() (b dayBase) {
	b.volume, b.strangers, b.sources = r.series(), r.series(), r.float()
	return b
}

// load replaces all of a but its key by a checked value.
func (a *account) load(s *sketch.Store, v *accountValue, applied [2]int64) {
	key, keyLen := a.key, a.keyLen
	a.forget(s)
	a.sources.Clear(&s.Arena)
	a.records.clear(s)
	*a = v.a
	a.key, a.keyLen, a.applied = key, keyLen, applied
	for i := range a.hours {
		a.hours[i].strangers.Load(s, v.hours[i].strangers)
		a.hours[i].fresh.Load(&s.Arena, v.hours[i].fresh)
	}
	for i := range a.days {
		a.days[i].told.Load(&s.Arena, v.told[i])
	}
	a.known.Load(&s.Arena, v.known)
	a.elder.Load(&s.Arena, v.elder)
	a.sources.Load(&s.Arena, v.sources)
	a.records = records{s.Put(v.records), uint32(len(v.records))}
}
