package detectors

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// ActorParameters are the numbers by which unknown sources are judged.
type ActorParameters struct {
	Floor          float64
	Medium, High   float64
	PriorHour      float64
	PriorStrangers float64
	PriorSize      float64
	PriorWeight    float64
	BlindFloor     float64
	BlindRarity    float64
	Vouched        float64
	BounceUsual    float64
	BounceWeight   float64
	SlowFloor      float64
}

var actorParameters = []Parameter{
	{Name: "floor", Unit: "recipients", Default: 6, Min: 1, Max: 1e7, Source: "below it unknown sources have done little harm, and little can be said of them", at: func(p *Parameters) *float64 { return &p.Actor.Floor }},
	{Name: "medium", Unit: "powers of ten", Default: 4, Min: 0.5, Max: 100, Source: "1 in 10,000 by the account's own past", at: func(p *Parameters) *float64 { return &p.Actor.Medium }},
	{Name: "high", Unit: "powers of ten", Default: 5, Min: 1, Max: 100, Source: "1 in 100,000: on the labelled sets attacks start here, and honest changes end below", at: func(p *Parameters) *float64 { return &p.Actor.High }},
	{Name: "prior_hour", Unit: "recipients an hour", Default: 0.25, Min: 0.001, Max: 1e6, Source: "what an account is taken to send before anything is known of it", at: func(p *Parameters) *float64 { return &p.Actor.PriorHour }},
	{Name: "prior_strangers", Unit: "strangers an hour", Default: 0.15, Min: 0.001, Max: 1e6, Source: "half of prior_hour", at: func(p *Parameters) *float64 { return &p.Actor.PriorStrangers }},
	{Name: "prior_size", Unit: "size", Default: 0.3, Min: 0.01, Max: 1000, Source: "negative binomial: most hours nothing, then many", at: func(p *Parameters) *float64 { return &p.Actor.PriorSize }},
	{Name: "prior_weight", Unit: "hours", Default: 24, Min: 1, Max: 10000, Source: "as if one such day had been seen", at: func(p *Parameters) *float64 { return &p.Actor.PriorWeight }},
	{Name: "blind_floor", Unit: "recipients", Default: 30, Min: 1, Max: 1e7, Source: "a department: where no address is known, a message to one is no news", at: func(p *Parameters) *float64 { return &p.Actor.BlindFloor }},
	{Name: "vouched_days", Unit: "days", Default: 7, Min: 0, Max: 90, Source: "how long a credential made from a known address answers for the sources that use it; by then they are known", at: func(p *Parameters) *float64 { return &p.Actor.Vouched }},
	{Name: "bounce_usual", Unit: "share", Default: 0.02, Min: 0.0001, Max: 0.5, Source: "mailbox providers' guidance: keep hard bounces under 2 %", at: func(p *Parameters) *float64 { return &p.Actor.BounceUsual }},
	{Name: "bounce_weight", Unit: "recipients", Default: 100, Min: 1, Max: 1e6, Source: "as if so many had been sent at that share", at: func(p *Parameters) *float64 { return &p.Actor.BounceWeight }},
	{Name: "slow_floor", Unit: "recipients", Default: 15, Min: 1, Max: 1e6, Source: "in a day and a half, weighted by age", at: func(p *Parameters) *float64 { return &p.Actor.SlowFloor }},
}

// source is what is known of where an event came from.
type source byte

const (
	sourceKnown   source = iota // or still being learnt
	sourceUnknown               // not used in the 90 days that ended two days ago
	sourceBlind                 // without an address
)

