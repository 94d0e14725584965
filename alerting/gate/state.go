package gate

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// layout is the version of a state value that is one JSON object, as it is written below
// the feature level schemas.LevelSections.
const layout = 1

// Tags of the sections of the gate's state; see schemas.Section for the rules. The first
// and the last are JSON objects, of which members that this program does not know are
// kept; the answers are bytes.
const (
	tagBrake uint64 = 1 + iota
	tagAnswers
	tagActive
)

type brakePart struct {
	brake
	Rest jsontext.Value `json:",embed"`
}

type activePart struct {
	Active []day          `json:"active,omitempty"`
	Rest   jsontext.Value `json:",embed"`
}

// others is what another version wrote.
type others struct {
	sections      []byte
	brake, active jsontext.Value
}

// answer is what a proposal was told.
type answer byte

// The answers.
const (
	answerGo answer = iota
	answerBraked
	answerPage // braked, and the first of its trip
)

func (a answer) goes() bool  { return a == answerGo }
func (a answer) pages() bool { return a == answerPage }

// maxAnswers bounds the remembered answers: 36 KiB.
const (
	maxAnswers = 4096
	answerSize = 9
)

// answers holds 8 bytes of the SHA-256 of each answered id and its answer, in
// their order.
type answers []byte

func (a answers) get(id string) (answer, bool) {
	sum := sha256.Sum256([]byte(id))
	for i := 0; i < len(a); i += answerSize {
		if bytes.Equal(a[i:i+8], sum[:8]) {
			return answer(a[i+8]), true
		}
	}
	return 0, false
}

func (a *answers) add(id string, x answer) {
	sum := sha256.Sum256([]byte(id))
	if len(*a) >= maxAnswers*answerSize {
		*a = append((*a)[:0], (*a)[answerSize:]...)
	}
	*a = append(append(*a, sum[:8]...), byte(x))
}

// state is the gate's state value's payload.
type state struct {
	Brake   brake   `json:"brake"`
	Answers answers `json:"answers,omitempty"`
	Active  []day   `json:"active,omitempty"`
}

// Save encodes the gate's state under Key.
func (f *Fold) Save(key string, emit func(key string, value []byte)) error {
	if key != Key {
		emit(key, nil)
		return nil
	}
	days, err := f.active.save()
	if err != nil {
		return err
	}
	frame := schemas.StateFrame{Version: layout}
	frame.Applied[schemas.AppliedProposals] = f.applied
	if f.level < schemas.LevelSections {
		frame.Payload, err = json.Marshal(state{f.brake, f.answers, days})
	} else {
		frame.Version = schemas.FrameSections
		frame.Payload, err = f.sections(days)
	}
	if err != nil {
		return fmt.Errorf("encode the gate's state: %w", err)
	}
	emit(key, schemas.AppendStateFrame(nil, frame))
	return nil
}

func (f *Fold) sections(days []day) ([]byte, error) {
	brake, err := json.Marshal(brakePart{f.brake, f.others.brake})
	if err != nil {
		return nil, err
	}
	active, err := json.Marshal(activePart{days, f.others.active})
	if err != nil {
		return nil, err
	}
	b := schemas.AppendSection(nil, tagBrake, 0, brake)
	b = schemas.AppendSection(b, tagAnswers, 0, f.answers)
	b = schemas.AppendSection(b, tagActive, 0, active)
	return append(b, f.others.sections...), nil
}

// Restore takes one record of the gate's state projection.
func (f *Fold) Restore(key string, value []byte) error {
	if key != Key {
		return fmt.Errorf("gate state has key %q: only %q is known", key, Key)
	}
	if value == nil {
		*f = Fold{cfg: f.cfg, hashKey: f.hashKey, level: f.level}
		return nil
	}
	frame, err := schemas.ParseStateFrame(value)
	if err != nil {
		return fmt.Errorf("gate state: %w", err)
	}
	var s state
	var o others
	switch frame.Version {
	case layout:
		err = json.Unmarshal(frame.Payload, &s)
	case schemas.FrameSections:
		o, err = s.take(frame.Payload)
	default:
		err = schemas.UnreadableLayout(frame.Version)
	}
	if err != nil {
		return fmt.Errorf("decode gate state: %w", err)
	}
	if len(s.Answers)%answerSize != 0 {
		return fmt.Errorf("decode gate state: %w: its answers have %d bytes", schemas.ErrStateDamaged, len(s.Answers))
	}
	days, err := restoreActive(s.Active)
	if err != nil {
		return fmt.Errorf("decode gate state: %w", err)
	}
	f.applied, f.brake, f.answers, f.active, f.others = frame.Applied[schemas.AppliedProposals], s.Brake, s.Answers, days, o
	f.cfg.Meter.show(&f.brake)
	return nil
}

// take reads sections.
func (s *state) take(payload []byte) (o others, err error) {
	for last := uint64(0); len(payload) > 0; {
		x, rest, err := schemas.CutSection(payload, last)
		if err == nil && x.Tag <= tagActive && x.Version > 0 {
			err = schemas.UnreadableSection(x, 0)
		}
		if err != nil {
			return o, err
		}
		switch x.Tag {
		case tagBrake:
			var p brakePart
			err = json.Unmarshal(x.Body, &p)
			s.Brake, o.brake = p.brake, p.Rest
		case tagAnswers:
			s.Answers = bytes.Clone(x.Body)
		case tagActive:
			var p activePart
			err = json.Unmarshal(x.Body, &p)
			s.Active, o.active = p.Active, p.Rest
		default:
			o.sections = append(o.sections, x.Raw...)
		}
		if err != nil {
			return o, err
		}
		payload, last = rest, x.Tag
	}
	return o, nil
}
