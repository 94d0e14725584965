package detectors

import (
	"holdfast/schemas"
)

// Config says which lane an engine folds.
type Config struct {
	Lane, Lanes int
	// HashSecret keys the hashes behind sketches and sets; the control value
	// "installation" sets it where it is empty here.
	HashSecret []byte
	// Parameters are the detectors' parameters until control brings others; nil
	// means the defaults. Its shape is that of the control value: {"volume": {"floor_1h": 60}}.
	Parameters []byte
}

// Engine folds one detect lane's events and facts. It implements the lane's Fold.
type Engine struct {
	cfg Config
}

// New returns an engine without any state. Bad parameters are reported by the
// first Control or by Check.
func New(cfg Config) *Engine { return &Engine{cfg: cfg} }

// Control takes one value of the control topic: "installation" and "parameters";
// other keys are ignored.
func (e *Engine) Control(key string, value []byte) error { return nil }

// Restore takes one record of the state projection; a nil value removes the entity.
func (e *Engine) Restore(key string, value []byte) error { return nil }

// Apply folds one record in and emits what follows from it. touched says that the
// state of in.Key changed. An error says that the record cannot be used and that
// nothing was changed.
func (e *Engine) Apply(in *schemas.Input, emit func(schemas.Output)) (touched bool, err error) {
	return false, nil
}

// Save encodes the present state of the entity with that key.
func (e *Engine) Save(key string, emit func(key string, value []byte)) error { return nil }
