package detectors

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// finding is what a detector says beside what its Spec already does.
type finding struct {
	entity     schemas.Entity
	account    string
	credential string
	value      string // the window or value that the id is derived from
	level      int
	score      float64
	severity   schemas.Severity
	certain    bool
	evidence   schemas.Evidence
	address    string // whom it came from, see schemas.Signal
	user       string
	employee   string
	usual      int64
	alone      bool
	// The event behind it.
	trigger string
	time    int64
	arrival int64
	origin  schemas.Origin
}

// raise emits a finding as a signal to its entity's inbox.
func (e *Engine) raise(emit func(schemas.Output), spec *Spec, f finding) {
	if !e.trial.speaks(f.time) {
		return
	}
	f.evidence.Text = plain(f.evidence.Text)
	s := schemas.Signal{
		ID: schemas.SignalID(spec.Name, f.entity, f.value, f.level), Time: time.UnixMilli(f.time).UTC(),
		Detector: spec.Name, Version: spec.Version, Family: spec.Family, Entity: f.entity,
		Account: f.account, Credential: f.credential, Level: f.level, Score: f.score, Severity: f.severity,
		Technique: spec.Technique, Certain: f.certain, Trigger: f.trigger, Origin: f.origin,
		Arrival: time.UnixMilli(f.arrival).UTC(), Evidence: f.evidence,
		Address: f.address, User: f.user, Employee: f.employee, Usual: f.usual, Alone: f.alone,
	}
	e.trial.mark(&s)
	value, err := json.Marshal(s)
	if err != nil {
		return // the signal's strings come from checked events, its numbers are finite
	}
	e.countSignal(spec.Name)
	emit(schemas.Output{Topic: schemas.TopicInbox, Kind: e.trial.kind(), ID: s.ID, Key: f.entity.Key(), Origin: owned(f.origin), Value: value, Signal: &s})
}

// levelBit numbers the signals of one window: three levels of up to 21 measures.
func levelBit(measure, level int) uint64 { return 1 << (3*measure + level - 1) }

// bitSet is the signals that a window has given: an hour's few or a day's many.
type bitSet struct {
	hour *uint16
	day  *uint64
}

func (b bitSet) has(measure, level int) bool {
	if b.hour != nil {
		return uint64(*b.hour)&levelBit(measure, level) != 0
	}
	return *b.day&levelBit(measure, level) != 0
}

func (b bitSet) set(measure, level int) {
	if b.hour != nil {
		*b.hour |= uint16(levelBit(measure, level))
		return
	}
	*b.day |= levelBit(measure, level)
}

func (w *hourWindow) given() bitSet { return bitSet{hour: &w.raised} }
func (w *dayWindow) given() bitSet  { return bitSet{day: &w.raised} }

// Measures of one window, for levelBit. An hour has room for the first five.
const (
	measureHour    = iota // volume by the hour or the day
	measureBurst          // volume in five minutes
	measureStrange        // strangers
	measureShare          // strangers' share
	measureSource         // new sources
	measureActor          // unknown sources as one, over two hours
	measureActorVolume
	measureActorStrange
	measureActorBounce
	measureSlow // the same over a day and a half
	measureSlowVolume
	measureSlowStrange
	measureSlowBounce
	measureOutcome // bounces and complaints
	measureGuesses
	measureTravel
	measureFresh
	measureDormant
	measureHosts
	measureFanOut
	measureUnproven
)

// grade is what a level means where a detector does not say otherwise.
func grade(level int) (score float64, severity schemas.Severity) {
	switch level {
	case 1:
		return 0.5, schemas.SeverityMedium
	case 2:
		return 0.8, schemas.SeverityHigh
	}
	return 0.95, schemas.SeverityCritical
}

// hit raises a finding of an account's window once a level, and freezes what the
// window would have taught.
func (v *accountView) hit(spec *Spec, raised bitSet, measure int, f finding) {
	if raised.has(measure, f.level) {
		return
	}
	raised.set(measure, f.level)
	if f.score == 0 {
		f.score, f.severity = grade(f.level)
	}
	f.entity = schemas.Entity{Kind: schemas.KindAccount, ID: strings.Clone(v.event.Account)}
	f.account = f.entity.ID
	f.trigger, f.time, f.arrival, f.origin = v.event.ID, v.event.Time, v.in.Arrival, v.in.Origin
	f.usual, f.alone = v.usual(), v.alone()
	f.address, f.user = v.stranger()
	switch {
	case v.back == 0:
		f.credential, f.evidence.Samples = v.event.Credential, []string{v.event.ID}
	case v.back <= v.account.brought:
		f.origin = schemas.OriginImport // whatever came next
	}
	v.e.raise(v.emit, spec, f)
}

// usual is the account's recipients a day, 95th percentile, before the window's day.
func (v *accountView) usual() int64 {
	d := v.dayNo
	if v.back != 0 {
		d = dayOfHour(v.back)
	}
	return int64(math.Ceil(float64(v.account.dailyAt(&v.e.store, d).volume.P95)))
}

// windowValue names a window in a signal's id: the measure and its start in Unix seconds.
func windowValue(measure string, startMS int64) string {
	return measure + "@" + strconv.FormatInt(startMS/1000, 10)
}

// count formats a number of things for a text.
func count(n float64) string {
	if n >= 10 || n == float64(int64(n)) {
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'g', 2, 64)
}

// mostOf is a recent maximum as a whole number: it decays with time, which readers need
// not know.
func mostOf(n float64) string { return count(math.Round(n)) }

// chance is a probability in words, from its negative decimal logarithm: 1 in 10,
// 1 in 10,000, 1 in 10 million, less than 1 in a trillion.
func chance(surprise float64) string {
	n := int(max(0, math.Floor(surprise)))
	switch {
	case n == 0:
		return "more than 1 in 10"
	case n > 12:
		return "less than 1 in a trillion"
	}
	return "1 in " + [...]string{1: "10", "100", "1,000", "10,000", "100,000", "a million", "10 million", "100 million", "a billion", "10 billion", "100 billion", "a trillion"}[n]
}

// odds is how many to one, without digits that mean nothing.
func odds(n float64) string {
	if n >= 1e6 {
		return "more than a million"
	}
	return count(math.Round(n))
}

func accesses(n float64) string {
	if n == 1 {
		return "1 access"
	}
	return count(n) + " accesses"
}

// things is a number of things in words: 1 source, 2 sources.
func things(n float64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// plain keeps a text printable on one line whatever an id held.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
