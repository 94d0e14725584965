package schemas

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	slotNames = namesBySlot()
	typeNames = joinTypes()
)

func namesBySlot() []string {
	out := make([]string, len(slots))
	for name, n := range slots {
		out[n] = name
	}
	return out
}

func joinTypes() string {
	var names []string
	for _, t := range EventTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// decode reads one value of the field into e.
func (f *Field) decode(raw jsontext.Value, e *Event) *Error {
	switch f.Kind {
	case FieldString, FieldIdent, FieldEnum:
		s, err := f.text(raw)
		if err == nil {
			*f.str(e) = s
		}
		return err
	case FieldInteger:
		return f.integer(raw, e)
	case FieldBool:
		if k := raw.Kind(); k != 't' && k != 'f' {
			return wrongShape(raw, "true or false")
		}
		*f.flag(e) = raw.Kind() == 't'
	case FieldTime:
		return f.instant(raw, e)
	case FieldIP:
		return f.address(raw, e)
	case FieldStrings:
		return f.strings(raw, e)
	case FieldCredentials:
		return f.credentials(raw, e)
	case FieldContacts:
		return f.contacts(raw, e)
	}
	return nil
}

// text reads a string and holds it against the field's limits.
func (f *Field) text(raw jsontext.Value) (string, *Error) {
	if raw.Kind() != '"' {
		return "", wrongShape(raw, "a string")
	}
	b := unquoted(raw)
	if f.Kind == FieldEnum {
		for _, v := range f.Enum {
			if string(b) == v {
				return v, nil
			}
		}
		return "", &Error{Reason: ReasonBadField, What: clip(raw) + " is unknown", Fix: "write one of " + strings.Join(f.Enum, ", ")}
	}
	if int64(len(b)) > f.Max {
		return "", &Error{Reason: ReasonTooLong, What: fmt.Sprintf("%d bytes are more than %d", len(b), f.Max), Fix: "shorten it"}
	}
	if f.Kind == FieldIdent {
		err := identError(aliased(b))
		if err != nil && f.Typed && len(b) > 0 {
			return f.escaped(string(b)), nil
		}
		return aliased(b), err
	}
	return aliased(b), nil
}

// escaped makes a name of one that holds what cannot be shown. What is too long then is
// cut, its hash behind it.
func (f *Field) escaped(s string) string {
	shown := Printable(s)
	if int64(len(shown)) > f.Max {
		const hash = 40
		shown = strings.ToValidUTF8(shown[:f.Max-hash], "") + DeriveID("…", s)
	}
	return shown
}

func identError(s string) *Error {
	if s == "" {
		return &Error{Reason: ReasonBadField, What: "is empty", Fix: "name it, or leave the field out where it is optional"}
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) {
			return &Error{Reason: ReasonBadField, What: fmt.Sprintf("has the character %U, which cannot be shown", r), Fix: "use letters, digits and punctuation"}
		}
	}
	return nil
}

func (f *Field) integer(raw jsontext.Value, e *Event) *Error {
	if raw.Kind() != '0' {
		return wrongShape(raw, "a whole number")
	}
	n, ok := smallNumber(raw)
	if !ok {
		v, ferr := strconv.ParseFloat(aliased(raw), 64)
		if ferr != nil || v != math.Trunc(v) || math.Abs(v) > MaxAmount {
			return wrongShape(raw, fmt.Sprintf("a whole number from 0 to %d", f.Max))
		}
		n = int64(v)
	}
	if n < 0 || n > f.Max {
		return wrongShape(raw, fmt.Sprintf("a whole number from 0 to %d", f.Max))
	}
	*f.num(e) = n
	return nil
}

