package detectors

import (
	"math"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
)

// accountSections are the parts of an account's state. A tag is never used again.
var accountSections = []section[account, accountValue]{
	{tag: 1, first: true, write: (*account).appendClock, read: (*reader).accountClock},
	{tag: 2, first: true, write: (*account).appendWindows, read: (*reader).accountWindows},
	{tag: 3, first: true, write: (*account).appendPast, read: (*reader).accountPast},
	{tag: 4, first: true, write: (*account).appendRecipients, read: func(r *reader, v *accountValue) { v.known, v.elder = r.prints(), r.prints() }},
	{tag: 5, first: true, write: func(a *account, w *writer, s *store) { w.b = a.sources.Append(&s.Arena, w.b) }, read: func(r *reader, v *accountValue) { v.sources = r.novelty() }},
	{tag: 6, first: true, write: func(a *account, w *writer, s *store) { w.text(string(a.records.bytes(&s.Store))) }, read: func(r *reader, v *accountValue) { v.records = r.records() }},
	{tag: 7, first: true, write: (*account).appendBounced, read: func(r *reader, v *accountValue) { v.bounced = [2][]byte{r.prints(), r.prints()} }},
	{tag: 8, first: true, write: func(a *account, w *writer, s *store) { w.b = a.tries.append(&s.Store, w.b) }, read: func(r *reader, v *accountValue) { v.tries = r.cut(cutLogins) }},
	{tag: 9, first: true, write: (*account).appendKeys, read: func(r *reader, v *accountValue) { v.keys = r.keys() }},
	{tag: 10, first: true, write: (*account).appendEntered, read: func(r *reader, v *accountValue) { v.recent, v.entered = r.cut(cutFailures), r.cut(cutMarks) }},
	{tag: 11, first: true, write: (*account).appendWatch, read: func(r *reader, v *accountValue) { v.watch = r.watch() }},
	{tag: 12, write: (*account).appendAside, read: func(r *reader, v *accountValue) { v.aside = r.aside() }},
	{tag: 13, write: (*account).appendBefore, read: func(r *reader, v *accountValue) { v.before = r.before() }},
}

// appendClock writes where the account stands in time, and its profiles.
func (a *account) appendClock(w *writer, _ *store) {
	for _, v := range [...]uint64{uint64(a.open), uint64(a.stuck), uint64(a.frozen), uint64(a.day), uint64(a.hour), uint64(a.since), uint64(a.quiet[0]), uint64(a.quiet[1]), uint64(a.quiet[2]), uint64(a.quiet[3]), uint64(a.away), uint64(a.judged), uint64(a.brought)} {
		w.uint(v)
	}
	w.int(a.clock)
	w.bool(a.strayed)
	w.uint(uint64(a.first))
	for i := range a.profiles {
		p := &a.profiles[i]
		w.int(p.at)
		w.uint(uint64(p.created))
		w.uint(uint64(p.plan))
	}
}

// appendWindows writes what is counted in the hours and days that are open.
func (a *account) appendWindows(w *writer, s *store) {
	for i := range a.hours {
		a.hours[i].append(w, &s.Store)
	}
	for i := range a.days {
		a.days[i].append(w, &s.Store)
	}
	head, counts := a.ring.Parts()
	w.uint(uint64(head))
	for _, c := range counts {
		w.uint(uint64(c))
	}
}

// appendPast writes the account's baselines.
func (a *account) appendPast(w *writer, s *store) {
	hours, days := a.rhythm.Parts()
	for _, u := range hours {
		w.uint(uint64(u))
	}
	for _, u := range days {
		w.uint(uint64(u))
	}
	a.hourly.append(w)
	a.daily.append(w)
	w.bool(a.past != 0)
	if a.past != 0 {
		past := s.pasts.At(a.past)
		past.hour.append(w)
		past.day.append(w)
		w.float(past.expected[0])
		w.float(past.expected[1])
	}
}

func (a *account) appendRecipients(w *writer, s *store) {
	w.b = a.known.Append(&s.Arena, w.b)
	w.b = a.elder.Append(&s.Arena, w.b)
}

func (a *account) appendBounced(w *writer, s *store) {
	w.b = a.bounced[0].Append(&s.Arena, w.b)
	w.b = a.bounced[1].Append(&s.Arena, w.b)
}

