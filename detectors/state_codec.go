package detectors

import (
	"fmt"
	"strings"

	"holdfast/schemas"
)

// layout is the version of the state payloads that are written below the feature level
// schemas.LevelSections: the last that was one piece. Those before it were never released.
const layout = 7

func appliedOf(a [2]int64) (out schemas.Applied) {
	out[schemas.AppliedEvents], out[schemas.AppliedFacts] = a[0], a[1]
	return out
}

// Save encodes the present state of the entity with that key as one record; a
// nil value says that there is none.
func (e *Engine) Save(key string, emit func(key string, value []byte)) error {
	return e.saveAt(e.level, key, emit)
}

func (e *Engine) saveAt(level schemas.Level, key string, emit func(key string, value []byte)) error {
	kind, _, _ := strings.Cut(key, ":")
	w := writer{e.buf[:0]}
	var unknown []byte
	if e.unknown != nil {
		unknown = e.unknown[key]
	}
	var applied [2]int64
	switch schemas.EntityKind(kind) {
	case schemas.KindAccount:
		a := e.findAccount(key)
		nobody := a != nil && level < schemas.LevelSections && a.isNobody(&e.store)
		if a == nil || nobody && a.records.n == 0 {
			emit(key, nil)
			return nil
		}
		if nobody {
			a = &account{records: a.records, applied: a.applied}
		}
		appendSections(accountSections, a, &w, &e.store, level, unknown)
		applied = a.applied
	case schemas.KindEmployee:
		m := e.employees[key]
		if m == nil {
			emit(key, nil)
			return nil
		}
		appendSections(employeeSections, m, &w, &e.store, level, unknown)
		applied = m.applied
	default:
		a := e.findAddress(key)
		if a == nil {
			emit(key, nil)
			return nil
		}
		appendSections(addressSections, a, &w, &e.store, level, unknown)
		applied = a.applied
	}
	e.buf = w.b
	frame := schemas.StateFrame{Version: layout, Applied: appliedOf(applied), Payload: w.b}
	if level >= schemas.LevelSections {
		frame.Version = schemas.FrameSections
	}
	value := schemas.AppendStateFrame(make([]byte, 0, len(w.b)+frameRoom), frame)
	if len(value) > schemas.MaxState {
		return fmt.Errorf("state of %q has %d bytes, more than %d: this is a fault in a cap", key, len(value), schemas.MaxState)
	}
	emit(key, value)
	return nil
}

// frameRoom is what a frame around a payload of detection takes.
const frameRoom = 2 + 2*9 + 4

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
	if f.Version != layout && f.Version != schemas.FrameSections {
		return fmt.Errorf("restore %q: %w", key, schemas.UnreadableLayout(f.Version))
	}
	r := reader{b: f.Payload, ok: true}
	applied := [2]int64{f.Applied[schemas.AppliedEvents], f.Applied[schemas.AppliedFacts]}
	install, err := e.parse(key, entity.Kind, f.Version, &r, applied)
	if err != nil {
		return fmt.Errorf("restore %q: %w", key, err)
	}
	if !r.ok || len(r.b) != 0 || applied[0] < 0 || applied[1] < 0 {
		return fmt.Errorf("restore %q: %w: the payload does not fit its layout", key, schemas.ErrStateDamaged)
	}
	install()
	return nil
}

// parse decodes a payload and returns what puts it in place.
func (e *Engine) parse(key string, kind schemas.EntityKind, version byte, r *reader, applied [2]int64) (install func(), err error) {
	switch kind {
	case schemas.KindAccount:
		var v accountValue
		unknown, err := readState(accountSections, version, r, &v)
		v.check(r)
		return func() {
			a := e.findAccount(key)
			if a == nil {
				a = e.newAccount(key)
			}
			e.recent.forget(a)
			e.forgetVisit(key)
			a.load(&e.store, &v, applied)
			if v.aside.nobody {
				e.visited = append(e.visited, e.byAccount.find(key))
			}
			e.setUnknown(key, unknown)
		}, err
	case schemas.KindEmployee:
		var v employeeValue
		unknown, err := readState(employeeSections, version, r, &v)
		v.check(r)
		return func() {
			m := e.employees[key]
			if m == nil {
				m = &employee{}
				e.employees[strings.Clone(key)] = m
			}
			m.load(&e.store.Store, &v, applied)
			e.setUnknown(key, unknown)
		}, err
	}
	var v addressValue
	unknown, err := readState(addressSections, version, r, &v)
	return func() {
		a := e.findAddress(key)
		if a == nil {
			a = e.newAddress(key)
		}
		a.load(&e.store, &v, applied)
		e.setUnknown(key, unknown)
	}, err
}

// readState reads a payload in either form.
func readState[E, V any](table []section[E, V], version byte, r *reader, v *V) (unknown []byte, err error) {
	if version == layout {
		readLayout(table, r, v)
		return nil, nil
	}
	return readSections(table, r, v)
}

func (e *Engine) remove(key string, kind schemas.EntityKind) {
	e.setUnknown(key, nil)
	switch kind {
	case schemas.KindAccount:
		if h := e.byAccount.find(key); h != 0 {
			a := e.accounts.At(h)
			e.recent.forget(a)
			e.forgetVisit(key)
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
