package detectors

import (
	"slices"
	"strings"

	"holdfast/schemas"
)

// section is one part of the state of an E: an account, an address or an employee. V is
// what is read of it before it is put into a store. See schemas.Section for the rules by
// which programs read each other's sections.
//
// To add one: write the two functions and append it to the table of its entity
// (accountSections, addressSections, employeeSections) under the next free tag, without
// first. What it keeps is empty where the section is missing, is kept below the feature
// level schemas.LevelSections in memory only, and needs no other change: saving,
// restoring, trials and older programs follow from the table. Then run the tests of
// golden_test.go with -write-golden, which writes a golden file for the new set of sections.
type section[E, V any] struct {
	tag     uint64
	version byte // the present one; a reader finds the one that was written in reader.version
	first   bool // also part of layout 7, where the sections' bodies stand one behind the other
	write   func(*E, *writer, *store)
	read    func(*reader, *V)
}

// appendSections writes an entity's state at a feature level. unknown are the sections
// that another version wrote, by rising tags.
func appendSections[E, V any](table []section[E, V], e *E, w *writer, s *store, level schemas.Level, unknown []byte) {
	for i := range table {
		x := &table[i]
		if level < schemas.LevelSections {
			if x.first {
				x.write(e, w, s)
			}
			continue
		}
		unknown = appendUnknown(w, unknown, x.tag)
		from := len(w.b)
		var body int
		w.b, body = schemas.BeginSection(w.b, x.tag, x.version)
		x.write(e, w, s)
		w.b = schemas.EndSection(w.b, from, body)
	}
	if level >= schemas.LevelSections {
		w.b = append(w.b, unknown...)
	}
}

// appendUnknown writes those that stand before a tag, and returns the others.
func appendUnknown(w *writer, unknown []byte, before uint64) []byte {
	for len(unknown) > 0 {
		x, rest, err := schemas.CutSection(unknown, 0)
		if err != nil || x.Tag >= before {
			break // they were checked
		}
		w.b = append(w.b, x.Raw...)
		unknown = rest
	}
	return unknown
}

// readLayout reads layout 7.
func readLayout[E, V any](table []section[E, V], r *reader, v *V) {
	for i := range table {
		if table[i].first {
			table[i].read(r, v)
		}
	}
}

// readSections reads a payload of sections and returns those that the table does not
// name. What is wrong with its bytes shows in r.ok; err says that a section is another
// version's.
func readSections[E, V any](table []section[E, V], r *reader, v *V) (unknown []byte, err error) {
	payload, at, last := r.b, 0, uint64(0)
	r.b = nil
	for len(payload) > 0 {
		x, rest, err := schemas.CutSection(payload, last)
		if err != nil {
			r.fail()
			return nil, nil //nolint:nilerr // r tells
		}
		payload, last = rest, x.Tag
		for at < len(table) && table[at].tag < x.Tag {
			at++
		}
		if at == len(table) || table[at].tag != x.Tag {
			unknown = append(unknown, x.Raw...)
			continue
		}
		t := &table[at]
		if x.Version > t.version || x.Version+1 < t.version {
			return nil, schemas.UnreadableSection(x, t.version)
		}
		r.b, r.version = x.Body, x.Version
		t.read(r, v)
		if !r.ok || len(r.b) > 0 {
			r.fail()
			return nil, nil
		}
	}
	return unknown, nil
}

// setUnknown keeps the sections of an entity that this program does not know. Where
// there are none, as always but after a downgrade, that costs nothing.
func (e *Engine) setUnknown(key string, unknown []byte) {
	switch {
	case len(unknown) > 0:
		if e.unknown == nil {
			e.unknown = map[string][]byte{}
		}
		e.unknown[strings.Clone(key)] = slices.Clip(unknown)
	case e.unknown != nil:
		delete(e.unknown, key)
	}
}
