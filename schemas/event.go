package schemas

import (
	"net/netip"
	"slices"
)

// EventType says what the platform did.
type EventType string

// The types of event.
const (
	TypeSend       EventType = "send"
	TypeDelivery   EventType = "delivery"
	TypeLogin      EventType = "login"
	TypeCredential EventType = "credential"
	TypeAccess     EventType = "access"
	TypeConnection EventType = "connection"
	TypeAccount    EventType = "account"
)

// EventTypes lists every type of event.
func EventTypes() []EventType { return slices.Clone(typeOrder[:]) }

var typeOrder = [...]EventType{TypeSend, TypeDelivery, TypeLogin, TypeCredential, TypeAccess, TypeConnection, TypeAccount}

// Origin says how an event reached Holdfast. Only live events may stop anybody.
type Origin string

// The origins.
const (
	OriginLive   Origin = "live"
	OriginImport Origin = "import"
	OriginReplay Origin = "replay"
)

// Trust is how much the records of a source may cause.
type Trust string

// The levels of trust.
const (
	TrustFull     Trust = "full"
	TrustEvidence Trust = "evidence" // nothing but a review
)

// Event is one decoded event of any type; fields that its type does not have are
// zero. Strings, lists' elements and Extra alias the decoded record: they are
// valid as long as its bytes are not changed, and must be cloned to be kept.
type Event struct {
	ID      string
	Type    EventType
	Time    int64 // Unix milliseconds, UTC
	Account string
	// Extra is a JSON object of the fields that Holdfast does not know, or nil.
	Extra []byte

	// send
	Credential     string
	Channel        string
	IP             netip.Addr
	Sender         string
	Recipients     []string
	RecipientCount int64
	MessageID      string
	Size           int64 // bytes
	Test           bool

	// delivery; Outcome and Reason also login
	Recipient string
	Outcome   string
	Reason    string

	// login; User also credential, UserAgent and Session also access
	User      string
	Method    string
	UserAgent string
	Session   string
	Employee  string // login of staff, credential, access

	// credential
	Kind   string
	Change string
	Actor  string

	// access
	Action   string
	Accounts []string
	Resource string
	Rows     int64
	Ticket   string

	// connection
	State      string
	Protocol   string
	DurationMS int64
	Bytes      int64

	// account
	Status      string
	Plan        string
	Created     int64 // Unix milliseconds, 0 where absent
	Parent      string
	Users       []string
	Domains     []string
	Credentials []AccountCredential
	Contacts    []Contact
	Protected   bool
}

// AccountCredential is one credential of an account's snapshot.
type AccountCredential struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Created int64  `json:"created"` // Unix milliseconds, 0 where absent
}

// Contact is one person to tell about an account.
type Contact struct {
	Email string `json:"email"`
	Role  string `json:"role"`
}

// Volume is how many recipients a send counts for.
func (e *Event) Volume() int64 {
	return max(e.RecipientCount, int64(len(e.Recipients)))
}

// Entity returns the entity in whose lane the event belongs.
func (e *Event) Entity() Entity {
	switch {
	case e.Type == TypeAccess, e.Type == TypeLogin && e.Employee != "":
		return Entity{KindEmployee, e.Employee}
	case e.Type == TypeConnection:
		return IPEntity(e.IP)
	}
	return Entity{KindAccount, e.Account}
}

// AppendKey appends the key of the event's entity.
func (e *Event) AppendKey(b []byte) []byte {
	if e.Type == TypeConnection && e.IP.Is4() {
		return e.IP.AppendTo(append(b, KindIP+":"...))
	}
	entity := e.Entity()
	b = append(append(b, entity.Kind...), ':')
	return append(b, entity.ID...)
}
