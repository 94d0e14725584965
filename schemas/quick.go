package schemas

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// quick is the reader of plain records: one pass over the bytes notes where each
// value lies, then each value goes to its field. It accepts only what the thorough
// reader accepts too, with the same result; of anything else it says no more than
// that it will not do, and the thorough reader decides and words the refusal. So
// odd but right records cost time, and wrong ones are told precisely.
type quick struct {
	present uint64         // bit by slot
	spans   [maxSlots]span // of the slots present
	elems   []span         // of all lists of strings
	unknown []span         // names of members without a slot
	odd     bool           // some byte is not printable ASCII
	order   []uint8        // the slots present, as they came
	buf     []byte
}

// span is where a value lies, quotes and brackets included. It holds offsets, not
// slices, so that noting it needs no write barrier.
type span struct {
	at, end  uint32
	from, to uint32 // of a list's elements in elems
	form     form
}

type form uint8

const (
	formPlain   form = iota // a literal, a number, or a string without escapes
	formOdd                 // a string with bytes outside printable ASCII
	formEscaped             // a string with escapes
	formList                // a list of strings only
	formNested              // anything else with brackets: not looked into yet
)

// Beyond these the thorough reader is used: its cost does not grow with the square.
const (
	quickUnknown = 32
	quickDepth   = 64
	quickElems   = 8 * 1024 // of all lists: 160 KB, which every decoder may come to hold
)

func (q *quick) text(data []byte, s *span) ([]byte, bool) {
	b := data[s.at+1 : s.end-1]
	if s.form != formEscaped {
		return b, true
	}
	out, err := jsontext.AppendUnquote(nil, data[s.at:s.end])
	return out, err == nil
}

// scan notes the members of the one object that data is.
func (q *quick) scan(data []byte) bool {
	q.present, q.odd = 0, false
	q.order, q.elems, q.unknown = q.order[:0], q.elems[:0], q.unknown[:0]
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return false
	}
	for i = skipSpace(data, i+1); ; i = skipSpace(data, i+1) {
		var ok bool
		if i, ok = q.member(data, i); !ok {
			return false
		}
		if i = skipSpace(data, i); i >= len(data) {
			return false
		}
		if data[i] == '}' {
			break
		}
		if data[i] != ',' {
			return false
		}
	}
	return skipSpace(data, i+1) == len(data) && (!q.odd || utf8.Valid(data))
}

// member notes one "name": value and returns what comes after it. An empty object
// has none, and is left to the thorough reader as it is refused anyway.
func (q *quick) member(data []byte, i int) (int, bool) {
	if i >= len(data) || data[i] != '"' {
		return 0, false
	}
	end, form := scanString(data, i)
	if end < 0 || form != formPlain {
		return 0, false
	}
	value := skipSpace(data, end)
	if value >= len(data) || data[value] != ':' {
		return 0, false
	}
	value++
	if slot, known := slotOf(data[i+1 : end-1]); known {
		return q.keep(data, value, slot)
	}
	return q.keepUnknown(data, span{at: uint32(i), end: uint32(end)}, value)
}

// keep notes the value of a slot.
func (q *quick) keep(data []byte, i int, slot uint8) (int, bool) {
	if q.present&(1<<slot) != 0 {
		return 0, false
	}
	q.present |= 1 << slot
	q.order = append(q.order, slot)
	if end := plainEnd(data, i); end >= 0 { // as most
		q.spans[slot] = span{at: uint32(i), end: uint32(end)}
		return end, true
	}
	i = q.value(data, skipSpace(data, i), &q.spans[slot])
	return i, i >= 0
}

func (q *quick) keepUnknown(data []byte, name span, i int) (int, bool) {
	var s span
	if i = q.value(data, skipSpace(data, i), &s); i < 0 || !q.fresh(data, &name) {
		return 0, false
	}
	if s.form == formNested && !jsontext.Value(data[s.at:s.end]).IsValid() {
		return 0, false
	}
	q.unknown = append(q.unknown, name, s)
	return i, true
}

// fresh tells whether an unknown name has not come before.
func (q *quick) fresh(data []byte, name *span) bool {
	if len(q.unknown) >= 2*quickUnknown {
		return false
	}
	for i := 0; i < len(q.unknown); i += 2 {
		u := &q.unknown[i]
		if string(data[u.at:u.end]) == string(data[name.at:name.end]) {
			return false
		}
	}
	return true
}

