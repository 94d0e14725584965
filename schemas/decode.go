package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// Decoder decodes events and keeps its buffers between calls. Its zero value is
// ready; it is not safe for use by several goroutines at once.
//
// It has three readers, each for what the one before leaves: records whose members follow
// one another as they did before, other plain records, and all, which alone words what is
// wrong. What they accept they read alike.
type Decoder struct {
	dec   *jsontext.Decoder
	buf   bytes.Buffer
	raw   [maxSlots]jsontext.Value
	extra []byte
	quick quick
	known habits
}

// Decode decodes one event with a Decoder of its own.
func Decode(data []byte, e *Event) *Error {
	var d Decoder
	return d.Decode(data, e)
}

// Decode reads one event from data into e, or says why it is refused; e is then
// in no defined state. Its strings alias data, which must not change while they
// are used; lists that e already holds are reused. e is zero, or what an earlier call
// left of it.
//
// Times are checked against EarliestTime and LatestTime only: what lies too far after
// its arrival is judged by whoever knows the arrival.
func (d *Decoder) Decode(data []byte, e *Event) *Error {
	if len(data) > MaxRecord {
		return &Error{Reason: ReasonTooLarge, What: fmt.Sprintf("%d bytes are more than %d", len(data), MaxRecord),
			Fix: "split the record, or send recipient_count in place of a long list"}
	}
	if d.known.decode(data, e) {
		return nil
	}
	if d.quick.decode(data, e) {
		d.known.learn(data, &d.quick, specs[e.Type])
		return nil
	}
	return d.thorough(data, e)
}

// thorough reads any record, and says of a wrong one what is wrong.
func (d *Decoder) thorough(data []byte, e *Event) *Error {
	d.raw = [maxSlots]jsontext.Value{}
	d.extra = d.extra[:0]
	if err := d.scan(data); err != nil {
		err.Record = d.id()
		return err
	}
	if err := d.fill(e); err != nil {
		if err.Record = e.ID; err.Record == "" {
			err.Record = d.id()
		}
		return err
	}
	return nil
}

// scan reads the object's members into their slots, those without one into extra.
func (d *Decoder) scan(data []byte) *Error {
	d.buf = *bytes.NewBuffer(data)
	if d.dec == nil {
		d.dec = jsontext.NewDecoder(&d.buf)
	} else {
		d.dec.Reset(&d.buf)
	}
	if k := d.dec.PeekKind(); k != '{' {
		if _, err := d.dec.ReadToken(); err != nil {
			return syntaxError(data, err)
		}
		return &Error{Reason: ReasonNotJSON, What: "is not a JSON object", Fix: "write one object a record"}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return syntaxError(data, err)
	}
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadValue()
		if err != nil {
			return syntaxError(data, err)
		}
		value, err := d.dec.ReadValue()
		if err != nil {
			return syntaxError(data, err)
		}
		d.keep(name, value)
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return syntaxError(data, err)
	}
	if rest := bytes.TrimLeft(data[d.dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return &Error{Reason: ReasonNotJSON, What: fmt.Sprintf("byte %d: something follows the object", len(data)-len(rest)), Fix: "write one object a record"}
	}
	return nil
}

func (d *Decoder) keep(name, value jsontext.Value) {
	if slot, ok := slots[aliased(unquoted(name))]; ok {
		d.raw[slot] = value
		return
	}
	d.keepExtra(name, value)
}

func (d *Decoder) keepExtra(name, value []byte) {
	d.extra = appendMember(d.extra, name, value)
}

func appendMember(b, name, value []byte) []byte {
	b = append(b, ',')
	b = append(b, name...)
	b = append(b, ':')
	return append(b, value...)
}

