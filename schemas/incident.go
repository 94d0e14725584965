package schemas

import (
	"fmt"
	"strings"
	"time"
)

// KindIncident is the kind of the entity that stands for an incident. It has a respond lane
// like any other; no event is ever of it.
const KindIncident EntityKind = "incident"

// The states of an incident.
const (
	IncidentOpen   = "open"
	IncidentClosed = "closed"
)

// Incident joins cases that have one cause. Each record is its whole present state; Version
// grows with each. Its entity is incident:ID.
type Incident struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Version int       `json:"version,omitzero"`
	Entity  Entity    `json:"entity"`

	Cause  Cause     `json:"cause"`
	Title  string    `json:"title"`
	State  string    `json:"state"` // open, closed
	Owner  string    `json:"owner,omitempty"`
	Opened time.Time `json:"opened"`
	Closed time.Time `json:"closed,omitzero"`
	By     string    `json:"by,omitempty"`  // who changed it last
	Why    string    `json:"why,omitempty"` // the last change, in words

	Members  []Member  `json:"members,omitempty"`
	Notes    []Note    `json:"notes,omitempty"`
	Scope    *Scope    `json:"scope,omitempty"` // the newest run
	Campaign *Campaign `json:"campaign,omitempty"`
	Hunts    []Hunt    `json:"hunts,omitempty"` // the newest last
}

// The kinds of cause.
const (
	CauseEmployee = "employee"
	CauseAddress  = "address" // or a network
	CauseList     = "list"    // of credentials that leaked
	CauseOther    = "other"
)

// Cause is what the cases of an incident have in common.
type Cause struct {
	Kind  string `json:"kind"`
	Value string `json:"value,omitempty"`
}

// String writes it as ParseCause reads it.
func (c Cause) String() string { return strings.TrimSuffix(c.Kind+":"+c.Value, ":") }

// ParseCause reads kind:value; a list and another cause need no value.
func ParseCause(s string) (Cause, error) {
	kind, value, _ := strings.Cut(s, ":")
	c := Cause{Kind: kind, Value: strings.TrimSpace(value)}
	switch kind {
	case CauseEmployee:
		if c.Value == "" {
			return c, fmt.Errorf("cause %q names no employee: write employee:emp-03", s)
		}
	case CauseAddress:
		if _, err := ParseEntity(string(KindIP) + ":" + c.Value); err != nil {
			return c, fmt.Errorf("cause %q: write address:192.0.2.1 or address:2001:db8::/64", s)
		}
	case CauseList, CauseOther:
	default:
		return c, fmt.Errorf("cause %q is unknown: write employee:ID, address:ADDRESS, list or other", s)
	}
	return c, nil
}

// Member is an entity whose case belongs to an incident.
type Member struct {
	Entity Entity    `json:"entity"`
	Why    string    `json:"why"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Scope is one run of the question whom an employee or an address reached. Where Run is
// set, the whole of it is committed to in the log of proof, with the query, what of the
// journals it covered and the gaps in them; certificates are made of that.
type Scope struct {
	Run    string    `json:"run,omitempty"`
	NoRun  string    `json:"no_run,omitempty"` // why it is not committed to
	Entity Entity    `json:"entity"`           // who reached them
	From   time.Time `json:"from"`             // of the events' time
	To     time.Time `json:"to"`               // excluded
	Ran    time.Time `json:"ran"`
	By     string    `json:"by"`

	Covered []Range  `json:"covered,omitempty"` // of the journal of events, at most MaxCovered
	Gaps    []string `json:"gaps,omitempty"`    // in words, at most MaxCovered

	Records int64 `json:"records"`
	Rows    int64 `json:"rows"`
	// Bulk are the reads of many customers at once; Blind are those among them that name
	// none: whom they reached is not known.
	Bulk      int64 `json:"bulk"`
	BulkRows  int64 `json:"bulk_rows"`
	Blind     int64 `json:"blind"`
	BlindRows int64 `json:"blind_rows"`
	Customers int64 `json:"customers"`
	// All is how many customers were known at To; Share is Customers of them, 0 to 1.
	All   int64   `json:"all"`
	Share float64 `json:"share"`
	Used  int64   `json:"used"` // customers of whom a credential was used from a new address after its secret was seen
	// Digest is the SHA-256, in hex, of the customers' sorted ids, each with a line's end. It
	// is of all of them, also of those that Reached leaves out.
	Digest  string     `json:"digest"`
	Reached []Customer `json:"reached"` // those whose credentials were used first, then those whose secrets were seen
	Cut     bool       `json:"cut,omitzero"`
}

// The bounds of what an incident keeps: its record stays below MaxMessageBytes with all of
// them.
const (
	MaxMembers     = 500
	MaxReached     = 1000
	MaxCovered     = 256
	MaxHunts       = 6
	MaxIndicators  = 200
	MaxCredentials = 2000 // of a campaign
)

// Range is a stretch of one partition of a journal; To is not included.
type Range struct {
	Topic     Topic `json:"topic"`
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"`
}

// Customer is one that was reached.
type Customer struct {
	Account string    `json:"account"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Records int64     `json:"records"`
	Secret  bool      `json:"secret,omitzero"` // its secrets were seen, or it was acted for
	// Used says when a credential was used first after that from an address that the account
	// had not used before, and From which.
	Used time.Time `json:"used,omitzero"`
	From string    `json:"from,omitempty"`
}

// Campaign asks that credentials be renewed: those of a list, or everybody's.
type Campaign struct {
	Everybody   bool      `json:"everybody,omitzero"`
	Since       time.Time `json:"since"`                 // only changes from here on count
	Credentials []string  `json:"credentials,omitempty"` // of a list, sorted
	By          string    `json:"by"`
	Why         string    `json:"why"`
}

// Renewal is how far one credential of a campaign is renewed.
type Renewal struct {
	Credential string    `json:"credential"`
	Account    string    `json:"account,omitempty"` // the one that used it last; empty: nobody ever did
	Change     string    `json:"change,omitempty"`  // rotated, revoked or removed; empty: it is open
	At         time.Time `json:"at,omitzero"`
	LastUse    time.Time `json:"last_use,omitzero"`
	Notified   time.Time `json:"notified,omitzero"` // when somebody of the account was told last, since the campaign began
}

// Progress is how far a campaign has come.
type Progress struct {
	All      int64     `json:"all"`
	Renewed  int64     `json:"renewed"`
	Notified int64     `json:"notified"` // of those that are open, of whose account somebody was told
	Unknown  int64     `json:"unknown"`  // that no event ever named
	Items    []Renewal `json:"items"`    // the open ones first; at most the limit
}

// Hunt is a list of indicators, looked for in all that is recorded, with the result.
type Hunt struct {
	ID      string    `json:"id"`
	Ran     time.Time `json:"ran"`
	By      string    `json:"by"`
	Why     string    `json:"why"`
	Query   string    `json:"query"` // retro_hunt
	Version int       `json:"version"`
	From    time.Time `json:"from,omitzero"` // of the events' time; zero: all that is recorded
	To      time.Time `json:"to"`
	Hits    []Hit     `json:"hits"` // one for each indicator
	// Accounts are all that any indicator hits, sorted, at most MaxMembers.
	Accounts []string `json:"accounts,omitempty"`
}

// Hit is what was found of one indicator.
type Hit struct {
	Indicator string    `json:"indicator"`
	Kind      string    `json:"kind"` // address, network, user_agent, key
	Events    int64     `json:"events"`
	Accounts  int64     `json:"accounts"`
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
}
