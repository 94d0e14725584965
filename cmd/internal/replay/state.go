package replay

import (
	"holdfast/alerting/gate"
	"holdfast/alerting/respond"
	"holdfast/detectors"
	"holdfast/schemas"
)

// folds are the run's own, by what they are.
type folds struct {
	people    [lanes]*detectors.Fold
	addresses *detectors.Fold
	decide    *respond.Fold
	brake     *gate.Fold
}

// of is the fold that holds an entity's state on a projection.
func (f *folds) of(topic schemas.Topic, key string) interface {
	Restore(key string, value []byte) error
	Save(key string, emit func(key string, value []byte)) error
} {
	switch topic {
	case schemas.TopicStateRespond:
		return f.decide
	case schemas.TopicStateGate:
		return f.brake
	}
	if _, entity, ok := schemas.CutTrialKey(key, 1); ok {
		key = entity
	}
	if ofAddress(key) {
		return f.addresses
	}
	return f.people[laneOf([]byte(key))]
}

// Place is where a run stands in its own logs, so that another one can go on from there.
type Place struct {
	Events, Facts    [lanes]int64 // of people
	AddressEvents    int64
	AddressFacts     int64
	Inbox, Proposals int64
	Latest, Told     int64
	Counts           [6]int64 // the summary's: lines, events, refused, duplicates, signals, decisions
}

// Place returns where the run stands.
func (r *Replay) Place() Place {
	p := Place{AddressEvents: r.events.offset, AddressFacts: r.facts.offset, Inbox: r.inbox.offset, Proposals: r.proposals.offset, Latest: r.latest, Told: r.told}
	p.Counts = [...]int64{r.sum.Lines, r.sum.Events, r.sum.Refused, r.sum.Duplicates, r.sum.Signals, r.sum.Decisions}
	for i := range r.detection.lanes {
		p.Events[i], p.Facts[i] = r.detection.lanes[i].events, r.detection.lanes[i].facts
	}
	return p
}

// GoOn puts a new run where another one stood, whose state it has been given by Restore.
func (r *Replay) GoOn(p Place) {
	r.events.offset, r.facts.offset, r.inbox.offset, r.proposals.offset = p.AddressEvents, p.AddressFacts, p.Inbox, p.Proposals
	r.latest, r.told = p.Latest, p.Told
	r.sum = Summary{Lines: p.Counts[0], Events: p.Counts[1], Refused: p.Counts[2], Duplicates: p.Counts[3], Signals: p.Counts[4], Decisions: p.Counts[5]}
	for i := range r.detection.lanes {
		r.detection.lanes[i].events, r.detection.lanes[i].facts = p.Events[i], p.Facts[i]
	}
}

// Save gives all state that the run holds, as it stands on the projections: of each
// entity in turn, with its values under trials. The offsets applied in it are those of
// the run's own logs.
func (r *Replay) Save(emit func(topic schemas.Topic, entity, key string, value []byte) error) error {
	save := func(topic schemas.Topic, entity string) (err error) {
		failed := r.states.of(topic, entity).Save(entity, func(key string, value []byte) {
			if err == nil && value != nil {
				err = emit(topic, entity, key, value)
			}
		})
		if failed != nil {
			return failed
		}
		return err
	}
	for _, f := range []*detectors.Fold{r.states.people[0], r.states.people[1], r.states.addresses} {
		for key := range f.Keys {
			if err := save(schemas.TopicStateDetect, key); err != nil {
				return err
			}
		}
	}
	for key := range r.states.decide.Keys {
		if err := save(schemas.TopicStateRespond, key); err != nil {
			return err
		}
	}
	return save(schemas.TopicStateGate, gate.Key)
}

// Restore takes what Save gave.
func (r *Replay) Restore(topic schemas.Topic, key string, value []byte) error {
	return r.states.of(topic, key).Restore(key, value)
}

// Adopt takes a published status for an entity's standing where that is newer.
func (r *Replay) Adopt(s schemas.Status) (bool, error) { return r.states.decide.Adopt(s) }
