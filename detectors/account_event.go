package detectors

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// accountView is what detectors see of an account: the event, the hour and the
// day it falls in, and the past that these may be judged by.
type accountView struct {
	e        *Engine
	in       *schemas.Input
	emit     func(schemas.Output)
	event    *schemas.Event
	account  *account
	hourNo   int32
	hour     *hourWindow
	hourBase *hourBase
	dayNo    sketch.Day
	day      *dayWindow
	dayBase  *dayBase
	p        *Parameters // in force at the hour's start
	dayP     *Parameters // in force at the day's start
	profile  *profile
	grade    byte // of an unknown source, see gradeCountry
	// unknownSend says that the event is a send that counts as the unknown sources'.
	unknownSend bool
	sentWith    *keyPast // of the send, where the account has several credentials
	// back is the hour that is judged where it has settled, and the event only came
	// next; else 0.
	back int32
}

// accountEvent folds one event of an account in.
func (e *Engine) accountEvent(in *schemas.Input, ev *schemas.Event, emit func(schemas.Output)) bool {
	a := e.findAccount(in.Key)
	if a != nil && in.Offset < a.applied[0] {
		e.stats.skipped.Add(1)
		return false
	}
	if ev.Type == schemas.TypeAccount || ev.Type == schemas.TypeCredential {
		handOn(in, emit)
	}
	if ev.Type == schemas.TypeLogin && ev.Outcome == "failure" && a.unheard(&e.store) {
		return e.visit(in, ev, a, emit)
	}
	if a != nil && a.clock != 0 {
		late := a.late(ev.Time)
		if late && !e.goBack(in, a, ev.Time) {
			a.applied[0] = in.Offset + 1
			e.countLate()
			return true
		}
		if !late {
			e.lookAhead(in, a, ev.Time)
		}
	}
	nobody := a != nil && a.isNobody(&e.store)
	if a == nil {
		a = e.newAccount(in.Key)
	}
	a.applied[0] = in.Offset + 1
	v := &e.view
	v.e, v.in, v.emit, v.event, v.account = e, in, emit, ev, a
	a.advance(&e.store, ev.Time, &e.onSettled)
	v.back = 0
	if nobody {
		e.settleIn(a, ev.Time)
	}
	if in.Origin != schemas.OriginLive {
		a.brought = max(a.brought, hourOf(ev.Time))
	}
	e.stats.events.Add(1)
	v.look()
	v.activeToday()
	v.count()
	for _, d := range accountDetectors {
		d.account(v)
	}
	return true
}

// handOn passes an event to the lane that decides, bytes unchanged.
func handOn(in *schemas.Input, emit func(schemas.Output)) {
	emit(schemas.Output{Topic: schemas.TopicInbox, Kind: schemas.KindEvent, ID: strings.Clone(in.ID), Key: strings.Clone(in.Key),
		Origin: owned(in.Origin), Source: strings.Clone(in.Source), Value: bytes.Clone(in.Value)})
}

// owned is an origin that does not refer to the record's bytes.
func owned(o schemas.Origin) schemas.Origin {
	switch o {
	case schemas.OriginLive:
		return schemas.OriginLive
	case schemas.OriginReplay:
		return schemas.OriginReplay
	}
	return schemas.OriginImport
}

// look sets the view up for its event, once the account's clock has moved.
func (v *accountView) look() {
	e, a, ev := v.e, v.account, v.event
	h, d := hourOf(ev.Time), sketch.DayOf(ev.Time)
	v.hourNo, v.hour, v.hourBase = h, &a.hours[mod3(h)], a.hourlyAt(&e.store, h)
	v.dayNo, v.day, v.dayBase = d, &a.days[mod2(d)], a.dailyAt(&e.store, d)
	v.p = e.versions.at(hourStart(h))
	v.dayP = v.p
	if len(e.versions) > 1 {
		v.dayP = e.versions.at(d.Start())
	}
	v.profile = a.profileAt(hourStart(h))
	v.unknownSend, v.grade, v.sentWith = false, 0, nil
}

// settled is shown an hour that was used, can no longer change and is not learnt yet.
func (v *accountView) settled(h int32) {
	a := v.account
	v.back = h
	w := &a.hours[mod3(h)]
	if a.watch != 0 {
		v.judgeLast(h)
		v.judgeSettled(h)
	}
	if w.away {
		a.away = max(a.away, dayOfHour(h))
	}
	judgeOutcomes(v, h)
	judgeHabit(v, h)
}

