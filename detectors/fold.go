package detectors

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"holdfast/schemas"
)

// Fold is a detect lane's whole fold: the live engine and, beside it, one engine for
// each trial that control names, which is one but for the minutes in which a trial
// takes the place of another.
//
// A trial's engine folds the same records after the live one and keeps state of its
// own. Of what it emits only signals leave, as records of another kind: it tells
// other lanes nothing, so that what these know follows from the live numbers, and
// whatever goes wrong in it costs the live engine nothing.
//
// Until the event time from which a trial holds, its engine would do exactly what
// the live one does. So it begins with the live one's state, which it takes over
// entity by entity before the first record that touches each: who has no state under
// the trial has had no record since, and stands where the live state stands. Both
// are saved in one batch.
type Fold struct {
	live   *Engine
	cfg    Config
	trials []*trial
	ended  []*trial // whose state is still to be deleted
	spoilt []string // keys of values that could not be read
	base   []byte   // the control value "parameters"
	secret []byte   // the control value "installation"
	meter  trialMeter
	// evidence is the engine that sees records of evidence-only sources too, nil before
	// there are any; raised are the ids that it need not raise of the record at hand.
	evidence *trial
	raised   []string
	emit     func(schemas.Output) // of the record that is being folded
}

// TrialStats tell what trials cost, and what they have found.
type TrialStats struct {
	Trials   int   // that run now
	Entities int64 // of which a trial holds state of its own
	Signals  int64
	Failed   int64 // records and values that a trial could not take, the live engine aside
}

type trialMeter struct{ trials, entities, signals, failed atomic.Int64 }

// NewFold returns a fold without any state.
func NewFold(cfg Config) *Fold { return &Fold{cfg: cfg, live: New(cfg)} }

// Live is the engine whose findings are acted on.
func (f *Fold) Live() *Engine { return f.live }

// TrialStats may be read from any goroutine.
func (f *Fold) TrialStats() TrialStats {
	m := &f.meter
	return TrialStats{int(m.trials.Load()), m.entities.Load(), m.signals.Load(), m.failed.Load()}
}

// Control takes one value of the control topic: "trial", and what the live engine
// takes.
func (f *Fold) Control(key string, value []byte) error {
	if key == schemas.ControlTrial {
		return f.schedule(value)
	}
	if err := f.live.Control(key, value); err != nil || value == nil {
		return err
	}
	switch key {
	case schemas.ControlInstallation:
		f.secret = slices.Clone(value)
	case schemas.ControlParameters:
		f.base = slices.Clone(value)
	case schemas.ControlLevel:
		for _, t := range slices.Concat(f.trials, f.ended) {
			t.engine.level = f.live.level
		}
		if f.evidence != nil {
			f.evidence.engine.level = f.live.level
		}
		return nil
	default:
		return nil
	}
	var errs []error
	if f.evidence != nil {
		errs = append(errs, f.evidence.engine.Control(key, value))
	}
	for _, t := range f.trials {
		errs = append(errs, f.settle(t))
	}
	return errors.Join(errs...)
}

// Apply folds one record in, first into the live engine.
func (f *Fold) Apply(in *schemas.Input, emit func(schemas.Output)) (touched bool, err error) {
	if in.Trust == schemas.TrustEvidence && in.Kind == schemas.KindEvent {
		return f.applyEvidence(in, emit)
	}
	twice := f.watchesAsEvidence(in.Key)
	if len(f.trials) == 0 && !twice {
		return f.live.Apply(in, emit)
	}
	live := emit
	if twice {
		live = f.notingRaised(emit)
	}
	f.endOld(in.Arrival)
	for _, t := range f.trials {
		f.takeOver(t, in.Key)
	}
	if touched, err = f.live.Apply(in, live); err != nil {
		return touched, err
	}
	decoded := in.Event == nil && in.Topic == schemas.TopicEvents
	if decoded {
		in.Event = &f.live.event // where it is looked at, the live engine has decoded it
	}
	f.emit = emit
	for _, t := range f.trials {
		touched = f.try(t, in) || touched
	}
	if twice {
		touched = f.try(f.evidence, in) || touched
	}
	if decoded {
		in.Event = nil
	}
	f.count()
	return touched, nil
}

