package detectors

import (
	"fmt"
	"math"
	"strings"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

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
			known := v.known(h)
			if known || v.proven(h, x) {
				v.account.hours[mod3(h)].told = true
				v.actor(raised, s.actor, 3, schemas.SeverityHigh, p.Floor, value, s.window, x)
			}
			if !known {
				v.unproven(raised, h, x, s)
			}
		}
	}
	// Where its sources tell too, one part is as grave as the whole at most.
	top := 2
	if x.network > 0 && joint < p.High {
		top = 1
	}
	const from = "of mail from sources that the account does not know"
	v.part(&volumeSpec, raised, s.volume, top, value, s.window, x.recipients, x.usual, x.volume, p.Floor, "recipients", "recipients "+from)
	v.part(&strangersSpec, raised, s.list, top, value, s.window, x.strangers, 0, x.list, p.Floor, "strangers", "never-seen recipients "+from)
	v.part(&badOutcomesSpec, raised, s.bounces, top, value, s.window, x.bounced, 0, x.reputation, 3, "bounces", "hard bounces of mail from sources that the account does not know")
}

func (v *accountView) actor(raised bitSet, measure, level int, severity schemas.Severity, floor float64, value, window string, x verdictOn) {
	if raised.has(measure, level) {
		return
	}
	v.hit(&newSourceSpec, raised, measure, finding{value: value, level: level, score: share(x.joint()), severity: severity,
		evidence: schemas.Evidence{Observed: x.recipients, Expected: round(x.usual), Threshold: floor, Unit: "recipients", Window: window, Floor: floor,
			Text: fmt.Sprintf("%s, judged together%s, sent to %s, %s of them never written to before%s: a chance of %s by the account's own history (%s)",
				newcomers(x.sources), v.heaviest(x.sources), things(x.recipients, "recipient"), count(x.strangers), x.hardBounces(), chance(x.joint()), x.parts())}})
}

// hardBounces mentions them where there are any: of an account of which little is
// known they are what decides.
func (x *verdictOn) hardBounces() string {
	n := math.Round(x.bounced)
	if n == 0 {
		return ""
	}
	return ", with " + things(n, "hard bounce")
}

// newcomers says how many new sources there are; those of regions that the account
// uses anyway are not counted.
func newcomers(n float64) string {
	if n == 0 {
		return "sources new to the account, in networks near those that it uses"
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

// part raises one family's share of a joint finding, up to a level.
func (v *accountView) part(spec *Spec, raised bitSet, measure, top int, value, window string, observed, usual, surprise, floor float64, unit, what string) {
	for level, severity := range [...]schemas.Severity{1: schemas.SeverityMedium, 2: schemas.SeverityHigh} {
		if level == 0 || level > top || surprise < 2*float64(level) || raised.has(measure, level) {
			continue
		}
		v.hit(spec, raised, measure, finding{value: value + ".unknown", level: level, score: share(surprise), severity: severity,
			evidence: schemas.Evidence{Observed: observed, Expected: round(usual), Threshold: floor, Unit: unit, Window: window, Floor: floor,
				Text: fmt.Sprintf("%s %s: a chance of %s by the account's own history", count(observed), what, chance(surprise))}})
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
	return " (most by " + schemas.IPKey(numberedAddress(top.At(&v.e.store.Arena, 0).Value)) + ")"
}

// parts says what the joint chance is made of.
func (x *verdictOn) parts() string {
	var out []string
	for _, p := range [...]struct {
		name     string
		surprise float64
	}{{"volume", x.volume}, {"strangers", x.list}, {"sources", min(x.network, manySources)}, {"bounces", x.reputation}} {
		if p.surprise >= 0.5 {
			out = append(out, p.name+" "+chance(p.surprise))
		}
	}
	return strings.Join(out, ", ")
}
