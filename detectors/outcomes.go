package detectors

import (
	"fmt"
	"math"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// OutcomesParameters are bad outcomes' numbers.
type OutcomesParameters struct {
	FloorBounce, FloorComplaint, FloorFast float64
	Bounce, BounceBad, BounceFast          float64
	Complaint, ComplaintBad                float64
}

var badOutcomesSpec = Spec{
	Name: "bad_outcomes", Version: 1, Family: schemas.FamilyReputation, Entity: schemas.KindAccount, Technique: "T1566",
	Parameters: []Parameter{
		{Name: "floor_bounce", Unit: "recipients", Default: 200, Min: 1, Max: 1e9, Source: "in a day and a half, weighted by age: fewer say little about a rate", at: func(p *Parameters) *float64 { return &p.Outcomes.FloorBounce }},
		{Name: "floor_complaint", Unit: "recipients", Default: 1000, Min: 1, Max: 1e9, Source: "complaints are counted per thousand", at: func(p *Parameters) *float64 { return &p.Outcomes.FloorComplaint }},
		{Name: "floor_fast", Unit: "recipients", Default: 50, Min: 1, Max: 1e9, Source: "the faster path, for rates that no honest list has", at: func(p *Parameters) *float64 { return &p.Outcomes.FloorFast }},
		{Name: "bounce_usual", Unit: "share", Default: 0.02, Min: 0.0001, Max: 0.9, Source: "mailbox providers' guidance: keep hard bounces under 2 %", at: func(p *Parameters) *float64 { return &p.Outcomes.Bounce }},
		{Name: "bounce_bad", Unit: "share", Default: 0.10, Min: 0.001, Max: 0.95, Source: "what large senders are paused at", at: func(p *Parameters) *float64 { return &p.Outcomes.BounceBad }},
		{Name: "bounce_fast", Unit: "share", Default: 0.25, Min: 0.001, Max: 1, Source: "guessed or harvested addresses", at: func(p *Parameters) *float64 { return &p.Outcomes.BounceFast }},
		{Name: "complaint_usual", Unit: "share", Default: 0.001, Min: 0.00001, Max: 0.5, Source: "mailbox providers' guidance: keep complaints under 0.1 %", at: func(p *Parameters) *float64 { return &p.Outcomes.Complaint }},
		{Name: "complaint_bad", Unit: "share", Default: 0.005, Min: 0.0001, Max: 0.9, Source: "their limit is 0.3 %; half as much again and more is beyond doubt", at: func(p *Parameters) *float64 { return &p.Outcomes.ComplaintBad }},
	},
}

// countOutcome counts what became of a send. A message that was blocked before it
// left, a soft bounce or an unsubscription says nothing against the sender.
func (v *accountView) countOutcome() {
	w := v.hour
	switch v.event.Outcome {
	case "complaint":
		if !v.reportedAgain() {
			w.complaints = more(w.complaints)
		}
	case "hard_bounce":
		if !v.reportedAgain() {
			w.bounces = more(w.bounces)
			v.bounced()
		}
	}
}

// reportedAgain reports whether the same outcome of the same message and recipient was
// told before, on the day or the one before it: providers repeat what nobody has
// acknowledged. Where the recipient is not named nothing can be told apart.
func (v *accountView) reportedAgain() bool {
	ev, ar := v.event, &v.e.store.Arena
	if ev.MessageID == "" || ev.Recipient == "" {
		return false
	}
	mark := v.e.hasher.String(ev.MessageID) ^ spread(v.e.hasher.String(schemas.NormalMail(ev.Recipient))) ^ v.e.hasher.String(ev.Outcome)
	x := v.account.beside(&v.e.store)
	if x.reported[mod2(v.dayNo-1)].Has(ar, mark) || x.reported[mod2(v.dayNo)].Has(ar, mark) {
		return true
	}
	x.reported[mod2(v.dayNo)].Add(ar, mark, maxReported)
	return false
}

// maxReported bounds the outcomes of one day that are known again: 12 KB.
const maxReported = 4096

// more counts one more, up to what fits.
func more(n uint16) uint16 { return n + min(1, math.MaxUint16-n) }

// bounced looks whether the message that bounced was the unknown actor's. Where
// its send is still to come, that will find the bounce.
func (v *accountView) bounced() {
	if v.event.MessageID == "" {
		return
	}
	id, ar, bucket := v.e.hasher.String(v.event.MessageID), &v.e.store.Arena, bucketOf(v.event.Time)
	set := &v.account.bounced[uint32(v.hourNo)%2]
	set.Add(ar, bounceMark(id, bucket, v.bouncesOf(set, id, bucket)), maxBounced)
	if v.account.watch == 0 {
		return
	}
	w := v.e.store.watches.At(v.account.watch)
	if w.messages[0].Has(ar, id) || w.messages[1].Has(ar, id) {
		v.actorBounced(bucket)
	}
}

// bouncesOf is how many bounces of a message within a bucket a set knows of.
func (v *accountView) bouncesOf(set *sketch.Fingerprints, id uint64, bucket int32) (n int) {
	for n < maxBounced && set.Has(&v.e.store.Arena, bounceMark(id, bucket, n)) {
		n++
	}
	return n
}

// bounceMark is a message's bounce of a number within a bucket.
func bounceMark(id uint64, bucket int32, n int) uint64 {
	return id ^ (uint64(bucket)+uint64(n)<<32)*0x9e3779b97f4a7c15
}

// maxBounced bounds the bounces of one hour that a later send may find.
const maxBounced = 256

// judgeOutcomes holds the bounces and complaints of about a day against what the
// account usually has by the likelihood ratio of two shares (A. Wald, Sequential
// Analysis, 1947), the worse of which no honest sender reaches:
//
//	ln Λ = k·ln(q₁/q₀) + (n−k)·ln((1−q₁)/(1−q₀))
func judgeOutcomes(v *accountView, h int32) {
	a := v.account
	p := &v.e.versions.at(hourStart(h)).Outcomes
	base := &a.hourly
	o := base.slow
	o.add(&a.hours[mod3(h)])
	n := float64(o.sent)
	if d := dayOfHour(h); a.away != 0 && d <= a.away+5 {
		return // what an intruder's mail came to is not the account's own
	}
	if n < min(p.FloorFast, p.FloorBounce) || o.bounces+o.complaints < 3 {
		return
	}
	own := func(k float32, usual float64) float64 {
		return max(usual, (float64(k)+usual*500)/(float64(base.sent)+500))
	}
	if b := float64(o.bounces); b > 0 {
		q := own(base.bounces, p.Bounce)
		bad := max(p.BounceBad, 3*q)
		score := ratio(b, n, q, min(bad, 0.95))
		fast := n >= p.FloorFast && b >= n*p.BounceFast && b >= n*3*q
		if n >= p.FloorBounce && score >= math.Log(1e3) || fast {
			v.outcome(h, b, n, q, "hard bounces", 1, p.FloorBounce)
			if b >= n*bad && n >= p.FloorBounce || fast {
				v.outcome(h, b, n, q, "hard bounces", 2, p.FloorBounce)
			}
		}
	}
	if c := float64(o.complaints); c >= 3 && n >= p.FloorComplaint {
		q := own(base.complaints, p.Complaint)
		if ratio(c, n, q, min(max(p.ComplaintBad, 3*q), 0.95)) >= math.Log(1e3) {
			v.outcome(h, c, n, q, "complaints", 2, p.FloorComplaint)
		}
	}
}

func ratio(k, n, q, bad float64) float64 {
	return k*math.Log(bad/q) + max(n-k, 0)*math.Log((1-bad)/(1-q))
}

func (v *accountView) outcome(h int32, k, n, q float64, unit string, level int, floor float64) {
	day := &v.account.days[mod2(dayOfHour(h))]
	v.account.hours[mod3(h)].alarmed, day.alarmed = true, true
	severity := schemas.SeverityMedium
	if level == 2 {
		severity = schemas.SeverityHigh
	}
	v.hit(&badOutcomesSpec, day.given(), measureOutcome, finding{value: windowValue(unit, dayOfHour(h).Start()), level: level, score: [...]float64{0, 0.5, 0.8}[level], severity: severity,
		evidence: schemas.Evidence{Observed: k, Expected: round(q * n), Threshold: math.Ceil(q * n * 2), Unit: unit, Window: "36h0m0s", Floor: floor,
			Text: fmt.Sprintf("about %s %s for %s in a day and a half, %.1f %%, where %.1f %% is usual", count(k), unit, things(n, "recipient"), 100*k/n, 100*q)}})
}