// value notes the value that begins at i and returns what comes after it, or -1.
func (q *quick) value(data []byte, i int, s *span) int {
	if i >= len(data) {
		return -1
	}
	end, form := -1, formPlain
	switch c := data[i]; {
	case c == '"':
		end, form = q.quoted(data, i)
	case c == '-' || c-'0' <= 9:
		end = scanNumber(data, i)
	case c == '[':
		from := len(q.elems)
		if end = q.list(data, i); end >= 0 {
			*s = span{uint32(i), uint32(end), uint32(from), uint32(len(q.elems)), formList}
			return end
		}
		q.elems = q.elems[:from]
		end, form = q.nested(data, i), formNested
	case c == '{':
		end, form = q.nested(data, i), formNested
	case c == 't':
		end = literal(data, i, "true")
	case c == 'f':
		end = literal(data, i, "false")
	case c == 'n':
		end = literal(data, i, "null")
	}
	if end >= 0 {
		*s = span{at: uint32(i), end: uint32(end), form: form}
	}
	return end
}

// quoted checks a string whole, its escapes too.
func (q *quick) quoted(data []byte, i int) (int, form) {
	end, form := scanString(data, i)
	if end < 0 {
		return -1, form
	}
	switch form {
	case formOdd:
		q.odd = true
	case formEscaped:
		q.odd = true
		var err error
		if q.buf, err = jsontext.AppendUnquote(q.buf[:0], data[i:end]); err != nil {
			return -1, form
		}
	}
	return end, form
}

// list notes the elements of a list of strings, or returns -1 where it is none or there
// are too many.
func (q *quick) list(data []byte, i int) int {
	if i = skipSpace(data, i+1); i < len(data) && data[i] == ']' {
		return i + 1
	}
	for ; ; i = skipSpace(data, i+1) {
		if i >= len(data) || data[i] != '"' || len(q.elems) == quickElems {
			return -1
		}
		end, form := q.quoted(data, i)
		if end < 0 {
			return -1
		}
		q.elems = append(q.elems, span{at: uint32(i), end: uint32(end), form: form})
		if i = skipSpace(data, end); i >= len(data) {
			return -1
		}
		if data[i] == ']' {
			return i + 1
		}
		if data[i] != ',' {
			return -1
		}
	}
}

// nested finds where a value with brackets ends by counting them; whoever uses the
// value checks it.
func (q *quick) nested(data []byte, i int) int {
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			end, form := scanString(data, i)
			if end < 0 {
				return -1
			}
			q.odd = q.odd || form != formPlain
			i = end - 1
		case '[', '{':
			if depth++; depth > quickDepth {
				return -1
			}
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && data[i] <= ' ' && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

func literal(data []byte, i int, word string) int {
	if end := i + len(word); end <= len(data) && string(data[i:end]) == word {
		return end
	}
	return -1
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanString returns what comes after the string that begins at i, or -1. It looks
// at eight bytes at once: (x - k·ones) &^ x has the high bit of the lowest byte
// that is less than k, and x ^ c·ones is zero in a byte that is c. Borrows reach
// only bytes above such a one, so the lowest bit that is set is always true.
func scanString(data []byte, i int) (end int, f form) {
	var seen uint64 // high bits of bytes above '~'
	for i++; i+8 <= len(data); {
		x := binary.LittleEndian.Uint64(data[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		stop := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & highs
		if stop == 0 {
			seen |= x | (x + ones)
			i += 8
			continue
		}
		n := bits.TrailingZeros64(stop) >> 3
		x &= 1<<(8*n) - 1
		seen |= x | (x + ones)
		switch i += n; data[i] {
		case '"':
			return i + 1, formOf(seen, f)
		case '\\':
			f = formEscaped
			i += 2
		default:
			return -1, f
		}
	}
	for ; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return i + 1, formOf(seen, f)
		case c == '\\':
			f = formEscaped
			i++
		case c < ' ':
			return -1, f
		case c > '~':
			seen = highs
		}
	}
	return -1, f
}

func formOf(seen uint64, f form) form {
	if f == formPlain && seen&highs != 0 {
		return formOdd
	}
	return f
}

// scanNumber returns what comes after the number that begins at i, or -1.
func scanNumber(data []byte, i int) int {
	if data[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(data, i); i == start || data[start] == '0' && i > start+1 {
		return -1
	}
	if i < len(data) && data[i] == '.' {
		start = i + 1
		if i = skipDigits(data, start); i == start {
			return -1
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		start = i
		if i = skipDigits(data, i); i == start {
			return -1
		}
	}
	return i
}

func skipDigits(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}