// Save encodes the state of an entity, live and under each trial, or deletes a value
// that Sweep returned.
func (f *Fold) Save(key string, emit func(key string, value []byte)) error {
	if id, entity, ok := schemas.CutTrialKey(key, 1); ok {
		if t := f.find(id); t == nil || !t.engine.knows(entity) {
			emit(key, nil)
		}
		return nil
	}
	if err := f.live.Save(key, emit); err != nil {
		return err
	}
	for _, t := range f.beside(key) {
		if err := t.engine.Save(key, func(key string, value []byte) { emit(t.key(key), value) }); err != nil {
			f.meter.failed.Add(1)
			emit(t.key(key), nil) // it goes on from the live state
		}
	}
	return nil
}

// beside are the trials, and the engine for evidence where it knows the entity.
func (f *Fold) beside(key string) []*trial {
	if !f.watchesAsEvidence(key) {
		return f.trials
	}
	return append(slices.Clip(f.trials), f.evidence)
}

// Restore takes one record of the state projection. A trial's state that cannot be read
// is given up: the trial goes on from the live state.
func (f *Fold) Restore(key string, value []byte) error {
	id, entity, ok := schemas.CutTrialKey(key, 1)
	if !ok {
		return f.live.Restore(key, value)
	}
	t := f.find(id)
	if t == nil {
		if value == nil {
			return nil
		}
		t = f.begin(id)
	}
	err := t.engine.Restore(entity, value)
	if err == nil {
		f.count()
		return nil
	}
	f.meter.failed.Add(1)
	f.spoilt = append(f.spoilt, key)
	if errors.Is(err, schemas.ErrStateDamaged) {
		return err
	}
	return nil
}

// Sweep returns keys of state that trials have left behind, and of addresses that have
// been forgotten.
func (f *Fold) Sweep(n int) (keys []string) {
	f.endOld(f.live.arrived)
	keys = slices.Clone(f.spoilt[:min(n, len(f.spoilt))])
	f.spoilt = f.spoilt[len(keys):]
	for len(keys) < n && len(f.ended) > 0 {
		t := f.ended[0]
		key, ok := t.leave()
		if !ok {
			f.ended = f.ended[1:]
			continue
		}
		keys = append(keys, t.key(key))
	}
	keys = append(keys, f.live.takeGone(n-len(keys))...)
	for _, t := range append(slices.Clip(f.trials), f.evidenceIfAny()...) {
		for _, key := range t.engine.takeGone(n - len(keys)) {
			keys = append(keys, t.key(key))
		}
	}
	f.count()
	return keys
}

func (f *Fold) evidenceIfAny() []*trial {
	if f.evidence == nil {
		return nil
	}
	return []*trial{f.evidence}
}

// count sets the gauges.
func (f *Fold) count() {
	n := 0
	for _, t := range f.trials {
		n += t.engine.accounts.Len() + t.engine.addresses.Len() + len(t.engine.employees)
	}
	f.meter.trials.Store(int64(len(f.trials)))
	f.meter.entities.Store(int64(n))
}

// Keys gives the entities of which there is live state, in no order. What trials know of
// them is saved with it.
func (f *Fold) Keys(yield func(key string) bool) {
	e := f.live
	for h := uint32(1); h <= e.accounts.End(); h++ {
		if e.accounts.At(h).keyLen != 0 && !yield(strings.Clone(e.accountKey(h))) {
			return
		}
	}
	for h := uint32(1); h <= e.addresses.End(); h++ {
		if e.addresses.At(h).keyLen != 0 && !yield(strings.Clone(e.addressKey(h))) {
			return
		}
	}
	for key := range e.employees {
		if !yield(key) {
			return
		}
	}
}
