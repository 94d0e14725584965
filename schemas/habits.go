package schemas

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"unsafe"
)

// habits are how members have followed one another so far. Whoever sends records writes
// their members in one order and with the same bytes between them, so what stands
// between two values is compared whole, with what came there before, and each value is
// read where it lies, in one pass. Where nothing known comes, or a value is anything but
// plain, the quick reader takes the record, and the habits learn from it.
type habits struct {
	// steps are what has come after what. The first one stands before every record, and
	// never comes.
	steps []step
	first [1 + len(typeOrder)][maxSlots]uint16 // see from
	today today
}

// step is a member that has come after another one.
type step struct {
	opening
	field *Field    // nil for the type
	spec  *typeSpec // the record's, nil before its type is known
	slot  uint8
	other uint16 // the next step from the same member, 0 for none
	then  uint16 // the first step from this one
}

// atStart is the slot before the first member's.
const atStart = maxSlots - 1

// from is the first step from a member of a type, 0 for none.
func (h *habits) from(spec *typeSpec, slot uint8) *uint16 {
	if spec == nil {
		return &h.first[0][slot]
	}
	return &h.first[spec.number][slot]
}

// everyType are the slots that mean the same whatever the type is.
var everyType = slotsOf(common())

func slotsOf(fields []Field) (bits uint64) {
	for i := range fields {
		bits |= 1 << slots[fields[i].Name]
	}
	return bits
}

// maxAfter is how many ways to go on from one member are remembered: three senders' ways
// to write the types. It bounds what a record costs and, as there are some ninety members
// of all types, what is kept: 150 KB. Beyond it a new way takes the place of the newest,
// so that a sender without habits drives out none of those that were there before.
const maxAfter = 24

// opening is what stands before a value, as words of eight bytes: its first, of which
// mask leaves what belongs to it, its second, and its last.
type opening struct {
	first, mask, second, last uint64
	n                         uint8
}

const maxOpening = 24

func newOpening(text []byte) opening {
	n := len(text)
	o := opening{n: uint8(n), mask: ^uint64(0)}
	var b [maxOpening]byte
	copy(b[:], text)
	if n < 8 {
		o.mask = 1<<(8*n) - 1
	} else {
		o.last = binary.LittleEndian.Uint64(b[n-8:])
	}
	o.first, o.second = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	return o
}

// begins reports whether data begins so; not where fewer than eight bytes are left.
func (o *opening) begins(data []byte) bool {
	n := int(o.n)
	if len(data) < max(n, 8) || binary.LittleEndian.Uint64(data)&o.mask != o.first {
		return false
	}
	return n <= 8 || binary.LittleEndian.Uint64(data[n-8:]) == o.last && (n <= 16 || binary.LittleEndian.Uint64(data[8:]) == o.second)
}

// decode reads a record into e, or says no more than that it will not do.
func (h *habits) decode(data []byte, e *Event) bool {
	steps := h.steps
	if len(steps) == 0 {
		return false
	}
	e.reset()
	s, present := &steps[0], uint64(0)
	for i := 0; ; {
		s = &steps[s.then]
		for !s.begins(data[i:]) {
			if s.other == 0 {
				return false
			}
			s = &steps[s.other]
		}
		if present&(1<<s.slot) != 0 {
			return false
		}
		present |= 1 << s.slot
		if i += int(s.n); s.field == nil {
			e.Type = s.spec.name
		} else if end := h.value(data, i, s.field, e); end >= 0 {
			i = end
		} else if i = null(data, i, s.field); i < 0 {
			return false
		}
		if i >= len(data) {
			return false
		}
		if data[i] == '}' {
			return s.spec != nil && s.spec.required&^present == 0 && skipSpace(data, i+1) == len(data) && e.check() == nil
		}
	}
}

// null returns what comes after the null that begins at i, where the field may be
// absent, or -1. The event was reset, so there is nothing to set.
func null(data []byte, i int, f *Field) int {
	if f.Required || i >= len(data) || data[i] != 'n' {
		return -1
	}
	return literal(data, i, "null")
}

// value reads a field's value that begins at i and returns what comes after it, or -1.
func (h *habits) value(data []byte, i int, f *Field, e *Event) int {
	if i >= len(data) {
		return -1
	}
	switch f.Kind {
	case FieldString, FieldIdent:
		end := plainEnd(data, i)
		if n := int64(end - i - 2); n < 0 || n > f.Max || n == 0 && f.Kind == FieldIdent {
			return -1
		}
		*at[string](e, f) = aliased(data[i+1 : end-1])
		return end
	case FieldEnum:
		if end := plainEnd(data, i); end >= 0 && f.pick(data[i+1:end-1], e) {
			return end
		}
	case FieldTime:
		if ms, ok := h.today.time(data[i:]); ok && TimeInRange(ms) {
			*at[int64](e, f) = ms
			return i + timeLen
		}
	case FieldIP:
		end := plainEnd(data, i)
		if end < 0 {
			return -1
		}
		if a, ok := parseAddr(data[i+1 : end-1]); ok {
			*at[netip.Addr](e, f) = a
			return end
		}
	case FieldInteger:
		return plainInteger(data, i, f, e)
	case FieldBool:
		end := literal(data, i, "true")
		if *at[bool](e, f) = end >= 0; end < 0 {
			return literal(data, i, "false")
		}
		return end
	case FieldStrings:
		return plainList(data, i, f, e)
	}
	return -1
}