// activeToday tells the gate once a day that the account lives.
func (v *accountView) activeToday() {
	if v.day.active {
		return
	}
	if v.day.active = true; v.e.cfg.Uncounted {
		return
	}
	day := unixDay(v.dayNo)
	id := v.in.Key[len("account:"):]
	value, err := schemas.AppendActive(nil, &schemas.Active{Account: id, Day: day})
	if err != nil {
		return // a checked id is always written
	}
	v.emit(schemas.Output{Topic: schemas.TopicProposals, Kind: schemas.KindActive, Key: "gate",
		ID: schemas.DeriveID("act", id, strconv.FormatInt(day, 10)), Origin: owned(v.in.Origin), Value: value})
}

// count adds the event to the windows it falls in.
func (v *accountView) count() {
	ev := v.event
	switch ev.Type {
	case schemas.TypeAccount:
		plan := uint32(0)
		if ev.Plan != "" {
			plan = planPrint(v.e.hasher, ev.Plan)
		}
		v.account.snapshot(profile{at: ev.Time, created: createdOn(ev.Created), plan: plan})
	case schemas.TypeSend:
		if ev.Test {
			return
		}
		v.account.sentOn(v.dayNo)
		v.countKey()
		v.countVolume()
		from := v.countSource(ev.Volume())
		actor := from != sourceKnown && !v.vouched()
		v.unknownSend = actor && from == sourceUnknown
		v.countStrangers(actor)
		if actor {
			v.countActor(from)
		}
	case schemas.TypeDelivery:
		v.countOutcome()
	case schemas.TypeLogin:
		v.countLogin()
	case schemas.TypeCredential:
		v.countCredential()
	}
}

func (v *accountView) countVolume() {
	n := uint32(min(v.event.Volume(), schemas.MaxCount))
	w := v.hour
	before, after := v.account.ring.Add(bucketOf(v.event.Time), n)
	w.peak = max(w.peak, after)
	w.squares += uint64(after)*uint64(after) - uint64(before)*uint64(before)
	w.recipients = plus(w.recipients, n)
	v.day.recipients = plus(v.day.recipients, n)
}

func plus(a, b uint32) uint32 {
	if a+b < a {
		return ^uint32(0)
	}
	return a + b
}

func (v *accountView) countStrangers(actor bool) {
	var theirs *actorHour
	if actor {
		theirs = &v.e.watching(v.account).hours[mod3(v.hourNo)]
	}
	a, s, w := v.account, &v.e.store.Store, v.hour
	w.listed = plus(w.listed, uint32(len(v.event.Recipients)))
	for _, h := range v.listed() {
		stranger, learn := a.stranger(&v.e.store, v.hourNo, h)
		fresh := learn && w.fresh.AddLeast(&s.Arena, h, maxFresh)
		if !stranger {
			continue
		}
		if theirs != nil && theirs.strangers.Add(s, h) {
			theirs.since = plus(theirs.since, 1)
		}
		exact := w.strangers.IsExact()
		added := w.strangers.Add(s, h)
		if exact && added || !exact && (fresh || w.fresh.Len() >= maxFresh) {
			w.since = plus(w.since, 1)
			v.day.strangers = plus(v.day.strangers, 1)
		}
	}
}

// listed returns the hashes of the recipients, and has looked at where the account's
// known ones stand that they may be.
func (v *accountView) listed() []uint64 {
	e := v.e
	e.listed = e.listed[:0]
	for _, r := range v.event.Recipients {
		e.listed = append(e.listed, e.hasher.String(schemas.NormalMail(r)))
	}
	if len(e.listed) > 1 {
		e.touched = v.account.known.Touch(&e.store.Arena, e.listed)
	}
	return e.listed
}

// strangersNow is the hour's distinct strangers if these can have reached the
// threshold, and otherwise something below it: a sketch is not asked in vain.
func (v *accountView) strangersNow(threshold float64) float64 {
	w := v.hour
	if w.strangers.IsExact() {
		return float64(w.strangers.Count(&v.e.store.Store))
	}
	// Leave room for an estimate that was too low when it was last asked.
	if float64(w.asked)*1.05+float64(w.since) < threshold {
		return 0
	}
	w.asked, w.since = uint32(w.strangers.Count(&v.e.store.Store)), 0
	return float64(w.asked)
}