// countActor counts a send of unknown or missing source as the actor's.
func (v *accountView) countActor(from source) {
	w := v.e.watching(v.account)
	h := &w.hours[mod3(v.hourNo)]
	n := uint32(min(v.event.Volume(), schemas.MaxCount))
	if n > 0 {
		v.account.keepBase(&v.e.store, v.hourNo, h)
	}
	h.recipients = plus(h.recipients, n)
	if second := uint16((v.event.Time-hourStart(v.hourNo))/1000) + 1; h.first == 0 || second < h.first {
		h.first = second
	}
	h.grade |= v.grade
	open := &w.open[uint32(bucketOf(v.event.Time))%uint32(openBuckets)]
	open.recipients = plus(open.recipients, n)
	if from == sourceUnknown {
		number := addressNumber(v.event.IP)
		w.actors.add(&v.e.store.Arena, v.dayNo, number, maxTold)
		w.heavy.Add(&v.e.store.Arena, number, n, heavySources)
	}
	h.unnamed = plus(h.unnamed, n-min(n, uint32(len(v.event.Recipients))))
	if from == sourceBlind {
		h.blind = plus(h.blind, n)
		return
	}
	if v.event.MessageID == "" {
		return
	}
	id := v.e.hasher.String(v.event.MessageID)
	if w.messages[mod2(v.dayNo)].Add(&v.e.store.Arena, id, maxMessages) {
		v.bouncedAlready(id)
	}
}

// bouncedAlready counts the bounces of a message that came before its send.
func (v *accountView) bouncedAlready(id uint64) {
	a := v.account
	for b := bucketOf(hourStart(a.hour - 1)); b <= bucketOf(a.clock); b++ {
		if a.bounced[uint32(b/12)%2].Has(&v.e.store.Arena, bounceMark(id, b)) {
			v.actorBounced(b)
		}
	}
}

// bounceMark is a bounce of a message within a bucket.
func bounceMark(id uint64, bucket int32) uint64 { return id ^ uint64(bucket)*0x9e3779b97f4a7c15 }

// actorBounced counts a bounce of the actor's mail in a bucket.
func (v *accountView) actorBounced(bucket int32) {
	w := v.e.store.watches.At(v.account.watch)
	h := &w.hours[mod3(bucket/12)]
	h.bounced = plus(h.bounced, 1)
	open := &w.open[uint32(bucket)%uint32(openBuckets)]
	if bucket <= w.bucket-int32(openBuckets) {
		open = &h.closed
	}
	open.bounced = plus(open.bounced, 1)
}

// judgeBounces looks at the actor's bounces among what it sent in an hour and the
// one before, as far as that has settled, whenever a bucket has. The greatest
// surprise stays: like all that an hour is judged by it only grows.
func (v *accountView) judgeBounces(w *watch, bucket int32) {
	h := bucket / 12
	v.back = h
	now, last := &w.hours[mod3(h)], &w.hours[mod3(h-1)]
	n := float64(now.closed.recipients) + float64(last.closed.recipients)
	b := float64(now.closed.bounced) + float64(last.closed.bounced)
	if b < 2 || n < b {
		return
	}
	p := &v.e.versions.at(hourStart(h)).Actor
	if s := float32(v.bounceSurprise(p, &v.account.hourly, b, n)); s > now.reputation {
		now.reputation = s
		v.judgeActorHour(w, h)
	}
}

// bounceSurprise is how surprising b bounces of n recipients are by the account's
// own rate of them.
func (v *accountView) bounceSurprise(p *ActorParameters, base *hourBase, b, n float64) float64 {
	rate := (float64(base.bounces) + p.BounceUsual*p.BounceWeight) / (float64(base.sent) + p.BounceWeight)
	return shareSurprise(b, n, rate, min(float64(base.sent)+p.BounceWeight, 2000))
}

// belief is what an account's past says about a count: its mean and size, shrunk
// to what is believed before anything is known.
type belief struct{ mean, size float64 }

// shrink joins n hours of a series with a prior of some weight: mean and variance
// are averaged by weight, the prior's variance being that of its own size.
//
//	m = (n·mean + w·m₀)/(n + w),   v = (n·var + w·(m₀ + m₀²/r₀))/(n + w)
func shrink(s *baseline.Series, mean, n, prior, size, weight float64) belief {
	n = min(n, hourMemory)
	m := (n*mean + weight*prior) / (n + weight)
	variance := (n*float64(s.Var) + weight*(prior+prior*prior/size)) / (n + weight)
	return belief{m, baseline.Size(m, variance)}
}

// times is the belief about k such counts together, whose spread stays what it is
// for one: hours next to each other are alike.
func (b belief) times(k float64) belief { return belief{b.mean * k, b.size} }