// appendEntered writes the logins of the last minutes and hours.
func (a *account) appendEntered(w *writer, s *store) {
	w.b = a.recent.append(&s.Store, w.b)
	w.b = a.entered.append(&s.Store, w.b)
}

func (a *account) appendWatch(w *writer, s *store) {
	w.bool(a.watch != 0)
	if a.watch != 0 {
		s.watches.At(a.watch).append(w, s)
	}
}

func (x *watch) append(w *writer, s *store) {
	for i := range x.hours {
		h := &x.hours[i]
		for _, v := range [...]uint32{h.recipients, h.blind, h.unnamed, h.asked, h.since, h.bounced} {
			w.uint(uint64(v))
		}
		w.uint(uint64(h.closed.recipients))
		w.uint(uint64(h.closed.bounced))
		w.float(h.reputation)
		w.byte(h.grade)
		w.uint(uint64(h.first))
		w.b = h.strangers.Append(&s.Store, w.b)
	}
	w.uint(uint64(x.bucket))
	for _, o := range x.open {
		w.uint(uint64(o.recipients))
		w.uint(uint64(o.bounced))
	}
	for i := range x.sums {
		for _, v := range [...]float32{x.sums[i].sent, x.sums[i].blind, x.sums[i].unnamed, x.sums[i].strangers, x.sums[i].hours, x.sums[i].bounced} {
			w.float(v)
		}
	}
	for i := range x.messages {
		w.b = x.messages[i].Append(&s.Arena, w.b)
	}
	for _, m := range [...]*marks{&x.fresh, &x.places} {
		w.b = m.append(&s.Store, w.b)
	}
	w.b = x.actors.append(&s.Store, w.b)
	w.b = x.heavy.Append(&s.Arena, w.b)
	w.b = x.newcomers.Append(&s.Arena, w.b)
	for i := range x.hours {
		if x.hours[i].base == 0 {
			continue
		}
		b := s.bases.At(x.hours[i].base)
		w.series(&b.volume)
		w.series(&b.fresh)
		w.float(b.named)
		w.float(b.most)
		w.float(b.expected)
	}
}

// watchValue is a checked watch that is not yet in a store.
type watchValue struct {
	w         watch
	strangers [3]sketch.Decoded
	messages  [2][]byte
	marks     [2][]byte
	actors    []byte
	heavy     []byte
	newcomers []byte
	bases     [3]*actorBase // of the hours in which the actor sent
}

func (r *reader) watch() *watchValue {
	if !r.bool() {
		return nil
	}
	v := &watchValue{}
	for i := range v.w.hours {
		h := &v.w.hours[i]
		for _, x := range [...]*uint32{&h.recipients, &h.blind, &h.unnamed, &h.asked, &h.since, &h.bounced} {
			*x = uint32(r.uint(math.MaxUint32))
		}
		h.closed.recipients, h.closed.bounced = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32))
		h.reputation, h.grade, h.first = r.float(), r.byte(), uint16(r.uint(3600))
		v.strangers[i] = r.distinct()
	}
	v.w.bucket = int32(r.uint(math.MaxInt32))
	for i := range v.w.open {
		v.w.open[i].recipients, v.w.open[i].bounced = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32))
	}
	for i := range v.w.sums {
		s := &v.w.sums[i]
		s.sent, s.blind, s.unnamed, s.strangers, s.hours, s.bounced = r.float(), r.float(), r.float(), r.float(), r.float(), r.float()
	}
	v.messages[0], v.messages[1] = r.prints(), r.prints()
	for i := range v.marks {
		v.marks[i] = r.cut(cutMarks)
	}
	v.actors = r.cut(cutDays)
	v.heavy = r.cut(func(b []byte) (top, rest []byte, err error) { return sketch.CutTop(b, heavySources) })
	v.newcomers = r.prints()
	for i := range v.w.hours {
		if v.w.hours[i].recipients > 0 {
			v.bases[i] = &actorBase{r.series(), r.series(), r.float(), r.float(), r.float()}
		}
	}
	return v
}

