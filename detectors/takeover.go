package detectors

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// TakeoverParameters are takeover's numbers.
type TakeoverParameters struct {
	Guesses, Many           float64
	KnownGuesses, KnownMany float64
	Distributed             float64
	Distance, Speed         float64
}

var takeoverSpec = Spec{
	Name: "takeover", Version: 1, Family: schemas.FamilyIdentity, Entity: schemas.KindAccount, Technique: "T1110",
	Parameters: []Parameter{
		{Name: "guesses", Unit: "failed logins", Default: 5, Min: 2, Max: 1e6, Source: "people give up or reset their password after three to five", at: func(p *Parameters) *float64 { return &p.Takeover.Guesses }},
		{Name: "many", Unit: "failed logins", Default: 9, Min: 2, Max: 1e6, Source: "more than the most forgetful of the labelled users", at: func(p *Parameters) *float64 { return &p.Takeover.Many }},
		{Name: "known_guesses", Unit: "failed logins", Default: 12, Min: 2, Max: 1e6, Source: "from an address that the account knows, where its own people mistype", at: func(p *Parameters) *float64 { return &p.Takeover.KnownGuesses }},
		{Name: "known_many", Unit: "failed logins", Default: 20, Min: 2, Max: 1e6, Source: "no person types twenty passwords for one user in two days", at: func(p *Parameters) *float64 { return &p.Takeover.KnownMany }},
		{Name: "distributed", Unit: "failed logins", Default: 50, Min: 5, Max: 1e6, Source: "from any unknown sources together in a day, then a success from one of them", at: func(p *Parameters) *float64 { return &p.Takeover.Distributed }},
		{Name: "distance", Unit: "km", Default: 500, Min: 50, Max: 20000, Source: "beyond what two databases differ in about one place", at: func(p *Parameters) *float64 { return &p.Takeover.Distance }},
		{Name: "speed", Unit: "km/h", Default: 900, Min: 100, Max: 10000, Source: "an airliner's cruise", at: func(p *Parameters) *float64 { return &p.Takeover.Speed }},
	},
}

// countLogin notes an attempt to sign in. Failures and success are compared by
// day, so that it does not matter which came first; a success after the failures is
// graver, see judgeEntered.
func (v *accountView) countLogin() {
	ev, a, ar := v.event, v.account, &v.e.store.Arena
	ok := ev.Outcome == "success"
	if !ok && ev.Outcome != "failure" {
		return
	}
	if ok {
		v.countSource(0)
	}
	if !ev.IP.IsValid() {
		return
	}
	from := v.e.sourceHash(ev.IP, false)
	known := v.usedBefore(from) || v.usedBefore(v.e.sourceHash(ev.IP, true)^changingMark)
	t := try{day: v.dayNo, from: from, user: v.e.userPrint(ev.User)}
	if known {
		t.flags = tryKnown
	}
	now := a.tries.note(ar, t, !ok, ev.Time)
	switch {
	case known:
	case !ok && a.visitedOn(&v.e.store, v.dayNo):
		v.e.tellNobody(v.in, ev, v.emit) // as those before it
	default:
		v.tellTry(now, ok)
	}
	a.recent.drop(ar, a.clock-keepFailures*msMinute)
	if ok {
		v.enter(t)
	} else {
		a.recent.note(ar, stepOf(ev.Time), pairOf(t))
	}
	v.judgeEntered(t)
	v.judgeGuesses(t)
	for d := v.dayNo; d <= a.day; d++ {
		v.judgeDistributed(d)
	}
	if t.day++; t.day == a.day && a.tries.has(ar, t) {
		v.judgeGuesses(t)
	}
	if a.watch != 0 {
		v.judgeFresh()
	}
	v.travel()
}

// judgeGuesses looks for guesses and a success of the same user and source within
// two days.
func (v *accountView) judgeGuesses(t try) {
	ar, p := &v.e.store.Arena, &v.dayP.Takeover
	fails, flags := v.account.tries.pair(ar, t)
	if flags&tryOK == 0 || fails == 0 {
		return
	}
	some, many := p.limits(flags)
	n := float64(fails)
	for level, limit := range [...]float64{1: some, 2: many} {
		if level > 0 && n >= limit && !v.account.days[mod2(t.day)].given().has(measureGuesses, level) {
			v.guessed(t.day, level, n, limit, v.guesses(n, v.before(t)))
		}
	}
}