// beliefs are what an hour may bring in recipients and in strangers. While the
// account's strangers are not known yet, three quarters of what it sends are taken
// to be such. An account whose unknown sources are used to sending is judged by
// what these are used to, where that is more.
func (v *accountView) beliefs(p *ActorParameters, base *actorBase, expected, known float64) (volume, strangers belief) {
	volume = shrink(&base.volume, expected, known, p.PriorHour, p.PriorSize, p.PriorWeight)
	prior := max(p.PriorStrangers, 0.75*volume.mean)
	strangers = shrink(&base.fresh, float64(base.fresh.Mean), float64(base.fresh.N), prior, p.PriorSize, p.PriorWeight)
	return volume, strangers
}

// surprise is −log₁₀ of the probability of at least n.
func (b belief) surprise(n float64) float64 {
	if n <= b.mean {
		return 0
	}
	return -baseline.LogTail(n, b.mean, b.size) / math.Ln10
}

// judgeActor looks at what the actor did in the hour h and the one before, and
// again at the clock's hour where the event is a late one of the hour before it.
func (v *accountView) judgeActor() {
	if v.account.watch == 0 {
		return
	}
	w := v.e.store.watches.At(v.account.watch)
	v.judgeActorHour(w, v.hourNo)
	if v.hourNo < v.account.hour {
		v.judgeActorHour(w, v.account.hour)
	}
}

// judgeLast judges an hour when it has settled, with all that is known of it by then:
// what was said of it before may have depended on what came first.
func (v *accountView) judgeLast(h int32) {
	w := v.e.store.watches.At(v.account.watch)
	for _, x := range [...]int32{h, h - 1} {
		w.hours[mod3(x)].looked = looked{}
		w.hours[mod3(x)].since = w.hours[mod3(x)].asked
	}
	v.judgeActorHour(w, h)
}

// verdictOn is how surprising the actor is, and in what.
type verdictOn struct {
	recipients, strangers, sources, bounced float64 // counts
	volume, list, network, reputation       float64 // surprise, in powers of ten
	usual                                   float64
}

// joint adds the surprises up. That a source is new adds three powers of ten at
// most: from a rotating pool every one is, so what is sent has to be unusual too.
func (x verdictOn) joint() float64 {
	what := max(x.volume, x.list)
	if what < 2 && x.reputation < 3 {
		return 0
	}
	return what + min(x.network, manySources) + x.reputation
}

func (v *accountView) judgeActorHour(w *watch, h int32) {
	now, last := &w.hours[mod3(h)], &w.hours[mod3(h-1)]
	p := &v.e.versions.at(hourStart(h)).Actor
	blind, n := now.blind > 0 || last.blind > 0, grid(now.recipients-now.blind)+grid(last.recipients-last.blind)
	all := grid(now.recipients) + grid(last.recipients)
	if all < min(p.Floor, p.BlindFloor) || now.recipients == 0 {
		return
	}
	s := v.actorStrangers(now) + v.actorStrangers(last)
	k, graded := v.sourcesBefore(h), now.grade|last.grade
	seen := looked{all, n, s, k, now.reputation, graded}
	if now.looked == seen {
		return
	}
	now.looked = seen
	_, network := v.surprising(dayOfHour(h), k)
	network = max(network, nearSurprise)
	// A new country is about as rare as a new source is for those who never travel;
	// a hosted one says less.
	if graded&gradeCountry != 0 {
		network += 0.7
	}
	if graded&gradeHosting != 0 {
		network += 0.3
	}
	a := v.account
	base := v.e.store.bases.At(now.base)
	expected := float64(base.expected)
	volume, strangers := v.beliefs(p, base, expected/2, float64(h-a.since))
	volume, strangers = volume.times(2), strangers.times(2)
	unnamed := grid(now.unnamed) + grid(last.unnamed)
	if n >= p.Floor {
		x := verdictOn{recipients: n, strangers: min(s, n), usual: expected}
		// People who have been written to before are rarely an intruder's aim, unless
		// the whole list is.
		reached := min(s+unnamed, n)
		if n >= 100 && n > 2*float64(base.volume.Max) {
			reached = n
		}
		if reached >= p.Floor {
			x.volume, x.list = volume.surprise(reached), strangers.surprise(x.strangers)
			x.bounced, x.reputation = float64(now.bounced)+float64(last.bounced), float64(now.reputation)
			x.sources, x.network = k, network
			if v.restless(h, x.network) || v.unfamiliar(h) {
				active := float64(base.volume.Active)
				fall := v.fall(h, active)
				x.volume = min(x.volume, succession(reached, active, float64(base.volume.Max), fall))
				x.list = min(x.list, succession(x.strangers, active+float64(base.named)/namedShow, float64(base.most), fall))
			}
			v.raiseActor(h, p, x, &overHours)
		}
	}
	// Of sends that name no address nothing is known but whom they went to, and a
	// list as long as one of late is no news.
	if blind && !v.learningOn(dayOfHour(h)) && all >= p.BlindFloor && s >= p.BlindFloor && s > float64(base.most) {
		v.raiseActor(h, p, verdictOn{recipients: all, strangers: s, usual: expected, list: strangers.surprise(s)}, &overHours)
	}
}

