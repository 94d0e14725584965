package lane

import "holdfast/schemas"

// Fold is a lane's pure function of its log. It reads no clock, does no I/O and owns
// no goroutine; its lane's goroutine alone calls it.
type Fold interface {
	// Control takes one value of the control topic; nil says that it was deleted. An
	// error is logged and counted, and what was in force before stays in force.
	Control(key string, value []byte) error

	// Restore takes one record of the state projection; nil says that it was deleted.
	// The value is only valid during the call. An error that is
	// schemas.ErrStateDamaged forgets this value, records a gap and goes on; any other
	// stops the lane.
	Restore(key string, value []byte) error

	// Apply folds one record in. touched says that the state of in.Key changed. An
	// error, a *schemas.Error where possible, says that the record cannot be used and
	// that nothing was changed: the lane rejects it and drops what was emitted for it.
	// in is only valid during the call. Outputs must not refer to its strings and bytes
	// unless cloned, but for what Fact and Signal hold.
	//
	// After a restart a lane reads some records again: those below the offset applied
	// to the entity's state leave it untouched and emit nothing but count facts.
	// Records with in.Duplicate are never scored.
	Apply(in *schemas.Input, emit func(schemas.Output)) (touched bool, err error)

	// Save encodes the whole present state of the entity with that key as records of
	// the state projection, which all go in one batch. A nil value deletes. The values
	// belong to the lane afterwards.
	Save(key string, emit func(key string, value []byte)) error
}
