package schemas

import (
	"math/bits"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// nameTable finds the slot of a name without a map: a table of open addressing
// over its length and three of its bytes, filled from the declarations.
type nameTable struct {
	slot [256]uint8 // plus one
	name []string
}

var (
	names    = buildNames(slotNames)
	specList = listSpecs()
)

func listSpecs() (out []*typeSpec) {
	for _, t := range EventTypes() {
		out = append(out, specs[t])
	}
	return out
}

func buildNames(all []string) *nameTable {
	t := &nameTable{name: all}
	for slot, name := range all {
		h := nameHash([]byte(name))
		for t.slot[h] != 0 {
			h++
		}
		t.slot[h] = uint8(slot) + 1
	}
	return t
}

func nameHash(b []byte) uint8 {
	if len(b) == 0 {
		return 0
	}
	h := uint32(len(b))<<24 | uint32(b[0])<<16 | uint32(b[len(b)/2])<<8 | uint32(b[len(b)-1])
	return uint8(h * 0x9e3779b1 >> 24)
}

func slotOf(name []byte) (slot uint8, known bool) {
	for h := nameHash(name); ; h++ {
		n := names.slot[h]
		if n == 0 {
			return 0, false
		}
		if names.name[n-1] == string(name) {
			return n - 1, true
		}
	}
}

// decode reads a plain record into e, or leaves it to the thorough reader.
func (q *quick) decode(data []byte, e *Event) bool {
	e.reset()
	if !q.scan(data) || q.present&1 == 0 {
		return false
	}
	s := &q.spans[0]
	if s.form != formPlain || data[s.at] != '"' {
		return false
	}
	spec := specOf(data[s.at+1 : s.end-1])
	if spec == nil || spec.required&^q.present != 0 {
		return false
	}
	e.Type = spec.name
	for rest := q.present & spec.known; rest != 0; rest &= rest - 1 {
		slot := bits.TrailingZeros64(rest)
		if !q.field(data, spec.bySlot[slot], &q.spans[slot], e) {
			return false
		}
	}
	if misplaced := q.present &^ spec.known &^ 1; misplaced != 0 || len(q.unknown) > 0 {
		return q.extra(data, misplaced, e) && e.check() == nil
	}
	return e.check() == nil
}

func specOf(name []byte) *typeSpec {
	for _, s := range specList {
		if string(s.name) == string(name) {
			return s
		}
	}
	return nil
}

// field reads one value. Of its kinds those that a send has are read here, by
// what the scan already found out; the others as the thorough reader does.
func (q *quick) field(data []byte, f *Field, s *span, e *Event) bool {
	if data[s.at] == 'n' && !f.Required {
		return true // null is the same as no field
	}
	switch f.Kind {
	case FieldString, FieldIdent, FieldEnum:
		if data[s.at] != '"' {
			return false
		}
		b, ok := q.text(data, s)
		if !ok {
			return false
		}
		if f.Kind == FieldEnum {
			return f.pick(b, e)
		}
		if int64(len(b)) > f.Max {
			return false
		}
		if f.Kind == FieldIdent && (len(b) == 0 || s.form != formPlain && identError(aliased(b)) != nil) {
			return false
		}
		*f.str(e) = aliased(b)
		return true
	case FieldStrings:
		return q.strings(data, f, s, e)
	}
	if s.form == formPlain && data[s.at] == '"' && f.common(data[s.at+1:s.end-1], e) {
		return true
	}
	return f.decode(data[s.at:s.end], e) == nil
}

// common reads a time or an address that is written as most are.
func (f *Field) common(b []byte, e *Event) bool {
	switch f.Kind {
	case FieldTime:
		if ms, ok := utcTime(b); ok && TimeInRange(ms) {
			*f.num(e) = ms
			return true
		}
	case FieldIP:
		if a, ok := parseAddr4(b); ok {
			*f.addr(e) = a
			return true
		}
	}
	return false
}

func (f *Field) pick(b []byte, e *Event) bool {
	for _, v := range f.Enum {
		if string(b) == v {
			*f.str(e) = v
			return true
		}
	}
	return false
}

func (q *quick) strings(data []byte, f *Field, s *span, e *Event) bool {
	if s.form != formList || int(s.to-s.from) > f.Items {
		return false
	}
	at := f.list(e)
	list := (*at)[:0]
	elems := q.elems[s.from:s.to]
	for i := range elems {
		b, ok := q.text(data, &elems[i])
		if !ok || len(b) == 0 || int64(len(b)) > f.Max {
			return false
		}
		list = append(list, aliased(b))
	}
	*at = list
	return true
}

// extra keeps the members that the type does not have: first those of unknown
// names in the order of the record, then those of other types by their slots.
func (q *quick) extra(data []byte, misplaced uint64, e *Event) bool {
	b := q.buf[:0]
	for i := 0; i < len(q.unknown); i += 2 {
		name, value := &q.unknown[i], &q.unknown[i+1]
		b = appendMember(b, data[name.at:name.end], data[value.at:value.end])
	}
	for ; misplaced != 0; misplaced &= misplaced - 1 {
		slot := bits.TrailingZeros64(misplaced)
		s := &q.spans[slot]
		if s.form == formNested && !jsontext.Value(data[s.at:s.end]).IsValid() {
			return false
		}
		b = appendMember(b, strconv.AppendQuote(nil, slotNames[slot]), data[s.at:s.end])
	}
	q.buf = b
	e.Extra = append(append(make([]byte, 0, len(b)+1), b...), '}')
	e.Extra[0] = '{'
	return true
}
