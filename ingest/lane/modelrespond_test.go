package lane_test

import (
	"encoding/json"
	"fmt"

	"holdfast/schemas"
)

// respondState is an entity's standing.
type respondState struct {
	Rank, Episode int
	Families      map[string]bool
	Seen          map[string]bool
}

type respondEntity struct {
	respondState
	applied schemas.Applied
}

type respondFold struct {
	all map[string]*respondEntity
	// ablation
	forgetSeen bool
}

func newRespondFold() *respondFold { return &respondFold{all: map[string]*respondEntity{}} }

func (f *respondFold) Control(string, []byte) error { return nil }

func (f *respondFold) Restore(key string, value []byte) error {
	frame, err := schemas.ParseStateFrame(value)
	if err != nil {
		return err
	}
	e := &respondEntity{applied: frame.Applied}
	f.all[key] = e
	return json.Unmarshal(frame.Payload, &e.respondState)
}

func (f *respondFold) Save(key string, emit func(string, []byte)) error {
	e := f.all[key]
	payload, err := json.Marshal(e.respondState)
	emit(key, schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 1, Applied: e.applied, Payload: payload}))
	return err
}

// verdict is what a decision of the model says.
type verdict struct {
	ID, Key, Verdict string
	Episode, Rank    int
}

var ranks = map[string]int{"review": 1, "suspend": 2, "release": 3}

func (f *respondFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	if in.Duplicate {
		return false, nil
	}
	e := f.all[in.Key]
	if e == nil {
		e = &respondEntity{}
		f.all[in.Key] = e
	}
	if in.Offset < e.applied[schemas.AppliedInbox] {
		return false, nil
	}
	e.applied[schemas.AppliedInbox] = in.Offset + 1
	var s signal
	if err := json.Unmarshal(in.Value, &s); err != nil {
		return false, err
	}
	for _, v := range e.fold(in.Kind, in.Key, &s, f.forgetSeen) {
		emitJSON(emit, schemas.TopicDecisions, schemas.KindDecision, v.ID, v.Key, v)
		emitJSON(emit, schemas.TopicStatus, schemas.KindStatus, v.ID, v.Key, schemas.Status{Status: v.Verdict, Episode: v.Episode, Step: v.Rank})
	}
	return true, nil
}

// fold is the decision as a function of what came before: a review at the first
// signal, a suspension at the second family, an end when a person releases.
func (e *respondState) fold(kind schemas.Kind, key string, s *signal, forgetSeen bool) (out []verdict) {
	decide := func(v string) {
		out = append(out, verdict{fmt.Sprintf("%s %s %d", v, key, e.Episode), key, v, e.Episode, ranks[v]})
	}
	if kind == schemas.KindRequest {
		if e.Rank > 0 {
			decide("release")
			e.Episode, e.Rank, e.Families = e.Episode+1, 0, nil
		}
		return out
	}
	if e.Seen == nil {
		e.Seen = map[string]bool{}
	}
	if e.Families == nil {
		e.Families = map[string]bool{}
	}
	if e.Seen[s.ID] && !forgetSeen {
		return nil
	}
	e.Seen[s.ID] = true
	e.Families[s.Family] = true
	if e.Rank < 1 {
		e.Rank = 1
		decide("review")
	}
	if len(e.Families) >= 2 && e.Rank < 2 {
		e.Rank = 2
		decide("suspend")
	}
	return out
}