// load puts the watch in place of the account's.
func (v *watchValue) load(a *account, s *store) {
	a.unwatch(s)
	if v == nil {
		return
	}
	a.watch = s.watches.New()
	w := s.watches.At(a.watch)
	*w = v.w
	for i := range w.hours {
		w.hours[i].strangers.Load(&s.Store, v.strangers[i])
	}
	for i := range w.messages {
		w.messages[i].Load(&s.Arena, v.messages[i])
	}
	for i, m := range [...]*marks{&w.fresh, &w.places} {
		m.load(&s.Arena, v.marks[i])
	}
	w.actors.load(&s.Arena, v.actors)
	w.heavy.Load(&s.Arena, v.heavy)
	w.newcomers.Load(&s.Arena, v.newcomers)
	for i, b := range v.bases {
		if b != nil {
			w.hours[i].base = s.bases.New()
			*s.bases.At(w.hours[i].base) = *b
		}
	}
}

func (h *hourWindow) append(w *writer, s *sketch.Store) {
	empty := h.recipients == 0 && h.listed == 0 && h.raised == 0 && h.fresh.Len() == 0 && h.bounces == 0 && h.complaints == 0 && !h.alarmed && !h.told && !h.away
	w.bool(!empty)
	if empty {
		return
	}
	for _, v := range [...]uint64{uint64(h.recipients), uint64(h.peak), h.squares, uint64(h.listed), uint64(h.asked), uint64(h.since), uint64(h.raised), uint64(h.bounces), uint64(h.complaints)} {
		w.uint(v)
	}
	w.bool(h.alarmed)
	w.bool(h.told)
	w.bool(h.away)
	w.b = h.strangers.Append(s, w.b)
	w.b = h.fresh.Append(&s.Arena, w.b)
}

func (d *dayWindow) append(w *writer, s *sketch.Store) {
	for _, v := range [...]uint64{uint64(d.recipients), uint64(d.strangers), uint64(d.newSources), uint64(d.before), d.raised, uint64(d.hours)} {
		w.uint(v)
	}
	w.bool(d.active)
	w.bool(d.alarmed)
	w.bool(d.away)
	w.b = d.told.Append(&s.Arena, w.b)
	w.b = d.hosts.Append(&s.Arena, w.b)
}

func (b *hourBase) append(w *writer) {
	w.series(&b.volume)
	w.series(&b.fresh)
	for _, v := range [...]float32{b.squares, b.peak, b.strange, b.named, b.most, b.bounces, b.complaints, b.sent, b.slow.sent, b.slow.bounces, b.slow.complaints, b.habits.hours, b.habits.strange, b.habits.against} {
		w.float(v)
	}
}

func (b *dayBase) append(w *writer) {
	w.series(&b.volume)
	w.series(&b.strangers)
	w.series(&b.hours)
	w.float(b.hosts)
	w.float(b.sources)
	w.byte(b.watched)
}

// accountValue is a checked account that is not yet in a store.
type accountValue struct {
	a       account
	hours   [3]hourSets
	told    [2][]byte
	hosts   [2][]byte
	watch   *watchValue
	aside   asideValue
	before  beforeValue
	past    *past
	bounced [2][]byte
	tries   []byte
	keys    keysValue
	recent  []byte
	entered []byte
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

func (r *reader) accountClock(v *accountValue) {
	a := &v.a
	a.open, a.stuck, a.frozen = uint8(r.uint(openHours)), uint8(r.uint(frozenDays)), uint16(r.uint(frozenHours))
	a.day, a.hour, a.since = sketch.Day(r.uint(math.MaxUint16)), int32(r.uint(maxHour)), int32(r.uint(maxHour))
	a.quiet = [4]sketch.Day{sketch.Day(r.uint(math.MaxUint16)), sketch.Day(r.uint(math.MaxUint16)), sketch.Day(r.uint(math.MaxUint16)), sketch.Day(r.uint(math.MaxUint16))}
	a.away, a.judged = sketch.Day(r.uint(math.MaxUint16)), int32(r.uint(maxHour))
	a.brought = int32(r.uint(maxHour))
	a.clock, a.strayed, a.first = r.int(), r.bool(), int32(r.uint(maxHour))
	for i := range a.profiles {
		a.profiles[i] = profile{at: r.int(), created: sketch.Day(r.uint(math.MaxUint16)), plan: uint32(r.uint(math.MaxUint32))}
	}
}

func (r *reader) accountWindows(v *accountValue) {
	a := &v.a
	for i := range a.hours {
		a.hours[i], v.hours[i] = r.hourWindow()
	}
	for i := range a.days {
		a.days[i], v.told[i], v.hosts[i] = r.dayWindow()
	}
	head := int32(r.uint(math.MaxInt32))
	var counts [4]uint32
	for i := range counts {
		counts[i] = uint32(r.uint(math.MaxUint32))
	}
	a.ring = sketch.RingOf(head, counts)
}

func (r *reader) accountPast(v *accountValue) {
	a := &v.a
	a.rhythm = r.rhythm()
	a.hourly, a.daily = r.hourBase(), r.dayBase()
	if r.bool() {
		v.past = &past{r.hourBase(), r.dayBase(), [2]float32{r.float(), r.float()}}
	}
}

// check refuses a value whose parts do not fit together.
func (v *accountValue) check(r *reader) {
	a := &v.a
	head, _ := a.ring.Parts()
	// The clock and what is derived from it must agree, or windows would be mixed up.
	if a.clock != 0 && (a.hour != hourOf(a.clock) || a.day != sketch.DayOf(a.clock) || a.since > a.hour || a.first > a.hour || a.clock < 0 ||
		head != bucketOf(a.clock)) {
		r.fail()
	}
}

func (r *reader) hourWindow() (h hourWindow, sets hourSets) {
	if !r.bool() {
		return h, sets
	}
	h.recipients, h.peak, h.squares = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32)), r.uint(math.MaxUint64)
	h.listed, h.asked, h.since = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32))
	h.raised, h.bounces, h.complaints, h.alarmed, h.told = uint16(r.uint(math.MaxUint16)), uint16(r.uint(math.MaxUint16)), uint16(r.uint(math.MaxUint16)), r.bool(), r.bool()
	h.away = r.bool()
	sets.strangers, sets.fresh = r.distinct(), r.prints()
	return h, sets
}

