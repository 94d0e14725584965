package detectors

import (
	"fmt"
	"strings"

	"holdfast/schemas"
)

// layout is the version of the state payloads below.
const layout = 7

func appliedOf(a [2]int64) (out schemas.Applied) {
	out[schemas.AppliedEvents], out[schemas.AppliedFacts] = a[0], a[1]
	return out
}

// Save encodes the present state of the entity with that key as one record; a
// nil value says that there is none.
func (e *Engine) Save(key string, emit func(key string, value []byte)) error {
	kind, _, _ := strings.Cut(key, ":")
	w := writer{e.buf[:0]}
	var applied [2]int64
	switch schemas.EntityKind(kind) {
	case schemas.KindAccount:
		a := e.findAccount(key)
		if a == nil {
			emit(key, nil)
			return nil
		}
		a.append(&w, &e.store)
		applied = a.applied
	case schemas.KindEmployee:
		m := e.employees[key]
		if m == nil {
			emit(key, nil)
			return nil
		}
		m.append(&w, &e.store.Store)
		applied = m.applied
	default:
		a := e.findAddress(key)
		if a == nil {
			emit(key, nil)
			return nil
		}
		a.append(&w, &e.store)
		applied = a.applied
	}
	e.buf = w.b
	value := schemas.AppendStateFrame(nil, schemas.StateFrame{Version: layout, Applied: appliedOf(applied), Payload: w.b})
	if len(value) > schemas.MaxState {
		return fmt.Errorf("state of %q has %d bytes, more than %d: this is a fault in a cap", key, len(value), schemas.MaxState)
	}
	emit(key, value)
	return nil
}

// Restore takes one record of the state projection; a nil value removes the
// entity. A value that cannot be read changes nothing.
func (e *Engine) Restore(key string, value []byte) error {
	entity, err := schemas.ParseEntity(key)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if value == nil {
		e.remove(key, entity.Kind)
		return nil
	}
	f, err := schemas.ParseStateFrame(value)
	if err != nil {
		return fmt.Errorf("restore %q: %w", key, err)
	}
	if f.Version != layout {
		return fmt.Errorf("restore %q: layout %d is not %d: rebuild the state from the log, or run the version that wrote it", key, f.Version, layout)
	}
	r := reader{b: f.Payload, ok: true}
	applied := [2]int64{f.Applied[schemas.AppliedEvents], f.Applied[schemas.AppliedFacts]}
	install := e.parse(key, entity.Kind, &r, applied)
	if !r.ok || len(r.b) != 0 || applied[0] < 0 || applied[1] < 0 {
		return fmt.Errorf("restore %q: %w: the payload does not fit its layout", key, schemas.ErrStateDamaged)
	}
	install()
	return nil
}

// parse decodes a payload and returns what puts it in place.
func (e *Engine) parse(key string, kind schemas.EntityKind, r *reader, applied [2]int64) (install func()) {
	switch kind {
	case schemas.KindAccount:
		v := r.account()
		return func() {
			a := e.findAccount(key)
			if a == nil {
				a = e.newAccount(key)
			}
			e.recent.forget(a)
			a.load(&e.store, &v, applied)
		}
	case schemas.KindEmployee:
		v := r.employee()
		return func() {
			m := e.employees[key]
			if m == nil {
				m = &employee{}
				e.employees[strings.Clone(key)] = m
			}
			m.load(&e.store.Store, &v, applied)
		}
	}
	v := r.address()
	return func() {
		a := e.findAddress(key)
		if a == nil {
			a = e.newAddress(key)
		}
		a.load(&e.store, &v, applied)
	}
}

func (e *Engine) remove(key string, kind schemas.EntityKind) {
	switch kind {
	case schemas.KindAccount:
		if h := e.byAccount.find(key); h != 0 {
			a := e.accounts.At(h)
			e.recent.forget(a)
			e.byAccount.drop(key)
			a.free(&e.store)
			e.accounts.Free(h)
		}
	case schemas.KindEmployee:
		if m := e.employees[key]; m != nil {
			m.free(&e.store.Store)
			delete(e.employees, key)
		}
	default:
		if h := e.byAddress.find(key); h != 0 {
			e.byAddress.drop(key)
			e.addresses.At(h).free(&e.store)
			e.addresses.Free(h)
		}
	}
}
