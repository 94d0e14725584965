package detectors

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// trial is one run of numbers in shadow.
type trial struct {
	id     string // of the run
	engine *Engine
	run    schemas.TrialRun // without a name until control has named it
	pass   func(schemas.Output)
	left   uint32 // handles below it have been left, once the run is over
}

// onTrial is what a trial's engine raises under. Its zero value is the live engine's.
type onTrial struct {
	name        string
	from, until int64 // event times, Unix milliseconds
}

// speaks reports whether what happened at a time is in the trial's stretch of time.
// The live engine has no stretch.
func (o *onTrial) speaks(ms int64) bool { return o.name == "" || ms >= o.from && ms < o.until }

// evidence reports whether the engine is the one that sees evidence-only records too.
func (o *onTrial) evidence() bool { return o.name == schemas.EvidenceRun }

// mark makes a signal a trial's.
func (o *onTrial) mark(s *schemas.Signal) {
	if o.name != "" {
		s.ID, s.Mode, s.Trial = schemas.OfTrial(s.ID, o.name), schemas.ModeShadow, o.name
	}
}

// kind is that of the record by which a signal leaves.
func (o *onTrial) kind() schemas.Kind {
	if o.name != "" {
		return schemas.KindTrial
	}
	return schemas.KindSignal
}

func (t *trial) key(entity string) string { return schemas.TrialKey(t.id, entity) }