// smallNumber reads the digits of a number that is surely within 63 bits.
func smallNumber(raw []byte) (n int64, ok bool) {
	for _, c := range raw {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, len(raw) <= 18
}

func (f *Field) instant(raw jsontext.Value, e *Event) *Error {
	const shape = "a time as 2026-01-02T15:04:05Z (RFC 3339)"
	if raw.Kind() != '"' {
		return wrongShape(raw, shape)
	}
	ms, ok := parseTime(unquoted(raw))
	if !ok {
		return wrongShape(raw, shape)
	}
	if f.Name == "time" && !TimeInRange(ms) {
		where := "before the year 2000"
		if ms >= LatestTime {
			where = "after the year 2099"
		}
		return &Error{Reason: ReasonTooOld, What: clip(raw) + " lies " + where, Fix: "set the sender's clock"}
	}
	*f.num(e) = ms
	return nil
}

func (f *Field) address(raw jsontext.Value, e *Event) *Error {
	if raw.Kind() != '"' {
		return wrongShape(raw, "an IP address as a string")
	}
	a, ok := parseAddr(unquoted(raw))
	if !ok {
		return wrongShape(raw, "an IPv4 or IPv6 address")
	}
	*f.addr(e) = a
	return nil
}

// strings reads a list of strings. raw is valid JSON already, so the scan only
// has to find where each element ends.
func (f *Field) strings(raw jsontext.Value, e *Event) *Error {
	if raw.Kind() != '[' {
		return wrongShape(raw, "a list of strings")
	}
	at := f.list(e)
	list := (*at)[:0]
	rest := raw[1:]
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n,")
		if rest[0] == ']' {
			break
		}
		if rest[0] != '"' {
			return wrongShape(raw, "a list of strings")
		}
		n := stringEnd(rest)
		if len(list) == f.Items {
			return &Error{Reason: ReasonTooLong, What: fmt.Sprintf("more than %d elements", f.Items), Fix: "split the record" + countHint(f.Name)}
		}
		b := unquoted(rest[:n])
		if len(b) == 0 || int64(len(b)) > f.Max {
			return &Error{Reason: ReasonTooLong, What: fmt.Sprintf("element %d has %d bytes, not 1 to %d", len(list)+1, len(b), f.Max), Fix: "fix or remove the element"}
		}
		list = append(list, aliased(b))
		rest = rest[n:]
	}
	*at = list
	return nil
}

func countHint(name string) string {
	if name == "recipients" {
		return ", or send recipient_count in place of the list"
	}
	return ""
}

// stringEnd returns the length of the JSON string that b begins with.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

func (f *Field) credentials(raw jsontext.Value, e *Event) *Error {
	var list []struct {
		ID      string `json:"id"`
		Kind    string `json:"kind"`
		Created string `json:"created"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return wrongShape(raw, `a list of {"id", "kind", "created"}`)
	}
	if len(list) > f.Items {
		return &Error{Reason: ReasonTooLong, What: fmt.Sprintf("more than %d elements", f.Items), Fix: "send the newest only"}
	}
	e.Credentials = slices.Grow(e.Credentials[:0], len(list))
	for i, c := range list {
		if len(c.ID) > MaxID || len(c.Kind) > MaxID || identError(c.ID) != nil {
			return &Error{Reason: ReasonBadField, What: fmt.Sprintf("element %d has no id, or one that cannot be used", i+1), Fix: "give each an id of 1 to 128 bytes"}
		}
		var created int64
		if c.Created != "" {
			ms, ok := parseTime([]byte(c.Created))
			if !ok {
				return &Error{Reason: ReasonBadField, What: fmt.Sprintf("element %d: created is not a time", i+1), Fix: "write it as 2026-01-02T15:04:05Z (RFC 3339)"}
			}
			created = ms
		}
		e.Credentials = append(e.Credentials, AccountCredential{ID: c.ID, Kind: c.Kind, Created: created})
	}
	return nil
}

func (f *Field) contacts(raw jsontext.Value, e *Event) *Error {
	var list []Contact
	if err := json.Unmarshal(raw, &list); err != nil {
		return wrongShape(raw, `a list of {"email", "role"}`)
	}
	if len(list) > f.Items {
		return &Error{Reason: ReasonTooLong, What: fmt.Sprintf("more than %d elements", f.Items), Fix: "send those to be told only"}
	}
	for i, c := range list {
		if c.Email == "" || len(c.Email) > MaxAddress || len(c.Role) > MaxID {
			return &Error{Reason: ReasonBadField, What: fmt.Sprintf("element %d has no email, or too long a one", i+1), Fix: "give each an email of 1 to 320 bytes"}
		}
	}
	e.Contacts = list
	return nil
}

func wrongShape(raw jsontext.Value, want string) *Error {
	return &Error{Reason: ReasonBadField, What: clip(raw) + " is not " + want, Fix: "write " + want + ", or leave an optional field out"}
}

// clip shortens a value for an error's text.
func clip(raw []byte) string {
	if len(raw) > clipped {
		return strconv.QuoteToASCII(clipText(string(raw)))
	}
	return string(quoteIfNeeded(raw))
}

// clipped is the most bytes of a value that an error shows.
const clipped = 60

// clipText shortens a text between two characters.
func clipText(s string) string {
	if len(s) <= clipped {
		return s
	}
	n := clipped - len("…")
	for n > clipped-len("…")-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// quoteIfNeeded leaves printable ASCII alone and escapes everything else, so
// that an error's text can be shown on a terminal.
func quoteIfNeeded(raw []byte) []byte {
	for _, c := range raw {
		if c < 0x20 || c > 0x7e {
			return strconv.AppendQuoteToASCII(nil, string(raw))
		}
	}
	return raw
}

func quote(s string) string { return strconv.QuoteToASCII(clipText(s)) }
