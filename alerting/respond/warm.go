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
		f.warm.bytes -= len(old.payload)
	}
	f.warm.bytes += len(e.payload)
	f.entities[key] = e
	for f.warm.bytes > warmBytes || len(f.warm.keys) > warmKeys {
		f.cool(f.warm.keys[0])
		f.warm.keys = f.warm.keys[1:]
	}
}

// cool drops the decoded state of an entity and leaves the payload.
func (f *Fold) cool(key string) {
	if e, ok := f.entities[key]; ok && e.state != nil {
		f.warm.bytes -= len(e.payload)
		e.state = nil
		f.entities[key] = e
	}
}
