package detectors

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/go-json-experiment/json"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// Config says which lane an engine folds.
type Config struct {
	Lane, Lanes int
	// HashSecret keys the hashes behind sketches and sets; the control value
	// "installation" sets it where it is empty here.
	HashSecret []byte
	// Parameters are the detectors' parameters until control brings others; nil
	// means the defaults. Its shape is that of one version of the control value:
	// {"volume": {"floor_1h": 60}}.
	Parameters []byte
	// Uncounted keeps the engine from telling the gate once a day who lives. Only the
	// gate's brake asks.
	Uncounted bool
	// Meter, where given, counts for metrics what live engines find.
	Meter *Meter
	// Untimed says that nothing but records themselves tell when they happened, as in a
	// replay of files: none has an arrival of its own.
	Untimed bool
}

// Engine folds one detect lane's events and facts. It implements the lane's Fold.
type Engine struct {
	cfg      Config
	trial    onTrial
	hasher   sketch.Hasher
	keyed    bool
	versions versions
	control  []byte // the control value "parameters", read again when the secret comes after it
	broken   error  // why the parameters cannot be used
	level    schemas.Level

	dec   schemas.Decoder
	event schemas.Event
	store store

	accounts     slab.Table[account]
	byAccount    index
	addresses    slab.Table[address]
	byAddress    index
	employees    map[string]*employee
	arrived      int64    // the latest arrival
	sweep        uint32   // the address that is looked at next, see makeRoom
	gone         []string // entities that were forgotten and still stand on the projection
	visited      []uint32 // accounts of which nothing but failed logins was heard
	sweepVisited int      // the one of them that is looked at next, see makeRoomForVisit

	senders   *senders
	recent    *recentSources
	hashed    hashedSource
	listed    []uint64 // hashes of an event's recipients
	touched   byte     // see Fingerprints.Touch
	view      accountView
	onSettled closing
	records   recordBuffer
	buf       []byte
	unknown   map[string][]byte // sections of entities that another version wrote
	stats     stats
}

type stats struct{ events, facts, late, ahead, anew, skipped, duplicates, signals atomic.Int64 }

// Stats are counters for metrics and may be read from any goroutine.
type Stats struct {
	Events, Facts int64 // scored
	Late          int64 // behind the entity's clock by more than the lateness
	Ahead         int64 // scored, and taken back as of a clock that was far ahead
	Anew          int64 // accounts that began anew with imported history
	Skipped       int64 // already part of a restored state
	Duplicates    int64
	Signals       int64
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	s := &e.stats
	return Stats{s.events.Load(), s.facts.Load(), s.late.Load(), s.ahead.Load(), s.anew.Load(), s.skipped.Load(), s.duplicates.Load(), s.signals.Load()}
}

// New returns an engine without any state. Parameters that cannot be used are
// reported by every Apply, so that nothing is judged by other numbers than asked for.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg, byAccount: newIndex(), byAddress: newIndex(), employees: map[string]*employee{}}
	e.onSettled = closing{e.view.settled, e.view.judgeBounces}
	e.senders, e.recent = newSenders(), newRecentSources()
	e.rekey(cfg.HashSecret)
	return e
}

// rekey sets the secret and reads the configured parameters under it.
func (e *Engine) rekey(secret []byte) {
	e.hasher, e.keyed = sketch.NewHasher(secret), len(secret) > 0
	e.hashed = hashedSource{}
	p, err := ParseParameters(e.cfg.Parameters, e.hasher)
	e.versions, e.broken = versions{{p: p}}, err
}

// Entities is how many entities of each kind the engine holds.
func (e *Engine) Entities() map[schemas.EntityKind]int {
	return map[schemas.EntityKind]int{
		schemas.KindAccount: e.accounts.Len(), schemas.KindIP: e.addresses.Len(), schemas.KindEmployee: len(e.employees),
	}
}

