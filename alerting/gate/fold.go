package gate

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Key is the key of everything on the proposals topic, and of the gate's state.
const Key = "gate"

// ActRelease is what a person asks for to release the brake.
const ActRelease = "release_brake"

// Fold is the gate's function of its log. A lane owns it; it is not safe for
// concurrent use.
type Fold struct {
	cfg     Config
	hashKey [2]uint64
	applied int64
	brake   brake
	answers answers
	active  active
	level   schemas.Level
	others  others
}

// New returns a gate that has counted nothing.
func New(cfg Config) *Fold { return &Fold{cfg: cfg} }

// Control takes the installation's secret, with which accounts are hashed, and its level.
func (f *Fold) Control(key string, value []byte) error {
	if key == schemas.ControlLevel {
		level, err := schemas.ParseLevel(value)
		if err == nil {
			f.level = max(f.level, level) // it is never lowered
		}
		return err
	}
	if key != schemas.ControlInstallation || value == nil {
		return nil
	}
	var in schemas.Installation
	if err := json.Unmarshal(value, &in); err != nil {
		return fmt.Errorf("control value %s: %w", key, err)
	}
	if len(in.HashSecret) < 16 {
		return fmt.Errorf("control value %s: its hash secret has %d bytes: at least 16 are needed", key, len(in.HashSecret))
	}
	f.hashKey = [2]uint64{binary.LittleEndian.Uint64(in.HashSecret), binary.LittleEndian.Uint64(in.HashSecret[8:])}
	return nil
}

// Tripped reports whether the brake is on, and why.
func (f *Fold) Tripped() (bool, string) { return f.brake.Tripped, f.brake.Why }

// Apply folds one record of the proposals topic in.
func (f *Fold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	if in.Offset < f.applied || in.Duplicate || in.Kind == schemas.KindFence {
		return false, nil
	}
	touched, err := f.apply(in, emit)
	if touched {
		f.applied = in.Offset + 1
		f.cfg.Meter.show(&f.brake)
	}
	return touched, err
}

func (f *Fold) apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	if in.Key != Key {
		return false, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: in.ID, What: fmt.Sprintf("key %q is not %q", in.Key, Key)}
	}
	switch in.Kind {
	case schemas.KindProposal:
		return f.proposal(in, emit)
	case schemas.KindActive:
		return f.seen(in)
	case schemas.KindRequest:
		return f.request(in, emit)
	}
	return false, &schemas.Error{Reason: schemas.ReasonUnknownType, Record: in.ID, Field: schemas.HeaderKind,
		What: fmt.Sprintf("the gate takes no %q", in.Kind), Fix: "send proposal, active or request"}
}

func (f *Fold) seen(in *schemas.Input) (bool, error) {
	var a schemas.Active
	if err := read(in, &a); err != nil {
		return false, err
	}
	if a.Account == "" || a.Day < 0 || a.Day > 1<<20 {
		return false, &schemas.Error{Reason: schemas.ReasonBadField, Record: in.ID, What: "account or day is missing or out of range"}
	}
	return f.active.add(a.Account, a.Day, f.hashKey)
}

func (f *Fold) proposal(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	var p schemas.Proposal
	if err := read(in, &p); err != nil {
		return false, err
	}
	if p.ID == "" || p.Decision == "" || p.Time.IsZero() || p.Entity.IsZero() {
		return false, &schemas.Error{Reason: schemas.ReasonMissing, Record: in.ID, What: "the proposal lacks its id, decision, time or entity"}
	}
	if y := p.Time.UTC().Year(); y < 2000 || y > 9998 {
		return false, &schemas.Error{Reason: schemas.ReasonTooOld, Record: in.ID, Field: "time", What: "lies before 2000 or after 9998"}
	}
	ans, known := f.answers.get(p.ID)
	if !known {
		var err error
		if ans, err = f.judge(p); err != nil {
			return false, err
		}
		f.answers.add(p.ID, ans)
		f.cfg.Meter.answered(ans)
	}
	out := schemas.Answer{ID: schemas.DeriveID("ans", p.ID), Time: p.Time, Entity: p.Entity, Decision: p.Decision, Go: ans.goes(), Page: ans.pages()}
	if !out.Go {
		out.Reason = "more automatic stops than the brake allows"
		if f.brake.Why != "" {
			out.Reason = f.brake.Why
		}
	}
	return true, write(in, emit, schemas.TopicInbox, schemas.KindAnswer, out.ID, p.Entity.Key(), out)
}

func (f *Fold) judge(p schemas.Proposal) (answer, error) {
	if f.cfg.BrakeOff {
		return answerGo, nil
	}
	tripped, err := f.brake.count(p.Time.UnixMilli(), f.active.estimate)
	switch {
	case err != nil:
		return 0, err
	case tripped:
		return answerPage, nil
	case f.brake.Tripped:
		return answerBraked, nil
	}
	return answerGo, nil
}

func (f *Fold) request(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	var r schemas.Request
	if err := read(in, &r); err != nil {
		return false, err
	}
	if r.ID == "" || r.Time.IsZero() {
		return false, &schemas.Error{Reason: schemas.ReasonMissing, Record: in.ID, What: "the request has no id or no time"}
	}
	if _, known := f.answers.get(r.ID); known {
		return false, nil
	}
	op := schemas.Operator{ID: schemas.DeriveID("opr", r.ID), Time: r.Time, Actor: r.Actor, Act: r.Act, Entity: r.Entity, Why: r.Why, Address: r.Address, Before: f.word()}
	switch {
	case r.Act != ActRelease:
		op.Refused = fmt.Sprintf("act %q is unknown here: use %s", r.Act, ActRelease)
	case r.Actor == "" || r.Why == "":
		op.Refused = "who asks or why is missing"
	case !f.brake.Tripped:
		op.Refused = "the brake is not on"
	default:
		f.brake.release()
	}
	f.answers.add(r.ID, answerGo)
	op.After = f.word()
	return true, write(in, emit, schemas.TopicOperator, schemas.KindOperator, op.ID, Key, op)
}

func (f *Fold) word() string {
	if f.brake.Tripped {
		return "tripped"
	}
	return "open"
}

func read(in *schemas.Input, v any) error {
	if err := json.Unmarshal(in.Value, v); err != nil {
		return &schemas.Error{Reason: schemas.ReasonNotJSON, Record: in.ID, What: fmt.Sprintf("%s cannot be read: %v", in.Kind, err)}
	}
	return nil
}

func write(in *schemas.Input, emit func(schemas.Output), t schemas.Topic, k schemas.Kind, id, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return &schemas.Error{Reason: schemas.ReasonBadField, Record: in.ID, What: fmt.Sprintf("its %s cannot be written: %v", k, err)}
	}
	emit(schemas.Output{Topic: t, Kind: k, ID: id, Key: strings.Clone(key), Origin: in.Origin, Value: b})
	return nil
}