// judgeDistributed looks for a success among guesses of many unknown sources, of
// which its own made some.
func (v *accountView) judgeDistributed(d sketch.Day) {
	l, ar, p := &v.account.tries, &v.e.store.Arena, &v.e.versions.at(d.Start()).Takeover
	all := float64(l.unknown(ar, d))
	if all < p.Distributed || v.account.days[mod2(d)].given().has(measureGuesses, 1) {
		return
	}
	for i := range int(l.n) {
		x := l.at(ar, i)
		if x.flags&tryOK == 0 || x.day != d && x.day+1 != d {
			continue
		}
		if x.day = d; !l.has(ar, x) {
			continue
		}
		if fails, flags := l.pair(ar, x); fails > 0 && flags&tryOK != 0 && flags&tryKnown == 0 {
			v.guessed(d, 1, all, p.Distributed, fmt.Sprintf("%s within a day from sources that the account does not know, and a successful one from such a source", things(all, "failed login")))
			return
		}
	}
}

// limits are how many failures are some and many from a source.
func (p *TakeoverParameters) limits(flags byte) (some, many float64) {
	if flags&tryKnown != 0 {
		return p.KnownGuesses, p.KnownMany
	}
	return p.Guesses, p.Many
}

// usedBefore reports whether the account used a source in the 90 days that ended
// two days before the event.
func (v *accountView) usedBefore(h uint64) bool {
	at := v.account.sources.Find(&v.e.store.Arena, h)
	return v.foundBefore(&at)
}

func (v *accountView) foundBefore(at *sketch.Found) bool {
	d := v.dayNo
	return at.UsedBetween(d-min(d, sourceDays), d-min(d, 2))
}

// nearBefore is the same for any source of the same region.
func (v *accountView) nearBefore(h uint64) bool {
	d := v.dayNo
	return v.account.sources.UsedNear(&v.e.store.Arena, h, d-min(d, sourceDays), d-min(d, 2))
}

// stranger is the address, and the user where one signed in, that the event came from where
// the account does not know it.
func (v *accountView) stranger() (address, user string) {
	ev := v.event
	if v.back != 0 || !ev.IP.IsValid() {
		return "", ""
	}
	switch ev.Type {
	case schemas.TypeSend:
		if !v.unknownSend {
			return "", ""
		}
	case schemas.TypeLogin, schemas.TypeCredential:
		if v.usedBefore(v.e.sourceHash(ev.IP, false)) {
			return "", ""
		}
	default:
		return "", ""
	}
	return schemas.NormalIP(ev.IP).String(), strings.Clone(ev.User)
}

func (v *accountView) guessed(d sketch.Day, level int, n, threshold float64, text string) {
	day := &v.account.days[mod2(d)]
	score, severity := grade(level)
	v.hit(&takeoverSpec, day.given(), measureGuesses, finding{value: windowValue("guesses", d.Start()), level: level, score: score, severity: severity,
		evidence: schemas.Evidence{Observed: n, Threshold: threshold, Unit: "failed logins", Window: "48h0m0s", Floor: threshold, Text: text}})
}

