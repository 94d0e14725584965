package respond

import (
	"fmt"
	"strings"
	"time"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// Fold is one respond lane's function of its inbox. It is not safe for
// concurrent use: a lane owns it.
type Fold struct {
	cfg      Config
	policies *policy.Versions
	entities map[string]*entry
	warm     warm
	trials   trials
	decoder  schemas.Decoder
	level    schemas.Level
}

// entry is an entity's state as it stands on the state projection, undecoded:
// most entities are accounts of which only the snapshot is known.
type entry struct {
	applied int64
	payload []byte // nil where the state has changed since it was last written
	version byte   // of the payload: layout or schemas.FrameSections
	state   *state // the payload decoded, for those folded last; else nil
	weight  int    // about what the payload takes, while the state is kept
}

// New returns an empty fold.
func New(cfg Config) *Fold {
	set := cfg.Policies
	if set == nil {
		set = policy.Default()
	}
	return &Fold{cfg: cfg, policies: policy.Only(set), entities: map[string]*entry{}, trials: newTrials()}
}

// Control takes one value of the control topic. Where the policies cannot be
// used, the former stay in force and the error names every mistake.
func (f *Fold) Control(key string, value []byte) error {
	if key == schemas.ControlTrial {
		runs, err := schemas.TrialRuns(value)
		if err == nil {
			f.trials.runs = runs
		}
		return err
	}
	if key == schemas.ControlLevel {
		level, err := schemas.ParseLevel(value)
		if err == nil {
			f.level = max(f.level, level) // it is never lowered
		}
		return err
	}
	if key != schemas.ControlPolicies || value == nil {
		return nil
	}
	v, err := policy.ParseVersions(value)
	if err != nil {
		return fmt.Errorf("the policies in control cannot be used: %w", err)
	}
	f.policies = v
	return nil
}

// Restore takes one record of the state projection.
func (f *Fold) Restore(key string, value []byte) error {
	if name, entity, ok := schemas.CutTrialKey(key, 0); ok {
		return f.restoreTrial(name, entity, value)
	}
	if value == nil {
		f.forget(key)
		return nil
	}
	e, err := restored(value)
	if err != nil {
		return fmt.Errorf("respond state of %s: %w", key, err)
	}
	f.forget(key)
	f.entities[strings.Clone(key)] = &e
	return nil
}

// Save encodes the entity's state, live and under trials. An entity of which nothing
// is known is deleted, and so is what Sweep returned.
func (f *Fold) Save(key string, emit func(key string, value []byte)) error {
	if name, entity, ok := schemas.CutTrialKey(key, 0); ok {
		if f.trials.get(entity, name).payload == nil {
			emit(key, nil)
		}
		return nil
	}
	if e, ok := f.entities[key]; !ok {
		emit(key, nil)
	} else if err := e.write(f.level); err != nil {
		return fmt.Errorf("respond state of %s: %w", key, err)
	} else {
		emit(key, e.frame())
	}
	f.saveTrials(key, emit)
	return nil
}

// frame is the entry as it stands on the projection.
func (e *entry) frame() []byte {
	frame := schemas.StateFrame{Version: e.version, Payload: e.payload}
	frame.Applied[schemas.AppliedInbox] = e.applied
	return schemas.AppendStateFrame(make([]byte, 0, len(e.payload)+32), frame)
}

// state decodes what is known of an entity.
func (f *Fold) state(key string, e *entry) (*state, error) {
	st, err := e.decoded()
	if err != nil {
		return nil, fmt.Errorf("respond state of %s: %w", key, err)
	}
	return st, nil
}

// known is what is kept of an entity, nothing of one that is unknown.
func (f *Fold) known(key string) *entry {
	if e := f.entities[key]; e != nil {
		return e
	}
	return new(entry)
}

// Len is the number of entities of which something is known.
func (f *Fold) Len() int { return len(f.entities) }

// Apply folds one record of the inbox in.
func (f *Fold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	f.trials.arrived = max(f.trials.arrived, in.Arrival)
	e := f.known(in.Key)
	if in.Offset < e.applied || in.Duplicate || in.Kind == schemas.KindFence {
		return false, nil
	}
	if in.Kind == schemas.KindTrial {
		return f.trial(in, emit)
	}
	st, err := f.state(in.Key, e)
	if err != nil {
		return false, err
	}
	w := &work{fold: f, in: in, st: st}
	touched, err := w.apply()
	if err == nil {
		err = w.err
	}
	if err == nil && !touched {
		return false, nil
	}
	now := entry{applied: in.Offset + 1, state: st}
	if err == nil && w.secured {
		now.payload, now.version, err = st.encode(f.level)
	}
	if err != nil {
		f.cool(e) // it may be changed in part
		return false, err
	}
	now.weight = st.weight()
	f.put(in.Key, now)
	if w.ended {
		f.forgetTrials(in.Key, in.Offset)
	}
	for _, o := range w.out {
		emit(o)
	}
	return true, nil
}

// work is the folding of one record.
type work struct {
	fold   *Fold
	in     *schemas.Input
	entity schemas.Entity
	st     *state
	trial  string // whose signals are judged; empty for live ones
	asks   bool   // a person is asked by what is decided, see reviewOnly
	ended  bool   // a person has ended the entity's episode
	// secured says that the state is written before and after, see secure.
	secured bool
	now     time.Time // of the record, by its own word
	out     []schemas.Output
	err     error // the first output that could not be written
}

func (w *work) apply() (bool, error) {
	e, err := schemas.ParseEntity(strings.Clone(w.in.Key)) // kept with what is pending, and with cases
	if err != nil {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: w.in.ID, What: err.Error()}
	}
	w.entity = e
	if w.in.Kind != schemas.KindSignal && w.in.Kind != schemas.KindEvent {
		if err := w.secure(); err != nil {
			return false, err
		}
	}
	switch w.in.Kind {
	case schemas.KindSignal:
		return w.signal()
	case schemas.KindEvent:
		return w.event()
	case schemas.KindRequest:
		return w.request()
	case schemas.KindAnswer:
		return w.answer()
	}
	return false, &schemas.Error{Reason: schemas.ReasonUnknownType, Record: w.in.ID, Field: schemas.HeaderKind,
		What: fmt.Sprintf("an inbox holds no %q", w.in.Kind), Fix: "send signal, event, request or answer"}
}
