package detectors

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"unsafe"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// NewSourceParameters are new source's numbers, beside those of unknown sources
// judged as one.
type NewSourceParameters struct {
	LearnDays float64
	Rarity    float64
}

var newSourceSpec = Spec{
	Name: "new_source", Version: 2, Family: schemas.FamilyNetwork, Entity: schemas.KindAccount, Technique: "T1078.004",
	Parameters: append([]Parameter{
		{Name: "learn_days", Unit: "days", Default: 7, Min: 0, Max: 90, Source: "a week shows every weekday's sources", at: func(p *Parameters) *float64 { return &p.NewSource.LearnDays }},
		{Name: "rarity", Unit: "probability", Default: 0.05, Min: 1e-9, Max: 1, Source: "about one new source in 20 days is worth a mention", at: func(p *Parameters) *float64 { return &p.NewSource.Rarity }},
	}, actorParameters...),
}

// newSource counts the sources of sends and successful logins that the account did
// not use in the 90 days which ended two days before: a source stays unknown for a
// day and the next, and all unknown sources of a day are judged together, as one actor. By
// itself it never gives more than reason to look.
type newSource struct{}

// countSource notes the source of a send or login and says whether the account
// knows it. It is not counted while the account is still being learnt.
func (v *accountView) countSource(recipients int64) source {
	if !v.event.IP.IsValid() {
		return sourceBlind
	}
	a, ar, d := v.account, &v.e.store.Arena, v.dayNo
	recent, use := v.e.recent.of(a, v.event.IP, d)
	if *recent == use {
		return sourceKnown
	}
	h := v.e.sourceHash(v.event.IP, false)
	if a.sources.Len() >= maxSources && !a.sources.Has(ar, h) {
		v.e.recent.forget(a)
		a.sources.Keep(ar, d-min(d, sourceDays+2), maxSources+maxNetworks-1)
		if a.sources.Len() >= maxSources {
			h = v.e.sourceHash(v.event.IP, true)
		}
	}
	at := a.sources.Find(ar, h)
	known, fresh, later := v.foundBefore(&at), !at.UsedBetween(1, d), at.In()
	first := a.sources.UseFound(ar, h, at, d)
	if v.useNetwork(h, fresh, later) {
		known = true
	}
	grade := v.gradePlace()
	if known {
		*recent = use
	}
	if known || v.age() < settleDays {
		return sourceKnown
	}
	v.grade = grade
	if v.event.Type == schemas.TypeSend && !v.learning() {
		v.e.watching(a)
	}
	near := v.nearBefore(h)
	if !near {
		v.newcomer(h, first)
	}
	if v.learning() {
		return sourceKnown
	}
	if v.event.Type == schemas.TypeSend {
		if v.event.Credential != "" {
			v.tellSource(h, near)
		}
	}
	return sourceUnknown
}

// newcomer counts an unknown source on its first use of the day. A late use may show
// that the first was not in the clock's hour.
func (v *accountView) newcomer(h uint64, first bool) {
	a, ar := v.account, &v.e.store.Arena
	if first && v.day.newSources < math.MaxUint16 {
		v.day.newSources++
	}
	if a.watch == 0 || v.dayNo < a.day {
		return
	}
	w := v.e.store.watches.At(a.watch)
	switch {
	case v.hourNo < a.hour:
		w.newcomers.Remove(ar, spread(h))
	case first && v.event.Time < hourStart(a.hour)+lateness:
		w.newcomers.Add(ar, spread(h), maxTold)
	}
}

// What can be odd about where a source is.
const (
	gradeCountry byte = 1 << iota // the account was never used from there
	gradeHosting                  // a hosting or VPN range, which the account does not use
)

// gradePlace notes the country of a source and whether it is hosted, and says what
// is new about these. Without data files nothing is known and nothing is odd.
func (v *accountView) gradePlace() (grade byte) {
	n := &v.in.Network
	if n.Country != "" && v.newPlace(v.e.hasher.String("country "+n.Country)) {
		grade |= gradeCountry
	}
	if (n.Hosting || n.VPN) && v.newPlace(hostingMark) {
		grade |= gradeHosting
	}
	return grade
}

// hostingMark stands for hosted sources among an account's sources.
const hostingMark = 0x6c62272e07bb0142

func (v *accountView) newPlace(h uint64) bool {
	known := v.usedBefore(h)
	if v.account.sources.Len() < maxSources+maxNetworks {
		v.account.sources.Use(&v.e.store.Arena, h, v.dayNo)
	}
	return !known
}

