package schemas

import (
	"net/netip"
	"unsafe"
)

// FieldKind is the JSON shape of one field.
type FieldKind byte

// The kinds of field.
const (
	FieldString FieldKind = iota
	FieldIdent            // a string, not empty, of graphic characters only
	FieldEnum
	FieldInteger
	FieldBool
	FieldTime
	FieldIP
	FieldStrings
	FieldCredentials
	FieldContacts
)

// Field declares one field of an event: its shape, its limits, and where in the
// Event it goes. The decoder and the JSON Schema both follow from it.
type Field struct {
	Name     string
	Kind     FieldKind
	Required bool
	Max      int64    // bytes of a string or of each element; the largest integer
	Items    int      // elements of a list
	Enum     []string // FieldEnum
	Typed    bool     // FieldIdent: somebody typed it, so what cannot be shown is written as escapes
	str      func(*Event) *string
	num      func(*Event) *int64
	flag     func(*Event) *bool
	list     func(*Event) *[]string
	addr     func(*Event) *netip.Addr
	offset   uintptr // of all these, in an Event
}

func ident(name string, at func(*Event) *string) Field {
	return Field{Name: name, Kind: FieldIdent, Max: MaxID, str: at}
}

func text(name string, limit int64, at func(*Event) *string) Field {
	return Field{Name: name, Kind: FieldString, Max: limit, str: at}
}

func enum(name string, at func(*Event) *string, values ...string) Field {
	return Field{Name: name, Kind: FieldEnum, Enum: values, str: at}
}

func integer(name string, limit int64, at func(*Event) *int64) Field {
	return Field{Name: name, Kind: FieldInteger, Max: limit, num: at}
}

func instant(name string, at func(*Event) *int64) Field {
	return Field{Name: name, Kind: FieldTime, num: at}
}

func boolean(name string, at func(*Event) *bool) Field {
	return Field{Name: name, Kind: FieldBool, flag: at}
}

func texts(name string, items int, limit int64, at func(*Event) *[]string) Field {
	return Field{Name: name, Kind: FieldStrings, Items: items, Max: limit, list: at}
}

func required(f Field) Field {
	f.Required = true
	return f
}

func typed(f Field) Field {
	f.Typed = true
	return f
}

func ipAt(e *Event) *netip.Addr    { return &e.IP }
func accountAt(e *Event) *string   { return &e.Account }
func userAt(e *Event) *string      { return &e.User }
func employeeAt(e *Event) *string  { return &e.Employee }
func reasonAt(e *Event) *string    { return &e.Reason }
func outcomeAt(e *Event) *string   { return &e.Outcome }
func sessionAt(e *Event) *string   { return &e.Session }
func userAgentAt(e *Event) *string { return &e.UserAgent }

var (
	fieldIP        = Field{Name: "ip", Kind: FieldIP, addr: ipAt}
	fieldAccount   = ident("account", accountAt)
	fieldEmployee  = ident("employee", employeeAt)
	fieldSession   = text("session", MaxText, sessionAt)
	fieldUserAgent = text("user_agent", MaxText, userAgentAt)
	fieldUser      = text("user", MaxText, userAt)
	fieldReason    = text("reason", MaxText, reasonAt)
)

func common() []Field {
	return []Field{
		required(ident("id", func(e *Event) *string { return &e.ID })),
		required(instant("time", func(e *Event) *int64 { return &e.Time })),
	}
}

// Fields returns the fields that an event of type t may have, the common ones
// first, or nil where there is no such type. "type" itself is understood.
func Fields(t EventType) []Field {
	if s := specs[t]; s != nil {
		return s.fields
	}
	return nil
}

type typeSpec struct {
	name     EventType
	fields   []Field
	bySlot   [maxSlots]*Field
	number   int    // from 1, in the order of types
	known    uint64 // bit by slot
	required uint64
}

const maxSlots = 64

var (
	specs = buildSpecs()
	slots = buildSlots(specs)
)

func buildSpecs() map[EventType]*typeSpec {
	out := make(map[EventType]*typeSpec)
	for t, own := range eventFields() {
		out[t] = &typeSpec{name: t, fields: append(common(), own...)}
	}
	return out
}

// buildSlots numbers every field name of any type, "type" being slot 0, so that
// a record can be read before its type is known.
func buildSlots(all map[EventType]*typeSpec) map[string]uint8 {
	out := map[string]uint8{"type": 0}
	for i, t := range typeOrder {
		spec := all[t]
		spec.number = i + 1
		for i := range spec.fields {
			f := &spec.fields[i]
			n, ok := out[f.Name]
			if !ok {
				n = uint8(len(out))
				out[f.Name] = n
			}
			spec.bySlot[n] = f
			f.offset = f.place()
			spec.known |= 1 << n
			if f.Required {
				spec.required |= 1 << n
			}
		}
	}
	return out
}