// brief cuts what a text or fact quotes of an event, between characters: half of one
// is no text that can be told.
func brief(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// shown is brief for a text that people read: what cannot be shown is written as escapes.
func shown(s string) string { return schemas.Printable(brief(s)) }

// travel looks for two logins whose places are farther apart than an airliner
// flies in the time between them. Addresses of hosting providers and VPNs say
// nothing about where somebody is. Nor do two places of one network: it did not move, the
// data files did, of which a new edition may place it elsewhere.
func (v *accountView) travel() {
	ev, n, ar := v.event, &v.in.Network, &v.e.store.Arena
	if ev.Outcome != "success" || !n.Located || n.Hosting || n.VPN {
		return
	}
	w := v.e.watching(v.account)
	here := mark{time: ev.Time, a: place64(n.Lat, n.Lon), b: v.e.hasher.String(schemas.NormalUser(ev.User)), kind: v.networkKind()}
	p := &v.dayP.Takeover
	for i := range int(w.places.n) {
		there := w.places.at(ar, i)
		if there.b != here.b || there.a == here.a || there.kind == here.kind {
			continue
		}
		km := distance(there.a, here.a)
		hours := math.Abs(float64(here.time-there.time)) / msHour
		if km < p.Distance || km < p.Speed*hours {
			continue
		}
		later := max(there.time, here.time)
		day := &v.account.days[mod2(sketch.DayOf(later))]
		v.hit(&takeoverSpec, day.given(), measureTravel, finding{value: windowValue("travel", sketch.DayOf(later).Start()), level: 1, score: 0.6, severity: schemas.SeverityMedium,
			evidence: schemas.Evidence{Observed: round(km / max(hours, 1.0/60)), Expected: 0, Threshold: p.Speed, Unit: "km/h", Window: "24h0m0s", Floor: p.Distance,
				Text: fmt.Sprintf("two logins of user %s, %s km apart within %.1f hours", shown(ev.User), count(math.Round(km)), hours)}})
	}
	if sketch.DayOf(ev.Time)+1 >= v.account.day {
		w.places.add(ar, here)
	}
}

// networkKind stands for the network of a login's address (of IPv4 the /24, of IPv6 the
// /48) in a mark: 1 to 255. One mark in 255 is taken for one of the same network. Those
// of the first release have none, 0, and are compared by place alone.
func (v *accountView) networkKind() byte {
	return byte(spread(v.e.sourceHash(v.event.IP, true))>>40%255) + 1
}

// place64 packs coordinates; hundredths of a degree are a kilometre.
func place64(lat, lon float64) uint64 {
	return uint64(uint32(int32(math.Round(lat*100))))<<32 | uint64(uint32(int32(math.Round(lon*100))))
}

// distance is in km, by the haversine formula on a sphere of 6,371 km.
func distance(a, b uint64) float64 {
	rad := func(v uint32) float64 { return float64(int32(v)) / 100 * math.Pi / 180 }
	lat1, lon1, lat2, lon2 := rad(uint32(a>>32)), rad(uint32(a)), rad(uint32(b>>32)), rad(uint32(b))
	s1, s2 := math.Sin((lat2-lat1)/2), math.Sin((lon2-lon1)/2)
	return 2 * 6371 * math.Asin(math.Min(1, math.Sqrt(s1*s1+math.Cos(lat1)*math.Cos(lat2)*s2*s2)))
}

// tellTry tells an address how often its logins failed at the account, each time
// that the number has grown by a quarter, and once that one succeeded.
func (v *accountView) tellTry(t try, ok bool) {
	ev := v.event
	level := step(t.fails)
	switch {
	case ok:
		level = 0
	case t.from == otherSources:
		level = 1 // of how many others' they are is not known
	case t.fails > 1 && step(t.fails-1) == level:
		return
	}
	ip := schemas.IPEntity(ev.IP)
	what := tryBySomebody
	if ev.Reason == reasonUnknownUser {
		what = tryByNobody
	}
	// Of very many sources the first hundreds tell enough.
	mark := spread(v.e.sourceHash(ev.IP, false)) ^ triedMark
	if !v.day.told.Has(&v.e.store.Arena, mark) && !v.day.told.Add(&v.e.store.Arena, mark, maxTold) {
		return
	}
	v.e.tell(v.emit, schemas.Fact{Name: factTried, Entity: ip, From: ev.Entity(), Time: ev.Time, Window: v.dayNo.Start() / 1000,
		Value: strings.Join([]string{what, count(float64(level)), brief(schemas.NormalUser(ev.User))}, "|"), Account: ev.Account, Address: ip.ID, Event: ev.ID,
		Origin: v.in.Origin, Arrival: v.in.Arrival, N: int64(level)})
}

// tryOfNobody counts a failed login at an account that nothing else was ever heard of.
func (e *Engine) tryOfNobody(in *schemas.Input, ev *schemas.Event, emit func(schemas.Output)) {
	e.stats.events.Add(1)
	e.tellNobody(in, ev, emit)
}

// tellNobody tells an address of such an attempt, by its source's id of it: names that a
// guesser makes up are counted nowhere else.
func (e *Engine) tellNobody(in *schemas.Input, ev *schemas.Event, emit func(schemas.Output)) {
	if !ev.IP.IsValid() {
		return
	}
	ip := schemas.IPEntity(ev.IP)
	e.tell(emit, schemas.Fact{Name: factTried, Entity: ip, From: ev.Entity(), Time: ev.Time, Window: sketch.DayOf(ev.Time).Start() / 1000,
		Value: strings.Join([]string{tryByNobody, schemas.DeriveID(ofEvent, in.Source, ev.ID), brief(schemas.NormalUser(ev.User))}, "|"), Account: ev.Account, Address: ip.ID, Event: ev.ID, Origin: in.Origin, Arrival: in.Arrival, N: 1})
}

// triedMark sets the sources told as trying apart from those told as used.
const triedMark = 0x27d4eb2f165667c5

// What a fact about a login says of it: that of a user, or of one whom the platform
// or the account's lane does not know.
const (
	tryBySomebody = "try"
	tryByNobody   = "nobody"
	ofEvent       = "evt" // begins what stands for one event of one source
)

// step rounds a count down to the steps at which it is told: each up to 8, then
// by quarters.
func step(n uint32) uint32 {
	if n <= 8 {
		return n
	}
	s := uint32(8)
	for s+s/4 <= n {
		s += s / 4
	}
	return s
}
