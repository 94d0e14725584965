package respond

import (
	"strings"

	"holdfast/schemas"
)

// warmBytes bounds the payloads whose decoded states are kept beside them, and
// warmEntries how many these are.
const (
	warmBytes   = 2 << 20
	warmEntries = 8192
)

// warm are the entities whose decoded states are kept, those kept first in front.
type warm struct {
	entries []*entry
	bytes   int
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
	return decodeState(e.version, e.payload)
}

// put replaces an entity's entry by one whose state is decoded.
func (f *Fold) put(key string, now entry) {
	e := f.entities[key]
	if e == nil {
		e = new(entry)
		f.entities[strings.Clone(key)] = e
	}
	if e.state == nil {
		f.warm.entries = append(f.warm.entries, e)
	}
	f.warm.bytes += now.weight - e.weight
	*e = now
	for len(f.warm.entries) > 0 && (f.warm.bytes > warmBytes || len(f.warm.entries) > warmEntries) {
		f.cool(f.warm.entries[0])
		f.warm.entries = f.warm.entries[1:]
	}
}

// cool drops the decoded state of an entity and leaves the payload.
func (f *Fold) cool(e *entry) {
	if e.state == nil || e.write(f.level) != nil {
		return // what cannot be written is kept, and Save says why
	}
	f.warm.bytes -= e.weight
	*e = entry{applied: e.applied, payload: e.payload, version: e.version}
}

// forget drops what is kept of an entity.
func (f *Fold) forget(key string) {
	if e := f.entities[key]; e != nil {
		f.warm.bytes -= e.weight
		*e = entry{}
		delete(f.entities, key)
	}
}

// write encodes the state where that was put off.
func (e *entry) write(level schemas.Level) error {
	if e.payload != nil || e.state == nil {
		return nil
	}
	payload, version, err := e.state.encode(level)
	if err == nil {
		e.payload, e.version = payload, version
	}
	return err
}

// secure writes the entity's state down before it is changed, and after it. A record
// that turns out unusable halfway leaves nothing behind so. What only adds a signal of
// ordinary times cannot fail: its state is written when it is saved or cooled.
func (w *work) secure() error {
	w.secured = true
	if w.trial != "" {
		return nil // its state is written each time
	}
	return w.fold.known(w.in.Key).write(w.fold.level)
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
		c := s.Case
		n += 600 + 40*len(c.Decisions) + 250*(len(c.Made)+len(c.Holds)+len(c.Steps)+len(c.Entry)+len(c.Links)) + 400*len(c.Seen)
		for i := range c.Notes {
			n += 100 + len(c.Notes[i].Text)
		}
	}
	if a := s.Inventory; a != nil {
		n += 60*len(a.Keys) + 40*len(a.Users) + 250*len(a.Changes)
	}
	if s.Incident != nil {
		n += incidentWeight(s.Incident)
	}
	return n
}