func eventFields() map[EventType][]Field {
	return map[EventType][]Field{
		TypeSend: {
			required(fieldAccount),
			ident("credential", func(e *Event) *string { return &e.Credential }),
			enum("channel", func(e *Event) *string { return &e.Channel }, "api", "smtp", "web"),
			fieldIP,
			text("sender", MaxText, func(e *Event) *string { return &e.Sender }),
			texts("recipients", MaxRecipients, MaxAddress, func(e *Event) *[]string { return &e.Recipients }),
			integer("recipient_count", MaxCount, func(e *Event) *int64 { return &e.RecipientCount }),
			text("message_id", MaxText, func(e *Event) *string { return &e.MessageID }),
			integer("size", MaxAmount, func(e *Event) *int64 { return &e.Size }),
			boolean("test", func(e *Event) *bool { return &e.Test }),
		},
		TypeDelivery: {
			required(fieldAccount),
			required(text("message_id", MaxText, func(e *Event) *string { return &e.MessageID })),
			text("recipient", MaxAddress, func(e *Event) *string { return &e.Recipient }),
			required(enum("outcome", outcomeAt, "delivered", "hard_bounce", "soft_bounce", "complaint", "unsubscribe", "blocked")),
			fieldReason,
		},
		TypeLogin: { // whoever tries to sign in types the name, and it need not exist
			typed(fieldAccount), typed(fieldEmployee),
			required(fieldUser),
			fieldIP,
			required(enum("outcome", outcomeAt, "success", "failure", "challenge")),
			fieldReason,
			text("method", MaxText, func(e *Event) *string { return &e.Method }),
			fieldUserAgent, fieldSession,
		},
		TypeCredential: {
			required(fieldAccount),
			required(ident("credential", func(e *Event) *string { return &e.Credential })),
			required(enum("kind", func(e *Event) *string { return &e.Kind },
				"api_key", "smtp_password", "user_password", "mfa", "sender_domain", "ip_allowlist", "webhook")),
			required(enum("change", func(e *Event) *string { return &e.Change },
				"created", "rotated", "revoked", "reset", "enabled", "disabled", "added", "removed")),
			fieldUser,
			enum("actor", func(e *Event) *string { return &e.Actor }, "customer", "employee", "system"),
			fieldEmployee, fieldIP,
		},
		TypeAccess: {
			required(fieldEmployee),
			required(enum("action", func(e *Event) *string { return &e.Action },
				"view_account", "view_logs", "view_pii", "view_secret", "list", "export", "impersonate", "change")),
			fieldAccount,
			texts("accounts", MaxAccounts, MaxID, func(e *Event) *[]string { return &e.Accounts }),
			text("resource", MaxText, func(e *Event) *string { return &e.Resource }),
			integer("rows", MaxAmount, func(e *Event) *int64 { return &e.Rows }),
			text("ticket", MaxText, func(e *Event) *string { return &e.Ticket }),
			fieldIP, fieldUserAgent, fieldSession,
		},
		TypeConnection: {
			required(fieldIP),
			required(enum("state", func(e *Event) *string { return &e.State }, "open", "close")),
			text("protocol", MaxText, func(e *Event) *string { return &e.Protocol }),
			fieldAccount,
			integer("duration_ms", MaxAmount, func(e *Event) *int64 { return &e.DurationMS }),
			integer("bytes", MaxAmount, func(e *Event) *int64 { return &e.Bytes }),
		},
		TypeAccount: {
			required(fieldAccount),
			text("status", MaxID, func(e *Event) *string { return &e.Status }),
			text("plan", MaxID, func(e *Event) *string { return &e.Plan }),
			instant("created", func(e *Event) *int64 { return &e.Created }),
			text("parent", MaxID, func(e *Event) *string { return &e.Parent }),
			texts("users", MaxSnapshot, MaxAddress, func(e *Event) *[]string { return &e.Users }),
			texts("domains", MaxSnapshot, MaxAddress, func(e *Event) *[]string { return &e.Domains }),
			{Name: "credentials", Kind: FieldCredentials, Items: MaxSnapshot},
			{Name: "contacts", Kind: FieldContacts, Items: MaxSnapshot},
			boolean("protected", func(e *Event) *bool { return &e.Protected }),
		},
	}
}

// place is where in an Event the field is.
func (f *Field) place() uintptr {
	var e Event
	var at unsafe.Pointer
	switch {
	case f.str != nil:
		at = unsafe.Pointer(f.str(&e))
	case f.num != nil:
		at = unsafe.Pointer(f.num(&e))
	case f.flag != nil:
		at = unsafe.Pointer(f.flag(&e))
	case f.list != nil:
		at = unsafe.Pointer(f.list(&e))
	case f.addr != nil:
		at = unsafe.Pointer(f.addr(&e))
	default:
		return 0
	}
	return uintptr(at) - uintptr(unsafe.Pointer(&e))
}
