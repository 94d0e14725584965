package gate

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

const stateVersion = 1

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
	payload, err := json.Marshal(state{f.brake, f.answers, days})
	if err != nil {
		return fmt.Errorf("encode the gate's state: %w", err)
	}
	frame := schemas.StateFrame{Version: stateVersion, Payload: payload}
	frame.Applied[schemas.AppliedProposals] = f.applied
	emit(key, schemas.AppendStateFrame(nil, frame))
	return nil
}

// Restore takes one record of the gate's state projection.
func (f *Fold) Restore(key string, value []byte) error {
	if key != Key {
		return fmt.Errorf("gate state has key %q: only %q is known", key, Key)
	}
	if value == nil {
		*f = Fold{cfg: f.cfg, hashKey: f.hashKey}
		return nil
	}
	frame, err := schemas.ParseStateFrame(value)
	if err != nil {
		return fmt.Errorf("gate state: %w", err)
	}
	if frame.Version != stateVersion {
		return fmt.Errorf("gate state has layout %d, this program knows %d: run the version that wrote it", frame.Version, stateVersion)
	}
	var s state
	if err := json.Unmarshal(frame.Payload, &s); err != nil {
		return fmt.Errorf("decode gate state: %w", err)
	}
	if len(s.Answers)%answerSize != 0 {
		return fmt.Errorf("decode gate state: %w: its answers have %d bytes", schemas.ErrStateDamaged, len(s.Answers))
	}
	days, err := restoreActive(s.Active)
	if err != nil {
		return fmt.Errorf("decode gate state: %w", err)
	}
	f.applied, f.brake, f.answers, f.active = frame.Applied[schemas.AppliedProposals], s.Brake, s.Answers, days
	return nil
}
