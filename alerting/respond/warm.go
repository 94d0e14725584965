package respond

import "strings"

// warmBytes bounds the payloads whose decoded states are kept beside them, and
// warmKeys how many these are.
const (
	warmBytes = 2 << 20
	warmKeys  = 8192
)

// warm are the entities whose decoded states are kept, those kept first in front.
type warm struct {
	keys  []string
	bytes int
}

// decoded is the state that the entry stands for. The caller may change it, and
// then keeps or cools it.
func (e *entry) decoded() (*state, error) {
	switch {
	case e.state != nil:
		return e.state, nil
	case e.payload == nil:
		return &state{}, nil
	}
	return decodeState(stateVersion, e.payload)
}

// put replaces an entity's entry by one whose state is decoded.
func (f *Fold) put(key string, e entry) {
	old, known := f.entities[key]
	if !known || old.state == nil {
		key = strings.Clone(key)
		f.warm.keys = append(f.warm.keys, key)
	} else {
		f.warm.bytes -= old.weight
	}
	f.warm.bytes += e.weight
	f.entities[key] = e
	for len(f.warm.keys) > 0 && (f.warm.bytes > warmBytes || len(f.warm.keys) > warmKeys) {
		f.cool(f.warm.keys[0])
		f.warm.keys = f.warm.keys[1:]
	}
}

// cool drops the decoded state of an entity and leaves the payload.
func (f *Fold) cool(key string) {
	e, ok := f.entities[key]
	if !ok || e.state == nil || f.write(key) != nil {
		return // what cannot be written is kept, and Save says why
	}
	f.warm.bytes -= e.weight
	f.entities[key] = entry{applied: e.applied, payload: f.entities[key].payload}
}

// write encodes the state of an entity where that was put off.
func (f *Fold) write(key string) error {
	e := f.entities[key]
	if e.payload != nil || e.state == nil {
		return nil
	}
	var err error
	if e.payload, err = e.state.encode(); err != nil {
		return err
	}
	f.entities[key] = e
	return nil
}

// secure writes the entity's state down before it is changed, and after it. A record
// that turns out unusable halfway leaves nothing behind so. What only adds a signal of
// ordinary times cannot fail: its state is written when it is saved or cooled.
func (w *work) secure() error {
	w.secured = true
	if w.trial != "" {
		return nil // its state is written each time
	}
	if _, known := w.fold.entities[w.in.Key]; !known {
		return nil
	}
	return w.fold.write(w.in.Key)
}

// odd reports whether a time cannot be written in every zone.
func odd(ms int64) bool {
	const from, to = -62_000_000_000_000, 253_000_000_000_000 // the years 5 and 9987
	return ms < from || ms > to
}

// weight is about how long the state is when it is written.
func (s *state) weight() int {
	n := 64 + len(s.Known)*4/3 + 64*len(s.Done) + 1024*len(s.Pending)
	for i := range s.Signals {
		n += 300 + len(s.Signals[i].Text)
	}
	if s.Account != nil {
		n += 100 + 64*len(s.Account.Contacts)
	}
	if s.Case != nil {
		n += 200 + 40*len(s.Case.Decisions)
	}
	return n
}