// recentSources remembers uses of sources that were found to be known, and whose day
// has been noted: more of the same changes nothing until the account's clock reaches
// another day. 63 bits of hash under a seed of this process stand for a use. The memory
// of an account is never given back but used again, and forgotten here before that.
type recentSources struct {
	seed maphash.Seed
	uses [64][32]uint64
}

func newRecentSources() *recentSources { return &recentSources{seed: maphash.MakeSeed()} }

// of returns the use of an address by an account on a day, and its place.
func (r *recentSources) of(a *account, addr netip.Addr, d sketch.Day) (at *uint64, use uint64) {
	var b [28]byte
	wide := addr.As16()
	copy(b[:], wide[:])
	binary.NativeEndian.PutUint64(b[16:], uint64(uintptr(unsafe.Pointer(a))))
	binary.NativeEndian.PutUint16(b[24:], uint16(d))
	binary.NativeEndian.PutUint16(b[26:], uint16(a.day))
	use = maphash.Bytes(r.seed, b[:]) | 1 // never 0, as a free place is
	row := r.row(a)
	return &row[use>>1%uint64(len(row))], use
}

// row is where all of an account's stand, and some others'.
func (r *recentSources) row(a *account) *[32]uint64 {
	return &r.uses[uint64(uintptr(unsafe.Pointer(a)))*0x9e3779b97f4a7c15>>32%uint64(len(r.uses))]
}

func (r *recentSources) forget(a *account) { clear(r.row(a)[:]) }

// useNetwork notes the network around the source and reports whether the account
// is known to use changing addresses of it: at least two, two days ago or before.
// Pools that rotate, and providers at home, give an address of the same network
// tomorrow. fresh says that the source was not used until the day, later that it was
// used afterwards: by an event that came first.
func (v *accountView) useNetwork(h uint64, fresh, later bool) (known bool) {
	a, ar, d := v.account, &v.e.store.Arena, v.dayNo
	n := v.e.sourceHash(v.event.IP, true)
	if n == h || a.sources.Len() >= maxSources+maxNetworks-2 {
		return false
	}
	network := a.sources.Find(ar, n)
	used := network.UsedBetween(1, d)
	a.sources.UseFound(ar, n, network, d)
	changing := n ^ changingMark
	before := a.sources.Find(ar, changing)
	known = v.foundBefore(&before)
	switch {
	case !used && network.In() && !later:
		a.sources.UseFound(ar, changing, before, a.day)
	case used && (fresh || before.UsedBetween(1, d)):
		a.sources.UseFound(ar, changing, before, d)
	}
	return known
}

// changingMark turns a network's hash into that of "addresses of it change".
const changingMark = 0x2545f4914f6cdd1d

// settleDays is when the sources of an account's first day count as known, so
// that its rate of new ones can be learnt from then on.
const settleDays = 3

// age is how many days the account has been seen before the view's day.
func (v *accountView) age() float64 {
	return float64(firstHour(v.dayNo)-v.account.first) / 24
}

// learning reports whether the account's sources are still being learnt on the day.
func (v *accountView) learning() bool { return v.learningOn(v.dayNo) }

func (v *accountView) learningOn(d sketch.Day) bool {
	return float64(firstHour(d)-v.account.first)/24 < v.e.versions.at(d.Start()).NewSource.LearnDays
}

func (newSource) account(v *accountView) {
	switch v.event.Type {
	case schemas.TypeDelivery:
		v.judgeActor() // it may have bounced
		return
	case schemas.TypeSend, schemas.TypeLogin:
	default:
		return
	}
	v.rareSource(v.dayNo)
	if v.dayNo < v.account.day {
		v.rareSource(v.account.day)
	}
	v.judgeActor()
	if v.day.away && v.unknownSend {
		v.tellRaised(v.event.IP, v.dayNo)
	}
}

// rareSource mentions new sources that are rare for the account. By itself that
// is never reason for more than a mention.
func (v *accountView) rareSource(d sketch.Day) {
	day := &v.account.days[mod2(d)]
	if day.newSources == 0 || v.learningOn(d) || day.given().has(measureSource, 1) {
		return
	}
	k, surprise := v.newSources(d)
	if surprise < -math.Log10(v.e.versions.at(d.Start()).NewSource.Rarity) {
		return
	}
	v.hit(&newSourceSpec, day.given(), measureSource, finding{value: windowValue("24h", d.Start()), level: 1, score: 0.2, severity: schemas.SeverityLow,
		evidence: schemas.Evidence{Observed: k, Expected: round(2 * float64(v.dayBase.sources)), Threshold: 1, Unit: "sources", Window: "48h0m0s", Floor: 1,
			Text: fmt.Sprintf("%s new to the account, %s last", things(k, "source"), schemas.IPKey(v.event.IP))}})
}