// sourceHash names an address, IPv6 by its /64, or the network around it. The first
// sixteen bits name the region: an IPv4 /16, an IPv6 /32, about what a provider has
// in one place. In an ordered set what is of one region stands together.
func (e *Engine) sourceHash(a netip.Addr, network bool) uint64 {
	last := &e.hashed
	if last.addr != a {
		*last = hashedSource{addr: a}
	}
	h := &last.source
	if network {
		h = &last.network
	}
	if *h == 0 {
		*h = e.hashSource(a, network)
	}
	return *h
}

// hashedSource is what sourceHash gave for the last address: one event asks for the
// same several times.
type hashedSource struct {
	addr            netip.Addr
	source, network uint64 // 0: not asked for yet
}

// hashSource is sourceHash, worked out.
func (e *Engine) hashSource(a netip.Addr, network bool) uint64 {
	a = schemas.NormalIP(a)
	bits := 128 / 2
	switch {
	case a.Is4() && network:
		bits = 24
	case a.Is4():
		bits = 32
	case network:
		bits = 48
	}
	var b [18]byte
	wide, region := a.As16(), 4
	if a.Is4() {
		four := a.As4()
		wide, region = [16]byte{}, 2
		copy(wide[:], four[:])
		b[17] = 4
	}
	copy(b[:], wide[:region])
	place := e.hasher.Bytes(b[:])
	copy(b[:], wide[:bits/8])
	b[16] = byte(bits)
	return place&^(1<<regionShift-1) | e.hasher.Bytes(b[:])>>(64-regionShift)
}

// spread makes a source's hash one whose first bits tell sources of a region apart,
// as sets of short fingerprints need.
func spread(h uint64) uint64 { return h * 0x9e3779b97f4a7c15 }

// regionShift is where a source's region begins in its hash.
const regionShift = 48

// mature reports whether the account's past may be judged by: 14 days and 20
// active hours, counted up to where the window may look.
func (v *accountView) mature() bool {
	return v.hourNo-v.account.since >= matureHours && v.hourBase.volume.Active >= matureActive
}

// matureDays is the same for the day's window.
func (v *accountView) matureDays() bool {
	return firstHour(v.dayNo)-v.account.since >= matureHours && v.dayBase.volume.Active >= 5 && v.dayBase.volume.N >= 10
}

// createdOn is the day on which an account was made, 0 where that is unknown or no time
// at which one can have been made.
func createdOn(ms int64) sketch.Day {
	if ms <= 0 || ms >= schemas.LatestTime {
		return 0
	}
	return max(sketch.DayOf(ms), 1)
}

// young reports whether the account was made less than 30 days before a window;
// one whose making is unknown is not.
func (p *profile) young(start int64) bool {
	return p.created > 0 && start-p.created.Start() < 30*msDay
}

// cohort is what an account without a past of its own may send in an hour of a
// window: what its plan is given, a quarter of it while the account is young.
func (p *profile) cohort(in *Parameters, start int64) float64 {
	n, ok := in.cohorts[p.plan]
	if !ok {
		n = in.Volume.Cohort1h
	}
	if p.young(start) {
		n /= 4
	}
	return n
}

// ceiling is the cohort's for the view's hour.
func (v *accountView) ceiling() float64 { return v.profile.cohort(v.p, hourStart(v.hourNo)) }

func (v *accountView) young() bool { return v.profile.young(hourStart(v.hourNo)) }

// expected is the recipients to expect in the view's hour.
func (v *accountView) expected() float64 {
	a := v.account
	if v.hourNo < a.hour && a.past != 0 {
		return float64(v.e.store.pasts.At(a.past).expected[0])
	}
	return float64(a.expectedIn(v.hourNo, v.hourBase))
}

// expectedIn is the recipients to expect of an hour by a past and by the rhythm as it
// is known now.
func (a *account) expectedIn(h int32, base *hourBase) float32 {
	return float32(a.rhythm.Expected(int(uint32(h)%24), weekday(dayOfHour(h)), float64(base.volume.Mean), int(h-a.since)/24))
}
