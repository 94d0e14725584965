package respond

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// trials are what is known of entities under numbers on trial, apart from all that
// is live. The live policies judge the signals of a trial by themselves; what they
// decide is recorded in mode shadow and goes no further.
type trials struct {
	runs []schemas.TrialRun
	// entries are an entity's states, by the trial's name.
	entries map[string]map[string]entry
	held    map[string]int // how many entries a trial has
	left    []string       // keys of entries that are dropped and still stand on the projection
	arrived int64
}

func newTrials() trials {
	return trials{entries: map[string]map[string]entry{}, held: map[string]int{}}
}

// running tells whether a trial runs or has ended so shortly before that its windows may
// still be judged.
func (t *trials) running(name string) bool {
	return name == schemas.EvidenceRun || slices.ContainsFunc(t.runs, func(r schemas.TrialRun) bool {
		return r.Name == name && !r.Over(t.arrived, policy.MaxWindow)
	})
}

func (t *trials) get(entity, name string) entry { return t.entries[entity][name] }

func (t *trials) put(entity, name string, e entry) {
	all := t.entries[entity]
	if all == nil {
		all = map[string]entry{}
		t.entries[strings.Clone(entity)] = all
	}
	name = strings.Clone(name) // the map keeps the last one that it is given
	if _, ok := all[name]; !ok {
		t.held[name]++
	}
	all[name] = e
}

func (t *trials) drop(entity, name string) {
	all, ok := t.entries[entity]
	if _, known := all[name]; !ok || !known {
		return
	}
	if delete(all, name); len(all) == 0 {
		delete(t.entries, entity)
	}
	if t.held[name]--; t.held[name] == 0 {
		delete(t.held, name)
	}
}

// Sweep returns keys of what trials that are over have left on the projection.
func (f *Fold) Sweep(n int) []string {
	t := &f.trials
	for name := range t.held {
		if t.running(name) {
			continue
		}
		for entity := range t.entries {
			if _, ok := t.entries[entity][name]; ok {
				t.left = append(t.left, schemas.TrialKey(name, entity))
				t.drop(entity, name)
			}
		}
	}
	n = min(n, len(t.left))
	out := slices.Clone(t.left[:n])
	t.left = t.left[n:]
	return out
}

// saveTrials encodes an entity's states under trials, beside its live one.
func (f *Fold) saveTrials(entity string, emit func(key string, value []byte)) {
	all := f.trials.entries[entity]
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		emit(schemas.TrialKey(name, entity), e.frame())
	}
}

func (f *Fold) restoreTrial(name, entity string, value []byte) error {
	if value == nil {
		f.trials.drop(entity, name)
		return nil
	}
	e, err := restored(value)
	if errors.Is(err, schemas.ErrStateNewer) || errors.Is(err, schemas.ErrStateOlder) {
		f.trials.left = append(f.trials.left, schemas.TrialKey(name, entity))
		return nil // another version's: the trial's windows fill again
	}
	if err != nil {
		return fmt.Errorf("respond state of %s under trial %s: %w", entity, name, err)
	}
	f.trials.put(entity, name, e)
	return nil
}

// trial folds in a signal that numbers on trial raised.
func (f *Fold) trial(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	s, err := signalOf(in)
	if err != nil {
		return false, err
	}
	if s.Trial == "" || strings.Contains(s.Trial, ":") {
		return false, &schemas.Error{Reason: schemas.ReasonBadField, Record: s.ID, Field: "trial", What: "names no trial", Fix: "only detect lanes write signals on trial"}
	}
	e := f.trials.get(in.Key, s.Trial)
	if !f.trials.running(s.Trial) || in.Offset < e.applied {
		return false, nil
	}
	live, err := f.state(in.Key, f.known(in.Key))
	if err != nil {
		return false, err
	}
	st, err := f.state(in.Key, &e)
	if err != nil {
		return false, err
	}
	w := &work{fold: f, in: in, st: st, trial: s.Trial}
	w.asks = s.Trial == schemas.EvidenceRun && !f.keep(s).History
	if w.entity, err = schemas.ParseEntity(strings.Clone(in.Key)); err != nil {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: in.ID, What: err.Error()}
	}
	st.lend(live)
	if touched, err := w.judge(s); err != nil || w.err != nil || !touched {
		return false, cmp.Or(err, w.err)
	}
	st.lend(&state{})
	payload, version, err := st.encode(f.level)
	if err != nil {
		return false, err
	}
	f.trials.put(in.Key, w.trial, entry{applied: in.Offset + 1, payload: payload, version: version})
	for _, o := range w.out {
		emit(o)
	}
	return true, nil
}

// lend lets a trial's state show what people and snapshots say of the entity, which
// is kept once, with the live state.
func (s *state) lend(live *state) {
	s.Account, s.Snooze, s.Allows = live.Account, live.Snooze, live.Allows
	s.Stops, s.Releases, s.Probation = live.Stops, live.Releases, live.Probation
}

// forgetTrials drops what trials remember of an entity that a person has released or
// dismissed: the same signals do not count again, live or on trial.
func (f *Fold) forgetTrials(entity string, offset int64) {
	all := f.trials.entries[entity]
	for name, e := range all {
		st, err := f.state(entity, &e)
		if err != nil {
			continue // it is reported when it is judged
		}
		st.Signals = slices.DeleteFunc(st.Signals, func(k kept) bool { return !k.History })
		if payload, version, err := st.encode(f.level); err == nil {
			all[name] = entry{applied: offset + 1, payload: payload, version: version}
		}
	}
}