func (r *reader) dayWindow() (d dayWindow, told, hosts []byte) {
	d.recipients, d.strangers = uint32(r.uint(math.MaxUint32)), uint32(r.uint(math.MaxUint32))
	d.newSources, d.before, d.raised, d.hours = uint16(r.uint(math.MaxUint16)), uint16(r.uint(math.MaxUint16)), r.uint(math.MaxUint64), uint8(r.uint(24))
	d.active, d.alarmed, d.away = r.bool(), r.bool(), r.bool()
	return d, r.prints(), r.prints()
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
	b.volume, b.fresh = r.series(), r.series()
	for _, v := range [...]*float32{&b.squares, &b.peak, &b.strange, &b.named, &b.most, &b.bounces, &b.complaints, &b.sent, &b.slow.sent, &b.slow.bounces, &b.slow.complaints, &b.habits.hours, &b.habits.strange, &b.habits.against} {
		*v = r.float()
	}
	return b
}

func (r *reader) dayBase() (b dayBase) {
	b.volume, b.strangers, b.hours, b.hosts, b.sources, b.watched = r.series(), r.series(), r.series(), r.float(), r.float(), r.byte()
	return b
}

// load replaces all of a but its key by a checked value.
func (a *account) load(s *store, v *accountValue, applied [2]int64) {
	key, keyLen := a.key, a.keyLen
	a.forget(s)
	a.sources.Clear(&s.Arena)
	a.records.clear(&s.Store)
	a.unwatch(s)
	a.dropAside(s)
	a.settle(s)
	*a = v.a
	a.key, a.keyLen, a.applied = key, keyLen, applied
	for i := range a.hours {
		a.hours[i].strangers.Load(&s.Store, v.hours[i].strangers)
		a.hours[i].fresh.Load(&s.Arena, v.hours[i].fresh)
	}
	for i := range a.days {
		a.days[i].told.Load(&s.Arena, v.told[i])
		a.days[i].hosts.Load(&s.Arena, v.hosts[i])
	}
	a.known.Load(&s.Arena, v.known)
	a.elder.Load(&s.Arena, v.elder)
	a.sources.Load(&s.Arena, v.sources)
	a.records = records{s.Put(v.records), uint32(len(v.records))}
	a.bounced[0].Load(&s.Arena, v.bounced[0])
	a.bounced[1].Load(&s.Arena, v.bounced[1])
	a.tries.load(&s.Arena, v.tries)
	v.keys.load(a, s)
	a.recent.load(&s.Arena, v.recent)
	a.entered.load(&s.Arena, v.entered)
	v.aside.load(a, s)
	v.before.load(a, s)
	if v.past != nil {
		*a.keepPast(s) = *v.past
	}
	v.watch.load(a, s)
}