// Control takes one value of the control topic: "installation", "parameters" and "level";
// other keys are ignored. The installation comes before any state.
func (e *Engine) Control(key string, value []byte) error {
	switch key {
	case schemas.ControlInstallation:
		var in schemas.Installation
		if err := json.Unmarshal(value, &in); err != nil {
			return fmt.Errorf("control value %q: %w", key, err)
		}
		if e.keyed || len(in.HashSecret) == 0 {
			return nil
		}
		e.rekey(in.HashSecret)
		if e.control != nil {
			return e.Control(schemas.ControlParameters, e.control)
		}
	case schemas.ControlParameters:
		if value == nil {
			return nil
		}
		v, err := parseVersions(value, e.hasher)
		if err != nil {
			return err
		}
		e.versions, e.broken, e.control = v, nil, slices.Clone(value)
	case schemas.ControlLevel:
		level, err := schemas.ParseLevel(value)
		if err != nil {
			return err
		}
		e.level = max(e.level, level) // it is never lowered
	}
	return nil
}

// Apply folds one record in and emits what follows from it. touched says that the
// state of in.Key changed. An error says that the record cannot be used and that
// nothing was changed.
func (e *Engine) Apply(in *schemas.Input, emit func(schemas.Output)) (touched bool, err error) {
	if e.broken != nil {
		return false, e.broken
	}
	e.arrived = max(e.arrived, in.Arrival)
	if in.Kind == schemas.KindFence {
		return false, nil
	}
	if in.Trust == schemas.TrustEvidence && !e.trial.evidence() {
		return false, nil // see Fold
	}
	if in.Duplicate {
		e.stats.duplicates.Add(1)
		return false, nil
	}
	switch {
	case in.Topic == schemas.TopicEvents && in.Kind == schemas.KindEvent:
		return e.applyEvent(in, emit)
	case in.Topic == schemas.TopicFacts && (in.Kind == schemas.KindMember || in.Kind == schemas.KindCount):
		return e.applyFact(in, emit)
	}
	return false, &schemas.Error{Reason: schemas.ReasonNoEnvelope, Record: in.ID,
		What: fmt.Sprintf("kind %q on topic %q is none that detect reads", in.Kind, in.Topic), Fix: "set the header kind as intake does"}
}

func (e *Engine) applyEvent(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	ev := in.Event
	if ev == nil {
		ev = &e.event
		if err := e.dec.Decode(in.Value, ev); err != nil {
			return false, err
		}
		ev.Translate(&in.Network)
	}
	if in.Arrival > 0 && ev.Time > in.Arrival+int64(schemas.FutureTolerance/1e6) {
		return false, &schemas.Error{Reason: schemas.ReasonFuture, Record: ev.ID, Field: "time", What: "lies more than 5 minutes after its arrival", Fix: "set the sender's clock"}
	}
	of := ev.Entity()
	if in.Event == nil && !of.HasKey(in.Key) && !keyedAsIPv6(ev, in.Key) {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: ev.ID,
			What: fmt.Sprintf("the key %q is not the entity's, %q", in.Key, of.Key()), Fix: "key the record by its entity"}
	}
	switch of.Kind {
	case schemas.KindAccount:
		return e.accountEvent(in, ev, emit), nil
	case schemas.KindEmployee:
		return e.employeeEvent(in, ev, emit), nil
	}
	return e.addressEvent(in, ev, emit), nil
}

// keyedAsIPv6 reports whether a connection has the key that was its before an IPv4
// address that is written as IPv6 was taken for what it is: the /64 as it is written.
func keyedAsIPv6(ev *schemas.Event, key string) bool {
	if ev.Type != schemas.TypeConnection || ev.IP.Is4() {
		return false
	}
	p, err := ev.IP.Prefix(64)
	return err == nil && schemas.Entity{Kind: schemas.KindIP, ID: p.String()}.HasKey(key)
}

// topicIndex is where the applied offset of a topic stands in the state.
func topicIndex(t schemas.Topic) int {
	if t == schemas.TopicFacts {
		return 1
	}
	return 0
}

// skip reports whether the record is already part of the state, and otherwise
// notes that it is now.
func (e *Engine) skip(applied *[2]int64, in *schemas.Input) bool {
	at := &applied[topicIndex(in.Topic)]
	if in.Offset < *at {
		e.stats.skipped.Add(1)
		return true
	}
	*at = in.Offset + 1
	return false
}