func (f *Fold) find(id string) *trial {
	if id == evidenceID {
		return f.evidenceRun()
	}
	i := slices.IndexFunc(f.trials, func(t *trial) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return f.trials[i]
}

// begin adds a run, which control has named or will name.
func (f *Fold) begin(id string) *trial {
	name, _, _ := strings.Cut(id, ":")
	t := &trial{id: id, engine: New(f.cfg)}
	t.engine.trial = onTrial{name: name} // silent until it is settled
	t.engine.level = f.live.level
	t.pass = func(o schemas.Output) {
		if o.Kind == schemas.KindTrial {
			f.meter.signals.Add(1)
			f.emit(o)
		}
	}
	if f.secret != nil {
		_ = t.engine.Control(schemas.ControlInstallation, f.secret) // the live engine has taken it
	}
	f.trials = append(f.trials, t)
	return t
}

// schedule takes the control value "trial": it begins the runs that are new, and says
// when others end.
func (f *Fold) schedule(value []byte) error {
	runs, err := schemas.TrialRuns(value)
	if err != nil {
		return err
	}
	usable := runs[:0]
	for _, run := range runs {
		_, err := f.numbers(&run)
		if err != nil && run.Until.IsZero() {
			return err
		}
		if err != nil {
			f.meter.failed.Add(1) // one of the past, whose numbers this version does not have
			continue
		}
		usable = append(usable, run)
	}
	for _, t := range f.trials {
		t.run = schemas.TrialRun{}
	}
	for _, run := range usable {
		if run.Over(f.live.arrived, trialGrace) {
			continue
		}
		t := f.find(run.ID())
		if t == nil {
			t = f.begin(run.ID())
		}
		t.run = run
		if err := f.settle(t); err != nil {
			return err
		}
	}
	f.count()
	return nil
}

// settle gives a trial's engine its numbers and its stretch of time.
func (f *Fold) settle(t *trial) error {
	if t.run.Name == "" {
		return nil
	}
	numbers, err := f.numbers(&t.run)
	if err != nil {
		return err
	}
	t.engine.trial = onTrial{name: t.run.Name, from: t.run.From.UnixMilli(), until: math.MaxInt64}
	if !t.run.Until.IsZero() {
		t.engine.trial.until = t.run.Until.UnixMilli()
	}
	return t.engine.Control(schemas.ControlParameters, numbers)
}

// numbers are the versions of a run's numbers: the live ones, and from the run's
// beginning on its own laid over them.
func (f *Fold) numbers(run *schemas.TrialRun) ([]byte, error) {
	base := schemas.Versioned{Versions: []schemas.Version{{Value: f.cfg.Parameters}}}
	if f.base != nil {
		if err := json.Unmarshal(f.base, &base); err != nil {
			return nil, fmt.Errorf("control value %q: %w", schemas.ControlParameters, err)
		}
	}
	borders := map[int64]time.Time{}
	for _, v := range slices.Concat(base.Versions, run.Numbers.Versions) {
		borders[v.From.UnixMilli()] = v.From
	}
	var out schemas.Versioned
	for _, at := range slices.Sorted(maps.Keys(borders)) {
		from := borders[at]
		value := map[string]map[string]float64{}
		if err := lay(value, base.At(from)); err != nil {
			return nil, err
		}
		if !from.Before(run.From) {
			if err := lay(value, run.Numbers.At(from)); err != nil {
				return nil, err
			}
		}
		b, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		out.Versions = append(out.Versions, schemas.Version{From: from, Value: b})
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	if _, err := parseVersions(b, f.live.hasher); err != nil {
		return nil, fmt.Errorf("trial %q: %w", run.Name, err)
	}
	return b, nil
}

// lay lays numbers over others.
func lay(over map[string]map[string]float64, data []byte) error {
	var in map[string]map[string]float64
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	for detector, values := range in {
		if over[detector] == nil {
			over[detector] = map[string]float64{}
		}
		maps.Copy(over[detector], values)
	}
	return nil
}

// trialGrace is how long after a trial's end records are still shown to it: those of
// before that come late. It is measured by arrival, so that it follows from the log.
const trialGrace = schemas.Lateness

// endOld ends the runs that are over and those that control does not name.
func (f *Fold) endOld(arrival int64) {
	f.trials = slices.DeleteFunc(f.trials, func(t *trial) bool {
		over := t.run.Name == "" || t.run.Over(arrival, trialGrace)
		if over {
			f.ended = append(f.ended, t)
		}
		return over
	})
}

// takeOver gives a trial the live state of an entity that it has none of.
func (f *Fold) takeOver(t *trial, key string) {
	if t.engine.knows(key) || !f.live.knows(key) {
		return
	}
	defer f.contain()
	err := f.live.saveAt(schemas.LevelNewest, key, func(key string, value []byte) {
		if t.engine.Restore(key, value) != nil {
			f.meter.failed.Add(1) // the live engine has just written it
		}
	})
	if err != nil {
		f.meter.failed.Add(1)
	}
}

// try shows a record to a trial. Nothing but its signals leaves.
func (f *Fold) try(t *trial, in *schemas.Input) (touched bool) {
	defer f.contain()
	touched, err := t.engine.Apply(in, t.pass)
	if err != nil {
		f.meter.failed.Add(1)
	}
	return touched
}

// contain keeps a trial's panic from the live engine.
func (f *Fold) contain() {
	if recover() != nil {
		f.meter.failed.Add(1)
	}
}

// knows reports whether there is state of an entity.
func (e *Engine) knows(key string) bool {
	kind, _, _ := strings.Cut(key, ":")
	switch schemas.EntityKind(kind) {
	case schemas.KindAccount:
		return e.findAccount(key) != nil
	case schemas.KindEmployee:
		return e.employees[key] != nil
	}
	return e.findAddress(key) != nil
}

// leave forgets one entity of a run that is over and returns its key.
func (t *trial) leave() (key string, ok bool) {
	e := t.engine
	if gone := e.takeGone(1); len(gone) > 0 {
		return gone[0], true
	}
	for ; t.left < e.accounts.End(); t.left++ {
		if a := e.accounts.At(t.left + 1); a.keyLen != 0 {
			key = strings.Clone(e.accountKey(t.left + 1))
			e.remove(key, schemas.KindAccount)
			return key, true
		}
	}
	for ; t.left-e.accounts.End() < e.addresses.End(); t.left++ {
		if h := t.left - e.accounts.End() + 1; e.addresses.At(h).keyLen != 0 {
			key = strings.Clone(e.addressKey(h))
			e.remove(key, schemas.KindIP)
			return key, true
		}
	}
	for key = range e.employees {
		e.remove(key, schemas.KindEmployee)
		return key, true
	}
	return "", false
}