// fill sets e's fields from the slots, by the declaration of its type.
func (d *Decoder) fill(e *Event) *Error {
	e.reset()
	spec, err := d.eventType(e)
	if err != nil {
		return err
	}
	for slot := 1; slot < len(slots); slot++ {
		f, raw := spec.bySlot[slot], d.raw[slot]
		if f != nil && !f.Required && raw.Kind() == 'n' {
			continue // null in an optional field is the same as no field
		}
		switch {
		case raw == nil && (f == nil || !f.Required):
		case raw == nil:
			return &Error{Reason: ReasonMissing, Field: f.Name, What: "is missing", Fix: "every " + string(e.Type) + " needs it"}
		case f == nil:
			d.keepExtra(strconv.AppendQuote(nil, slotNames[slot]), raw)
		default:
			if err := f.decode(raw, e); err != nil {
				err.Field = f.Name
				return err
			}
		}
	}
	if len(d.extra) > 0 {
		e.Extra = append(bytes.Clone(d.extra), '}')
		e.Extra[0] = '{'
	}
	return e.check()
}

func (d *Decoder) eventType(e *Event) (*typeSpec, *Error) {
	raw := d.raw[0]
	if raw == nil {
		return nil, &Error{Reason: ReasonMissing, Field: "type", What: "is missing", Fix: "write one of " + typeNames}
	}
	if raw.Kind() == '"' {
		t := EventType(aliased(unquoted(raw)))
		if spec, ok := specs[t]; ok {
			e.Type = t
			return spec, nil
		}
	}
	return nil, &Error{Reason: ReasonUnknownType, Field: "type", What: clip(raw) + " is unknown", Fix: "write one of " + typeNames}
}

// id is the record's id for an error's text, where it could be read at all.
func (d *Decoder) id() string {
	if raw := d.raw[slots["id"]]; raw.Kind() == '"' {
		return clipText(aliased(unquoted(raw)))
	}
	return ""
}

// reset clears e but keeps its lists' memory. A send, as most events are, has nothing
// but a send's fields to clear, a third of all.
func (e *Event) reset() {
	if e.Type == TypeSend {
		e.ID, e.Type, e.Time, e.Account = "", "", 0, ""
		e.Credential, e.Channel, e.IP, e.Sender = "", "", netip.Addr{}, ""
		e.Recipients, e.RecipientCount = e.Recipients[:0], 0
		e.MessageID, e.Size, e.Test = "", 0, false
		e.Extra = nil
		return
	}
	recipients, accounts, users, domains := e.Recipients[:0], e.Accounts[:0], e.Users[:0], e.Domains[:0]
	*e = Event{} // apart, so that it is cleared in place and not made elsewhere and copied
	e.Recipients, e.Accounts, e.Users, e.Domains = recipients, accounts, users, domains
}

// check holds what no single field can tell.
func (e *Event) check() *Error {
	switch e.Type {
	case TypeSend:
		if len(e.Recipients) == 0 && e.RecipientCount == 0 {
			return &Error{Reason: ReasonMissing, Field: "recipients", What: "is missing or empty, and so is recipient_count", Fix: "a send needs one of the two"}
		}
		if n := int64(len(e.Recipients)); e.RecipientCount != 0 && e.RecipientCount < n {
			return &Error{Reason: ReasonBadField, Field: "recipient_count", What: fmt.Sprintf("%d is less than the %d recipients listed", e.RecipientCount, n), Fix: "count every recipient, or leave it out"}
		}
	case TypeLogin:
		if (e.Account == "") == (e.Employee == "") {
			return &Error{Reason: ReasonMissing, Field: "account", What: "a login belongs to either an account or an employee", Fix: "write exactly one of account and employee"}
		}
	}
	return nil
}

// syntaxError tells apart what the JSON reader refuses.
func syntaxError(data []byte, err error) *Error {
	var syn *jsontext.SyntacticError
	at := int64(len(data))
	if errors.As(err, &syn) {
		at = syn.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &Error{Reason: ReasonDuplicateKey, What: fmt.Sprintf("byte %d: a key appears twice in one object", at), Fix: "write each key once"}
	case !utf8.Valid(data):
		return &Error{Reason: ReasonBadUTF8, What: fmt.Sprintf("byte %d: is not UTF-8", invalidAt(data)), Fix: "encode text as UTF-8"}
	}
	return &Error{Reason: ReasonNotJSON, What: fmt.Sprintf("byte %d: is not JSON", at), Fix: "write one complete JSON object a record"}
}

func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

// unquoted returns a valid JSON string's text; it aliases raw unless raw has an escape.
func unquoted(raw jsontext.Value) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	if err != nil { // the reader has already checked it
		return nil
	}
	return out
}

func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