func plainInteger(data []byte, i int, f *Field, e *Event) int {
	end := skipDigits(data, i)
	if end == i || data[i] == '0' && end > i+1 {
		return -1
	}
	n, ok := smallNumber(data[i:end])
	if !ok || n > f.Max {
		return -1
	}
	*at[int64](e, f) = n
	return end
}

func plainList(data []byte, i int, f *Field, e *Event) int {
	if data[i] != '[' {
		return -1
	}
	to := at[[]string](e, f)
	list := (*to)[:0]
	for {
		i++
		end := plainEnd(data, i)
		if n := int64(end - i - 2); n <= 0 || n > f.Max || end == len(data) || len(list) == f.Items {
			return -1
		}
		list = append(list, aliased(data[i+1:end-1]))
		switch i = end; data[i] {
		case ']':
			*to = list
			return i + 1
		case ',':
		default:
			return -1
		}
	}
}

// plainEnd returns what comes after the string that begins at i, or -1 where there is
// none or it has anything but printable ASCII without escapes. It is scanString's way,
// ended by any byte that is not plain, as what else the string may be is nobody's concern.
func plainEnd(data []byte, i int) int {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	for i++; i+8 <= len(data); i += 8 {
		x := binary.LittleEndian.Uint64(data[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		if stop := ((quote-ones)&^quote | (slash-ones)&^slash | (x - ones*' ') | x | (x + ones)) & highs; stop != 0 {
			if i += bits.TrailingZeros64(stop) >> 3; data[i] == '"' {
				return i + 1
			}
			return -1
		}
	}
	for ; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return i + 1
		case c == '\\', c < ' ', c > '~':
			return -1
		}
	}
	return -1
}

// at is where a field's value goes.
func at[T any](e *Event, f *Field) *T { return (*T)(unsafe.Add(unsafe.Pointer(e), f.offset)) }

// today is the last date that was read: records come about in the order of their times.
type today struct {
	month, day uint64 // "2006-01-" and "02T" as words
	ms         int64  // when it began
}

// timeLen is the length of "2006-01-02T15:04:05.678Z", quotes included.
const timeLen = 26

// Where a time has its digits, from the day on, and what else stands there: the words
// are "02T15:04" and ":05.678Z", their first byte the lowest.
const (
	dayDigits, dayZeros, dayMarks       = 0xffff00ffff000000, 0x3030003030000000, 0x00003a0000000000
	clockDigits, clockZeros, clockMarks = 0x00ffffff00ffff00, 0x0030303000303000, 0x5a0000002e00003a
	dayBytes                            = 0xffffff // "02T"
)

// time reads a time of this form, quotes included; ok is false for any other.
func (d *today) time(data []byte) (ms int64, ok bool) {
	if len(data) < timeLen || data[0] != '"' || data[timeLen-1] != '"' {
		return 0, false
	}
	month, day, clock := binary.LittleEndian.Uint64(data[1:]), binary.LittleEndian.Uint64(data[9:]), binary.LittleEndian.Uint64(data[17:])
	if month != d.month || day&dayBytes != d.day {
		if ms, ok = utcTime(data[1 : timeLen-1]); ok && ms >= 0 {
			*d = today{month, day & dayBytes, ms - ms%msDay}
		}
		return ms, ok
	}
	a, b := day&dayDigits^dayZeros, clock&clockDigits^clockZeros
	beyond := (a | (a + ones*6) | b | (b + ones*6)) & (ones * 0xf0) // a digit's byte has no high half, nor has six more
	marks := (day&^(dayDigits|dayBytes) ^ dayMarks) | (clock&^clockDigits ^ clockMarks)
	hour, minute, second := a>>24&15*10+a>>32&15, a>>48&15*10+a>>56, b>>8&15*10+b>>16&15
	if beyond|marks != 0 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return d.ms + int64((hour*60+minute)*60+second)*1000 + int64(b>>32&15*100+b>>40&15*10+b>>48&15), true
}

const msDay = 24 * 3600 * 1000

// learn notes how the members of a record follow one another that the quick reader has
// just read. Before its type only those are understood that every type has alike.
func (h *habits) learn(data []byte, q *quick, spec *typeSpec) {
	if len(q.unknown) > 0 || q.present&^(spec.known|1) != 0 {
		return
	}
	at, last := uint32(0), step{slot: atStart}
	for _, slot := range q.order {
		s := step{field: spec.bySlot[slot], spec: last.spec, slot: slot}
		value := &q.spans[slot]
		to := value.at
		if slot == 0 {
			s.spec, to = spec, value.end
		}
		if to-at > maxOpening || s.spec == nil && everyType&(1<<slot) == 0 {
			return
		}
		s.opening = newOpening(data[at:to])
		at = value.end
		h.add(h.from(last.spec, last.slot), s)
		last = s
	}
}

// add adds a step to those from one member, unless it is there.
func (h *habits) add(first *uint16, s step) {
	if len(h.steps) == 0 {
		h.steps = append(h.steps, step{slot: atStart, opening: opening{first: 1}})
	}
	s.then = *h.from(s.spec, s.slot)
	to := first
	for n := 1; *to != 0; n++ {
		o := &h.steps[*to]
		if o.opening == s.opening && o.spec == s.spec {
			return
		}
		if n == maxAfter {
			*o = s
			return
		}
		to = &o.other
	}
	*to = uint16(len(h.steps)) // before the steps may move
	h.steps = append(h.steps, s)
	if to != first {
		return
	}
	for i := range h.steps { // what leads to the member now leads on
		h.steps[i].then = *h.from(h.steps[i].spec, h.steps[i].slot)
	}
}
