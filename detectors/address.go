package detectors

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// recordDays is how many days behind its newest record a record is kept. Pairs
// lie at most three days apart; the rest is room for lanes that are at different
// times, as when years are imported.
const recordDays = 90

// address is the state of one address (IPv6: one /64): who used it, whom it tried
// to be and whose alarms it was part of, told by facts; and the connections that it
// holds. 80 bytes, and blocks for the lists.
type address struct {
	key     slab.Ref
	keyLen  uint8
	clock   int64 // of its own events; facts do not move it
	heard   int64 // arrival of the last record
	applied [2]int64
	records records
	tries   logins  // by (account, user), as far as the accounts have told
	victims dayList // accounts alarmed by it, as hashes
	held    uint32  // handle in the store's sockets, 0 for an address without connections
	marked  dayList // signals given: measure and level
}

func (a *address) free(s *store) {
	a.records.clear(&s.Store)
	a.tries.clear(&s.Arena)
	a.victims.clear(&s.Arena)
	a.marked.clear(&s.Arena)
	a.hangUp(s)
	s.Free(a.key)
	a.key = 0
}

// What is marked on an address's day.
const (
	markedBrute = iota
	markedSpray
	markedStuffing
	markedFlood
	markedHeld
)

// Caps of an address's lists.
const (
	maxVictims = 512 // accounts alarmed
	maxMarked  = 256 // signals given
)

// addressEvent folds a connection in.
func (e *Engine) addressEvent(in *schemas.Input, ev *schemas.Event, emit func(schemas.Output)) bool {
	a := e.findAddress(in.Key)
	if a != nil && e.skip(&a.applied, in) {
		return false
	}
	if a == nil {
		a = e.newAddress(in.Key)
		a.applied[0] = in.Offset + 1
	}
	e.hear(a, in.Arrival)
	if ev.Time < a.clock-lateness {
		e.countLate()
		return true
	}
	a.clock = max(a.clock, ev.Time)
	e.stats.events.Add(1)
	change := int32(1)
	if ev.State == "close" {
		change = -1
	}
	if a.held == 0 {
		a.held = e.store.sockets.New()
	}
	e.store.sockets.At(a.held).note(ev.Time, change, func(held, minute int32) {
		at := int64(minute) * msMinute
		if float64(held) < e.versions.at(sketch.DayOf(at).Start()).Source.HeldSome {
			return
		}
		v := e.sourceView(a, ev.Entity(), emit)
		v.trigger, v.time, v.arrival, v.origin = ev.ID, ev.Time, in.Arrival, in.Origin
		v.judgeHeld(float64(held), at)
	})
	return true
}

// sourceView is what detectors see of an address, with the event behind it.
type sourceView struct {
	e       *Engine
	emit    func(schemas.Output)
	address *address
	entity  schemas.Entity
	trigger string
	time    int64
	arrival int64
	origin  schemas.Origin
}

func (e *Engine) sourceView(a *address, entity schemas.Entity, emit func(schemas.Output)) *sourceView {
	return &sourceView{e: e, emit: emit, address: a, entity: entity}
}

// hit raises a finding about an address once a level and day.
func (v *sourceView) hit(spec *Spec, day sketch.Day, measure int, f finding) {
	ar, bit := &v.e.store.Arena, levelBit(measure, f.level)
	if _, given := v.address.marked.find(ar, day, bit); given {
		return
	}
	v.address.marked.add(ar, day, bit, maxMarked)
	if f.score == 0 {
		f.score, f.severity = grade(f.level)
	}
	f.entity, f.trigger, f.time, f.arrival, f.origin = v.entity, v.trigger, v.time, v.arrival, v.origin
	f.value = windowValue(f.value, day.Start())
	f.evidence.Samples = []string{v.trigger}
	v.e.raise(v.emit, spec, f)
}

// given reports whether a finding was raised.
func (v *sourceView) given(day sketch.Day, measure, level int) bool {
	_, ok := v.address.marked.find(&v.e.store.Arena, day, levelBit(measure, level))
	return ok
}

// sourceFact folds in what an account's lane tells of an address.
func (e *Engine) sourceFact(in *schemas.Input, f *schemas.Fact, emit func(schemas.Output)) (bool, error) {
	if len(f.Account) == 0 || len(f.Account) > schemas.MaxID || len(f.Event) > schemas.MaxID || len(f.Value) > 2*schemas.MaxID || f.N < 0 {
		return false, &schemas.Error{Reason: schemas.ReasonBadField, Record: in.ID, Field: "account", What: "of the fact is missing or too long", Fix: "only detect lanes write facts"}
	}
	a := e.findAddress(in.Key)
	if a == nil {
		a = e.newAddress(in.Key)
	}
	if e.skip(&a.applied, in) {
		return false, nil
	}
	e.hear(a, in.Arrival)
	e.stats.facts.Add(1)
	v := e.sourceView(a, f.Entity, emit)
	v.trigger, v.time, v.arrival, v.origin = f.Event, f.Time, f.Arrival, f.Origin
	day := sketch.DayOf(f.Window * 1000)
	if f.Name == factRaised {
		a.victims.add(&e.store.Arena, day, e.hasher.String(f.Account), maxVictims)
		for _, d := range [...]sketch.Day{day, day + 1} {
			v.judgeFlood(d)
		}
		return true, nil
	}
	what, rest, _ := strings.Cut(f.Value, "|")
	id, user, _ := strings.Cut(rest, "|")
	t := try{day: day, user: uint32(e.hasher.String(f.Account + "\x00" + user)), fails: uint32(min(f.N, math.MaxUint32))}
	if what == tryByNobody {
		t.flags = tryNobody
		if strings.HasPrefix(id, ofEvent+"_") || id == f.Event { // as the first release wrote it
			t.from = e.hasher.String(id) // each attempt by itself: nobody counts them
		}
	}
	if f.N == 0 {
		t.flags |= tryOK
	}
	a.tries.told(&e.store.Arena, t)
	for _, d := range [...]sketch.Day{day, day + 1} {
		v.judgeTries(d)
	}
	return true, nil
}