// looked is what an actor was last judged by. More of it is looked at again, the
// same is not.
type looked struct {
	recipients, placed, strangers, sources float64
	reputation                             float32
	grade                                  byte
}

// grid rounds a count down to five binary digits, exact up to 31: what is judged
// moves in steps of a sixteenth at most, and so it need not be judged each time. A
// function of the count alone, it leaves no trace of the order of arrival.
func grid(n uint32) float64 {
	if drop := bits.Len32(n) - 5; drop > 0 {
		n = n >> drop << drop
	}
	return float64(n)
}

// actorStrangers is the strangers that the actor wrote to in an hour, as a number on
// the grid. The sketch is asked only when it may have come to the grid's next step,
// so that when it was asked leaves no trace.
func (v *accountView) actorStrangers(h *actorHour) float64 {
	if h.strangers.IsExact() {
		return grid(uint32(h.strangers.Count(&v.e.store.Store)))
	}
	if grid(h.asked+h.since+h.since/4+1) > grid(h.asked) {
		h.asked, h.since = uint32(h.strangers.Count(&v.e.store.Store)), 0
	}
	return grid(h.asked)
}

// expectedBy is the recipients to expect in an hour and the one before by a past.
func (a *account) expectedBy(s *store, h int32, base *hourBase) float32 {
	if h < a.hour && a.past != 0 {
		p := s.pasts.At(a.past)
		return p.expected[0] + p.expected[1]
	}
	return a.expectedIn(h, base) + a.expectedIn(h-1, base)
}

// newSources is how many unknown sources were used on a day and the one before,
// and how surprising that is by the account's own rate of them: a gamma posterior
// over a prior of 0.3 sources in a day, whose predictive is negative binomial
// with shape a and mean a/b; the shape is held to 3, since days differ by more than
// chance (Gelman et al., Bayesian Data Analysis, 3rd edition,
// section 2.6).
func (v *accountView) newSources(d sketch.Day) (k, surprise float64) {
	return v.surprising(d, v.sourcesOn(d))
}

// sourcesUntil is the same as far as they were used before an hour was over.
func (v *accountView) sourcesUntil(h int32) (k, surprise float64) {
	return v.surprising(dayOfHour(h), v.sourcesBefore(h))
}

func (v *accountView) sourcesBefore(h int32) float64 {
	a, d := v.account, dayOfHour(h)
	k := v.sourcesOn(d)
	if h < a.hour && d == a.day {
		k -= float64(v.e.store.watches.At(a.watch).newcomers.Len())
	}
	return k
}

func (v *accountView) sourcesOn(d sketch.Day) float64 {
	today, before := &v.account.days[mod2(d)], v.account.days[mod2(d-1)].newSources
	if d < v.account.day {
		before = today.before
	}
	return float64(today.newSources) + float64(before)
}

func (v *accountView) surprising(d sketch.Day, k float64) (sources, surprise float64) {
	if k <= 0 {
		return 0, 0
	}
	mean, shape := v.account.dailyAt(&v.e.store, d).sourceRate()
	return k, belief{2 * mean, min(shape, 3)}.surprise(k)
}

