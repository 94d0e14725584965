package detectors

import "holdfast/schemas"

// ActorParameters are the numbers by which unknown sources are judged.
type ActorParameters struct {
	Floor          float64
	Medium, High   float64
	PriorHour      float64
	PriorStrangers float64
	PriorSize      float64
	PriorWeight    float64
	BlindFloor     float64
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
	if a.bounced[0].Len()+a.bounced[1].Len() == 0 {
		return
	}
	for b := bucketOf(hourStart(a.hour - 1)); b <= bucketOf(a.clock); b++ {
		n := v.bouncesOf(&a.bounced[uint32(b/12)%2], id, b)
		for range n {
			v.actorBounced(b)
		}
		if n > 0 && b/12 < v.hourNo { // dated before its send, in an hour that is not looked at otherwise
			v.judgeActorHour(v.e.store.watches.At(a.watch), b/12)
		}
	}
}

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