// tellRaised tells an address that it is one of the unknown sources that an
// account was alarmed by, once a day.
func (v *accountView) tellRaised(addr netip.Addr, d sketch.Day) {
	if !addr.IsValid() || !v.account.days[mod2(d)].told.Add(&v.e.store.Arena, spread(v.e.sourceHash(addr, false)^0x5bd1e9955bd1e995), maxToldUse) {
		return
	}
	ev, ip := v.event, schemas.IPEntity(addr)
	v.e.tell(v.emit, schemas.Fact{Name: factRaised, Entity: ip, From: ev.Entity(), Time: ev.Time, Window: d.Start() / 1000,
		Account: ev.Account, Address: ip.ID, Event: ev.ID, Origin: v.in.Origin, Arrival: v.in.Arrival})
}

// tellAllRaised tells the sources that sent before the alarm.
func (v *accountView) tellAllRaised(d sketch.Day) {
	w, ar := v.e.store.watches.At(v.account.watch), &v.e.store.Arena
	for i := range int(w.actors.n) {
		if day, n := w.actors.at(ar, i); day == d {
			v.tellRaised(numberedAddress(n), d)
		}
	}
}

// addressNumber is an address, of IPv6 the /64, in 64 bits: those of a /64 below 2^32
// are given to nobody.
func addressNumber(a netip.Addr) uint64 {
	if a = schemas.NormalIP(a); a.Is4() {
		four := a.As4()
		return uint64(binary.BigEndian.Uint32(four[:]))
	}
	wide := a.As16()
	return binary.BigEndian.Uint64(wide[:])
}

func numberedAddress(n uint64) netip.Addr {
	if n>>32 == 0 {
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	var wide [16]byte
	binary.BigEndian.PutUint64(wide[:], n)
	return netip.AddrFrom16(wide)
}

// addressSections are the parts of an address's state. A tag is never used again.
var addressSections = []section[address, addressValue]{
	{tag: 1, first: true, write: (*address).appendClock, read: func(r *reader, v *addressValue) { v.a.clock, v.a.heard = r.int(), r.int() }},
	{tag: 2, first: true, write: func(a *address, w *writer, s *store) { w.text(string(a.records.bytes(&s.Store))) }, read: func(r *reader, v *addressValue) { v.records = r.records() }},
	{tag: 3, first: true, write: func(a *address, w *writer, s *store) { w.b = a.tries.append(&s.Store, w.b) }, read: func(r *reader, v *addressValue) { v.tries = r.cut(cutLogins) }},
	{tag: 4, first: true, write: (*address).appendAlarms, read: func(r *reader, v *addressValue) { v.victims, v.marked = r.cut(cutDays), r.cut(cutDays) }},
	{tag: 5, first: true, write: (*address).appendHeld, read: (*reader).addressHeld},
}

func (a *address) appendClock(w *writer, _ *store) {
	w.int(a.clock)
	w.int(a.heard)
}

// appendAlarms writes whom the address alarmed, and what was said of it.
func (a *address) appendAlarms(w *writer, s *store) {
	w.b = a.victims.append(&s.Store, w.b)
	w.b = a.marked.append(&s.Store, w.b)
}

func (a *address) appendHeld(w *writer, s *store) {
	w.bool(a.held != 0)
	if a.held != 0 {
		s.sockets.At(a.held).append(w)
	}
}

// addressValue is a checked address that is not yet in a store.
type addressValue struct {
	a       address
	records []byte
	tries   []byte
	victims []byte
	marked  []byte
	held    *sockets
}

func (r *reader) addressHeld(v *addressValue) {
	if r.bool() {
		v.held = r.sockets()
	}
}

// load replaces all of a but its key by a checked value.
func (a *address) load(s *store, v *addressValue, applied [2]int64) {
	key, keyLen := a.key, a.keyLen
	a.records.clear(&s.Store)
	a.tries.clear(&s.Arena)
	a.victims.clear(&s.Arena)
	a.marked.clear(&s.Arena)
	a.hangUp(s)
	*a = v.a
	a.key, a.keyLen, a.applied = key, keyLen, applied
	a.records = records{s.Put(v.records), uint32(len(v.records))}
	a.tries.load(&s.Arena, v.tries)
	a.victims.load(&s.Arena, v.victims)
	a.marked.load(&s.Arena, v.marked)
	if v.held != nil {
		a.held = s.sockets.New()
		*s.sockets.At(a.held) = *v.held
	}
}
