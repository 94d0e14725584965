package detectors

import (
	"fmt"
	"math"
	"strings"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// keyPast is what is kept of one of an account's credentials that send. It exists
// where an account sends with two or more: the past of the only one is the account's.
type keyPast struct {
	print      uint32 // of its name, with soleKey
	next       uint32 // handle of the account's next, 0 for none
	first      int32  // the hour of its first send; its past begins with it
	name       slab.Ref
	nameLen    uint8
	alarmed    uint8 // a bit for each of the open hours
	given      [3]uint8
	frozen     uint16 // hours skipped as alarmed
	last       sketch.Day
	recipients [3]uint32
	base       [2]baseline.Series     // as the hour before the clock's and the clock's may see it
	sources    [3]sketch.Fingerprints // that sent with it
	spread     [2]baseline.Series     // their number, seen as base is
}

const (
	// soleKey marks an account's field of keys that holds the print of its only
	// credential in place of a handle.
	soleKey = 1 << 31
	maxKeys = 16 // of an account, 144 bytes each and three for a recent source; beyond it further ones are not looked at
	// maxKeySources bounds the sources of a credential that are told apart in an hour.
	maxKeySources = 64
	// keyDays is after how many days without a send a credential makes room.
	keyDays = 30
)

// countKey notes a send in its credential's past, before the account counts it.
func (v *accountView) countKey() {
	a, s := v.account, &v.e.store
	print := uint32(v.e.hasher.String(v.event.Credential)) | soleKey
	switch {
	case a.keys == 0:
		a.keys = print
		return
	case a.keys == print:
		return
	case a.keys&soleKey != 0:
		a.keys = a.soleKey(s)
	}
	k := a.keyOf(s, print)
	if k == nil {
		return
	}
	if k.name == 0 && v.event.Credential != "" {
		k.name, k.nameLen = s.Put([]byte(v.event.Credential)), uint8(len(v.event.Credential))
	}
	k.last, k.first = max(k.last, v.dayNo), min(k.first, v.hourNo)
	n := &k.recipients[mod3(v.hourNo)]
	*n = plus(*n, uint32(min(v.event.Volume(), schemas.MaxCount)))
	if v.event.IP.IsValid() {
		k.sources[mod3(v.hourNo)].Add(&s.Arena, spread(v.e.sourceHash(v.event.IP, false)), maxKeySources)
	}
	v.sentWith = k
}

// soleKey begins the list of credentials with the one that sent all so far, whose past
// is the account's.
func (a *account) soleKey(s *store) uint32 {
	h := s.keys.New()
	k := s.keys.At(h)
	k.print, k.last, k.first = a.keys, a.day, a.since
	k.base = [2]baseline.Series{a.hourlyAt(s, a.hour-1).volume, a.hourly.volume}
	for i := range a.hours {
		k.recipients[i] = a.hours[i].recipients
	}
	return h
}

// keyOf finds or adds a credential; nil where there are too many.
func (a *account) keyOf(s *store, print uint32) *keyPast {
	n := 0
	at := &a.keys
	for *at != 0 {
		k := s.keys.At(*at)
		if k.print == print {
			return k
		}
		n++
		at = &k.next
	}
	if n >= maxKeys {
		return nil
	}
	h := s.keys.New()
	*at = h
	k := s.keys.At(h)
	k.print, k.first = print, math.MaxInt32
	return k
}

// eachKey shows the account's credentials, none where it has only one.
func (a *account) eachKey(s *store, do func(*keyPast)) {
	if a.keys&soleKey != 0 {
		return
	}
	for h := a.keys; h != 0; {
		k := s.keys.At(h)
		h = k.next
		do(k)
	}
}

// stepKeys makes room for the clock's hour and learns the one that has settled.
func (a *account) stepKeys(s *store, learn bool) {
	settled := a.hour - 2
	a.eachKey(s, func(k *keyPast) {
		k.base[0], k.spread[0] = k.base[1], k.spread[1]
		i := mod3(settled)
		switch {
		case !learn || settled < k.first:
			return
		case k.alarmed&(1<<i) == 0:
			k.frozen -= min(k.frozen, 1)
		case k.frozen < frozenHours:
			k.frozen++
			return
		}
		k.base[1].Add(float64(k.recipients[i]), hourMemory)
		k.spread[1].Add(float64(k.sources[i].Len()), hourMemory)
	})
}

// clearKeys empties the place of the hour that begins.
func (a *account) clearKeys(s *store) {
	i := mod3(a.hour)
	a.eachKey(s, func(k *keyPast) {
		k.recipients[i], k.given[i] = 0, 0
		k.sources[i].Clear(&s.Arena)
		k.alarmed &^= 1 << i
	})
}

// dropOldKeys forgets credentials that no longer send.
func (a *account) dropOldKeys(s *store) {
	if a.keys&soleKey != 0 {
		return
	}
	for at := &a.keys; *at != 0; {
		k := s.keys.At(*at)
		if k.last+keyDays >= a.day {
			at = &k.next
			continue
		}
		h := *at
		*at = k.next
		k.clear(s)
		s.keys.Free(h)
	}
}

// clear gives back what stands elsewhere.
func (k *keyPast) clear(s *store) {
	s.Free(k.name)
	for i := range k.sources {
		k.sources[i].Clear(&s.Arena)
	}
}

// dropKeys forgets all.
func (a *account) dropKeys(s *store) {
	if a.keys&soleKey == 0 {
		for a.keys != 0 {
			h := a.keys
			k := s.keys.At(h)
			a.keys = k.next
			k.clear(s)
			s.keys.Free(h)
		}
	}
	a.keys = 0
}

// volumeKeys compares what each credential sent within the hour with its own past.
// The account as a whole may look as always: what a small key sends is little beside
// what a large one does. All credentials are looked at with each send, since it may
// be another's that rules a move from one to the other out.
func volumeKeys(v *accountView) {
	if v.account.keys&soleKey != 0 {
		return
	}
	// One that came later does not make an hour before it one of several credentials.
	several := 0
	v.account.eachKey(&v.e.store, func(k *keyPast) {
		if k.first <= v.hourNo {
			several++
		}
	})
	if several < 2 {
		return
	}
	floor, i := v.p.Volume.Floor1h, mod3(v.hourNo)
	v.account.eachKey(&v.e.store, func(k *keyPast) {
		if n := float64(k.recipients[i]); n >= floor {
			v.judgeKey(k, n)
		}
	})
}

// pastOf is a credential's past, its base or its spread, as the view's hour may see it.
func (v *accountView) pastOf(s *[2]baseline.Series) *baseline.Series {
	if v.hourNo < v.account.hour {
		return &s[0]
	}
	return &s[1]
}

// keyFinding is a finding of a credential's hour, but for what was found.
func (v *accountView) keyFinding(k *keyPast, level int) finding {
	id := strings.Clone(v.event.Account)
	return finding{
		entity: schemas.Entity{Kind: schemas.KindAccount, ID: id}, account: id, credential: strings.Clone(blockString(&v.e.store.Store, k.name, k.nameLen)),
		value: windowValue(fmt.Sprintf("1h/%08x", k.print), hourStart(v.hourNo)), level: level,
		trigger: v.event.ID, time: v.event.Time, arrival: v.in.Arrival, origin: v.in.Origin,
	}
}

func (v *accountView) judgeKey(k *keyPast, n float64) {
	p, b, i := &v.p.Volume, v.pastOf(&k.base), mod3(v.hourNo)
	if k.given[i]&2 != 0 || b.N < matureHours || b.Active < matureActive || n <= float64(b.Max) || n < p.Above95*float64(b.P95) || v.moved(k, n) {
		return
	}
	mean := v.keyMean(b)
	tail := baseline.LogTail(n, max(mean, 0.01), b.Size())
	for level := 1; level <= 2; level++ {
		times := float64(level)
		if n < times*p.Floor1h || n <= times*float64(b.Max) || tail > times*math.Log(p.Rarity) {
			return
		}
		k.alarmed |= 1 << i
		if k.given[i]&uint8(level) != 0 {
			continue
		}
		k.given[i] |= uint8(level)
		v.keyAlarm(k, b, level, n, mean, tail)
	}
}

// keyMean is what to expect of a credential in the view's hour: its share of what is
// expected of the account.
func (v *accountView) keyMean(b *baseline.Series) float64 {
	all := float64(v.hourBase.volume.Mean)
	if all <= 0 {
		return float64(b.Mean)
	}
	return v.expected() * float64(b.Mean) / all
}

// moved reports whether what a credential sends may be another's mail: one that sends
// as much at times and is silent now.
func (v *accountView) moved(k *keyPast, n float64) (moved bool) {
	i := mod3(v.hourNo)
	v.account.eachKey(&v.e.store, func(o *keyPast) {
		b := v.pastOf(&o.base)
		if o != k && float64(b.Max) >= n && float64(o.recipients[i]) < max(1, v.keyMean(b)/2) {
			moved = true
		}
	})
	return moved
}

func (v *accountView) keyAlarm(k *keyPast, b *baseline.Series, level int, n, mean, tail float64) {
	p, times, f := &v.p.Volume, float64(level), v.keyFinding(k, level)
	f.score, f.severity = 0.2*times, quiet[level]
	f.evidence = schemas.Evidence{Observed: n, Expected: round(mean), Threshold: math.Ceil(max(times*p.Floor1h, times*float64(b.Max)+1, p.Above95*float64(b.P95))),
		Unit: "recipients", Window: "1h0m0s", Floor: p.Floor1h,
		Text: fmt.Sprintf("%s recipients within the hour with credential %s, where %s is usual for it and %s the recent maximum: a chance of %s by its own history",
			count(n), brief(f.credential), count(mean), mostOf(float64(b.Max)), chance(-tail/math.Ln10))}
	if v.event.Credential == f.credential { // or another's mail ruled a move out
		f.evidence.Samples = []string{v.event.ID}
	}
	v.e.raise(v.emit, &volumeSpec, f)
}

// alone reports whether the account has other credentials than the event's that send: their
// past says so, which does not depend on the order of this hour's events.
func (v *accountView) alone() bool {
	if v.back != 0 || v.sentWith == nil {
		return false
	}
	others := false
	v.account.eachKey(&v.e.store, func(k *keyPast) {
		others = others || k != v.sentWith && k.base[1].Active > 0 && k.alarmed == 0
	})
	return others
}