// sourceRate is the unknown sources to expect in a day, and the posterior's shape.
func (b *dayBase) sourceRate() (mean, shape float64) {
	days := min(float64(b.watched), dayMemory)
	shape = 0.3 + float64(b.sources)*days
	return shape / (1 + days), shape
}

// stretch is the time over which an actor is judged, and the measures that its
// findings are marked as.
type stretch struct {
	name, window                 string
	actor, volume, list, bounces int
}

var (
	overHours = stretch{"2h", "2h0m0s", measureActor, measureActorVolume, measureActorStrange, measureActorBounce}
	overDays  = stretch{"36h", "36h0m0s", measureSlow, measureSlowVolume, measureSlowStrange, measureSlowBounce}
)

// raiseActor gives what the detectors have to say about an actor: new source as
// the network's part, volume and strangers as the volume's, bad outcomes as the
// reputation's. Each part only grows, so that it does not matter which came first.
func (v *accountView) raiseActor(h int32, p *ActorParameters, x verdictOn, s *stretch) {
	joint := x.joint()
	if x.recipients < p.Floor || joint < p.Medium {
		return
	}
	day := &v.account.days[mod2(dayOfHour(h))]
	raised := day.given()
	value := windowValue(s.name, dayOfHour(h).Start())
	v.alarmAway(dayOfHour(h))
	v.account.hours[mod3(h)].alarmed, v.account.hours[mod3(h)].away = true, true
	if x.network > 0 {
		v.actor(raised, s.actor, 2, schemas.SeverityMedium, p.Floor, value, s.window, x)
		if joint >= p.High {
			v.account.hours[mod3(h)].told = true
			v.actor(raised, s.actor, 3, schemas.SeverityHigh, p.Floor, value, s.window, x)
		}
	}
	const from = "written to from sources that the account does not know"
	v.part(&volumeSpec, raised, s.volume, value, s.window, x.recipients, x.usual, x.volume, p.Floor, "recipients", "recipients "+from)
	v.part(&strangersSpec, raised, s.list, value, s.window, x.strangers, 0, x.list, p.Floor, "strangers", "strangers "+from)
	v.part(&badOutcomesSpec, raised, s.bounces, value, s.window, x.bounced, 0, x.reputation, 3, "bounces", "hard bounces of mail that went out from sources that the account does not know")
}

func (v *accountView) actor(raised bitSet, measure, level int, severity schemas.Severity, floor float64, value, window string, x verdictOn) {
	if raised.has(measure, level) {
		return
	}
	v.hit(&newSourceSpec, raised, measure, finding{value: value, level: level, score: share(x.joint()), severity: severity,
		evidence: schemas.Evidence{Observed: x.recipients, Expected: round(x.usual), Threshold: floor, Unit: "recipients", Window: window, Floor: floor,
			Text: fmt.Sprintf("%s, judged as one%s, sent to %s, %s of them never written to before: a chance of 1 in 10^%.0f by its own past (%s)",
				newcomers(x.sources), v.heaviest(x.sources), things(x.recipients, "recipient"), count(x.strangers), math.Floor(x.joint()), x.parts())}})
}

// newcomers says how many new sources there are; those of regions that the account
// uses anyway are not counted.
func newcomers(n float64) string {
	if n == 0 {
		return "sources new to the account, in regions of the network that it uses"
	}
	return things(n, "source") + " new to the account"
}

// alarmAway freezes the day and tells the sources that alarmed it.
func (v *accountView) alarmAway(d sketch.Day) {
	day := &v.account.days[mod2(d)]
	first := !day.away
	if day.alarmed, day.away = true, true; first {
		v.tellAllRaised(d)
	}
}

// part raises one family's share of a joint finding.
func (v *accountView) part(spec *Spec, raised bitSet, measure int, value, window string, observed, usual, surprise, floor float64, unit, what string) {
	for level, severity := range [...]schemas.Severity{1: schemas.SeverityMedium, 2: schemas.SeverityHigh} {
		if level == 0 || surprise < 2*float64(level) || raised.has(measure, level) {
			continue
		}
		v.hit(spec, raised, measure, finding{value: value + ".unknown", level: level, score: share(surprise), severity: severity,
			evidence: schemas.Evidence{Observed: observed, Expected: round(usual), Threshold: floor, Unit: unit, Window: window, Floor: floor,
				Text: fmt.Sprintf("%s %s: a chance of 1 in 10^%.0f by its own past", count(observed), what, math.Floor(surprise))}})
	}
}

// heavySources is how many of a day's unknown sources are counted one by one.
const heavySources = 8

// heaviest names the source that sent most of the day's, where there are several.
func (v *accountView) heaviest(sources float64) string {
	top := &v.e.store.watches.At(v.account.watch).heavy
	if sources < 2 || !top.Sure(&v.e.store.Arena) {
		return ""
	}
	return " (" + schemas.IPKey(numberedAddress(top.At(&v.e.store.Arena, 0).Value)) + " most)"
}

// parts says what the joint chance is made of, as powers of ten.
func (x *verdictOn) parts() string {
	var out []string
	for _, p := range [...]struct {
		name     string
		surprise float64
	}{{"volume", x.volume}, {"strangers", x.list}, {"sources", min(x.network, manySources)}, {"bounces", x.reputation}} {
		if p.surprise >= 0.5 {
			out = append(out, fmt.Sprintf("%s 10^%.1f", p.name, p.surprise))
		}
	}
	return strings.Join(out, ", ")
}

// share turns a surprise in powers of ten into a score: 1 in 10^4 is 0.63, 1 in
// 10^12 is 0.95.
func share(surprise float64) float64 { return 1 - math.Exp(-surprise/4) }

// judgeSettled looks back over the last days when an hour has settled in which the
// actor sent: little by little it may have done what no single hour shows. It is
// asked before the hour is learnt from.
func (v *accountView) judgeSettled(h int32) {
	a := v.account
	w := v.e.store.watches.At(a.watch)
	p := &v.e.versions.at(hourStart(h)).Actor
	hour := &w.hours[mod3(h)]
	if hour.recipients == 0 && hour.bounced == 0 || a.hours[mod3(h)].told {
		return // nothing new, or nothing that has not been told
	}
	sums := w.sums[1] // up to the hour before
	sums.add(hour, v.actorStrangers(hour))
	n := float64(sums.sent)
	if n < p.SlowFloor {
		return
	}
	base, day := &a.hourly, a.dailyAt(&v.e.store, dayOfHour(h))
	known := float64(h - a.since)
	days := known / 24
	total := shrink(&base.volume, float64(base.volume.Mean), known, p.PriorHour, p.PriorSize, p.PriorWeight).times(dayHours)
	total.size = shrink(&day.volume, float64(day.volume.Mean), days, 24*p.PriorHour, 1, p.PriorWeight/24).size
	listHours := shrink(&day.hours, float64(day.hours.Mean), float64(day.hours.N), 2, 2, p.PriorWeight/24).times(dayHours / 24)
	x := verdictOn{recipients: n, strangers: float64(sums.strangers), usual: total.mean, bounced: float64(sums.bounced)}
	q := (float64(base.strange) + 7.5) / (float64(base.named) + 10)
	if x.strangers+float64(sums.unnamed) < p.SlowFloor {
		return
	}
	x.volume = max(0, total.surprise(x.strangers+float64(sums.unnamed))-0.5)
	x.list = max(0, max(listHours.surprise(float64(sums.hours)), shareSurprise(x.strangers, n, q, min(float64(base.named)+10, 200)))-0.5)
	if blind := float64(sums.blind); blind > 0 {
		if s := float64(sums.strangers); s >= p.SlowFloor {
			v.raiseActor(h, p, verdictOn{recipients: n, strangers: s, usual: total.mean, list: listHours.surprise(float64(sums.hours))}, &overDays)
		}
		return
	}
	if sums.bounced >= 2 {
		x.reputation = v.bounceSurprise(p, base, float64(sums.bounced), n)
	}
	x.sources, x.network = v.sourcesUntil(h)
	x.network = max(x.network, nearSurprise)
	if v.restless(h, x.network) || v.unfamiliar(h) {
		active := float64(day.volume.Active)
		fall := v.fall(h, active)
		x.volume = min(x.volume, succession(x.strangers+float64(sums.unnamed), active, float64(day.volume.Max), fall))
		x.list = min(x.list, succession(x.strangers, active+float64(base.named)/namedShow, float64(day.strangers.Max), fall))
	}
	v.raiseActor(h, p, x, &overDays)
}

// nearSurprise is the surprise at new sources of regions that the account uses
// anyway: providers give out addresses of a few.
const nearSurprise = 0.5

// stableSources is the surprise, in powers of ten, from which a new source means
// something: the account hardly ever has one. Of the others it takes more to call
// what a new source sends unusual, and of those that have one every other day unless
// there are very many at once.
const (
	stableSources = 1.0
	restlessRate  = 0.5 // new sources a day
	manySources   = 3.0
)

// restless reports whether new sources mean little for the account.
func (v *accountView) restless(h int32, network float64) bool {
	return network < stableSources || network < manySources && v.account.dailyAt(&v.e.store, dayOfHour(h)).sources > restlessRate
}

// unfamiliar reports whether an account has sent on so few days that its habits
// cannot be known: who sends once a week has not yet shown a month. One that was
// silent for long is known by that, unless its people have come back to it.
func (v *accountView) unfamiliar(h int32) bool {
	d := dayOfHour(h)
	if v.account.dailyAt(&v.e.store, d).volume.Active >= 4 {
		return false
	}
	quiet, dormant := v.quietOn(d)
	return !dormant || quiet < 1 || v.attended(h)
}

// attended reports whether somebody signed in to the account in the hours before the
// actor's first send of an hour, leaving out what may still change when that comes.
func (v *accountView) attended(h int32) bool {
	first := v.e.store.watches.At(v.account.watch).hours[mod3(h)].first
	l, ar, until := &v.account.entered, &v.e.store.Arena, hourStart(h)+int64(first)*1000-lateness
	for i := range int(l.n) {
		m := l.at(ar, i)
		if m.kind&enteredGuessed == 0 && m.time < until && m.time >= until-attendedHours*msHour {
			return true
		}
	}
	return false
}

// attendedHours is how long after somebody has signed in what is sent may be theirs.
const attendedHours = 6

// fall is the power with which counts beyond the largest of an account's are taken
// to become rarer: 2 where little is known of it, 3 from four active hours or days
// on, and where a long silence is what is known.
func (v *accountView) fall(h int32, active float64) float64 {
	if _, dormant := v.quietOn(dayOfHour(h)); dormant && !v.attended(h) {
		return 3
	}
	return min(3, 2+active/4)
}

// namedShow is how many recipients show as much of whom an account writes to as
// one more active hour does.
const namedShow = 50

// succession is how surprising n is after a number of active hours or days, the
// most of which had so many: by Laplace's rule of succession a new record has a
// chance of 1 in active+2, and how far it goes beyond the old one is taken to fall
// off with its cube. No distribution is fitted, so that a few batches cannot look
// like a law.
func succession(n, active, most, fall float64) float64 {
	most = max(most, 3)
	if n <= most {
		return 0
	}
	return math.Log10(active+2) + fall*math.Log10(n/most)
}

// shareSurprise is −log₁₀ of the probability of at least k of n where the share q
// is known as from weight trials: beta-binomial, by the negative binomial of its
// mean and variance
//
//	mean = n·q,   var = n·q·(1−q)·(1 + (n−1)/(weight+1))
func shareSurprise(k, n, q, weight float64) float64 {
	q = min(q, 0.999)
	mean := n * q
	if k <= mean {
		return 0
	}
	variance := mean * (1 - q) * (1 + max(n-1, 0)/(weight+1))
	if variance <= mean {
		// Less spread than Poisson: the normal tail of a binomial, by Hoeffding's
		// and Chernoff's bound exp(−n·KL(k/n, q)).
		f := min(k/n, 1-1e-9)
		return n * (f*math.Log(f/q) + (1-f)*math.Log((1-f)/(1-q))) / math.Ln10
	}
	return belief{mean, baseline.Size(mean, variance)}.surprise(k)
}
