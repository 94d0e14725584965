package api

import (
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// Requester hands a person's request to its entity's lane, or to the gate, and waits for
// what came of it. A request without an id and a time gets them. An error means that no
// answer came; the request may still be carried out.
type Requester interface {
	Ask(ctx context.Context, r schemas.Request) (schemas.Operator, error)
}

// Journal writes operator records of what no lane knows of: sign-ins, refused requests,
// changes of people. It returns when the log has the record.
type Journal interface {
	Write(ctx context.Context, op schemas.Operator) error
}

// Feed follows the topics that the live copies are made of: status, casebook, incidents,
// operator and people.
type Feed interface {
	// Follow hands over what is in the topics, calls whole, and hands over what comes
	// until ctx ends. Calls come from one goroutine; a value is only good during its call.
	// After an error everything may come again.
	Follow(ctx context.Context, each func(Record), whole func()) error
	// Sync waits until each was called for all that is there now for an entity.
	Sync(ctx context.Context, e schemas.Entity) error
}

// Record is a record of a followed topic. A nil Value deletes the key's.
type Record struct {
	Topic schemas.Topic
	Key   string
	ID    string // its header, where it has one
	Value []byte
}

// Store keeps people on the compacted topic `people`. It returns when the log has it.
type Store interface {
	Put(ctx context.Context, key string, value []byte) error // nil deletes
}

// Receivers tells how far statuses are carried out.
type Receivers interface {
	Progress(ctx context.Context, e schemas.Entity) ([]Receipt, error)
	Undelivered(ctx context.Context) ([]Receipt, error)
	// Retry has receivers told of an entity again; the operator record is its own.
	Retry(ctx context.Context, e schemas.Entity, p Principal, why string) error
}

// Receipt is how far one receiver is with an entity's status.
type Receipt struct {
	Entity   schemas.Entity `json:"entity,omitzero"`
	Status   string         `json:"status,omitempty"`
	Receiver string         `json:"receiver,omitempty"`
	// State is confirmed, waiting, failing, refused or held; none where no receiver is
	// configured; "not told" where the status is none that receivers are told; "not
	// concerned" where no receiver takes it.
	State    string    `json:"state"`
	At       time.Time `json:"at,omitzero"`    // when it was confirmed
	Since    time.Time `json:"since,omitzero"` // since when it fails
	Attempts int       `json:"attempts,omitzero"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"next,omitzero"`
}

// System describes the process and what is configured.
type System interface {
	Policies(ctx context.Context) ([]Policy, error)
	Allowed(ctx context.Context) ([]Allow, error) // by the policy file
	Brake(ctx context.Context) (Brake, error)
	// Shared says what makes an address one that many may share; empty: nothing does.
	Shared(ctx context.Context, e schemas.Entity) string
	About(ctx context.Context) (About, error)
}

// Policy is one policy in force, with its history's numbers where they are known.
type Policy struct {
	Name       string             `json:"name"`
	Version    int                `json:"version"`
	Mode       schemas.Mode       `json:"mode"`
	Entity     schemas.EntityKind `json:"entity"`
	Verdict    schemas.Verdict    `json:"verdict"`
	When       string             `json:"when"`
	From       time.Time          `json:"from,omitzero"` // since when this version holds
	Decisions  int64              `json:"decisions"`     // live ones within the time asked for
	Braked     int64              `json:"braked"`
	Shadow     int64              `json:"shadow"` // decisions in mode shadow
	Confirmed  int                `json:"confirmed"`
	FalseAlarm int                `json:"false_alarm"`
	Expected   int                `json:"expected"`
	// Precision is confirmed / (confirmed + false alarms), by cases with a verdict; nil
	// while there are none.
	Precision *float64 `json:"precision,omitempty"`
}

// Allow is an entity's leave to raise a detector's signals until it ends.
type Allow struct {
	Entity   schemas.Entity `json:"entity"`
	Detector string         `json:"detector,omitempty"` // empty: all
	Since    time.Time      `json:"since,omitzero"`
	Until    time.Time      `json:"until,omitzero"`
	By       string         `json:"by"`
	Why      string         `json:"why"`
	// Hidden counts the signals that were not answered for it so far; nil where the audit
	// store does not say.
	Hidden *int64 `json:"hidden,omitempty"`
	// From is file where the policy file says so, snooze for a snooze, allow for one of
	// people's entries.
	From string `json:"from"`
}

// Brake is the state of the brake on automatic stops.
type Brake struct {
	Tripped bool      `json:"tripped"`
	Since   time.Time `json:"since,omitzero"`
	Stops   int64     `json:"stops"` // automatic ones within the hour
	Off     bool      `json:"off,omitzero"`
	// Waiting are entities that are throttled because of it.
	Waiting int `json:"waiting"`
	// Known is false where another process has the gate and it never said anything.
	Known bool `json:"known"`
}

// About is what the process says of itself.
type About struct {
	Version   string            `json:"version"`
	Started   time.Time         `json:"started"`
	Roles     []string          `json:"roles"`
	Store     bool              `json:"store"` // the audit store answers
	Lag       map[string]int64  `json:"lag"`   // records that a role has yet to fold
	Troubles  []string          `json:"troubles,omitempty"`
	Endpoints map[string]string `json:"endpoints,omitempty"`
}

// History asks the audit store. Each method is bounded in time, rows and memory; what
// cannot be answered now is an error that wraps ErrAway.
type History interface {
	// Timeline gives what is recorded of an entity, the newest first.
	Timeline(ctx context.Context, e schemas.Entity, q Span) ([]Entry, error)
	// Case gives a case's newest record, also of an earlier episode.
	Case(ctx context.Context, id string) (schemas.Case, bool, error)
	// CasesOf lists an entity's cases, the newest first.
	CasesOf(ctx context.Context, e schemas.Entity, limit int) ([]schemas.Case, error)
	Decisions(ctx context.Context, ids []string, e schemas.Entity) ([]schemas.Decision, error)
	Signals(ctx context.Context, ids []string, e schemas.Entity) ([]schemas.Signal, error)
	// Told gives what was done and who was told because of decisions, the oldest first.
	Told(ctx context.Context, decisions []string, e schemas.Entity) ([]schemas.Action, []schemas.Notice, error)
	// Reach is what an entity reached between two times.
	Reach(ctx context.Context, e schemas.Entity, from, to time.Time) (Reach, error)
	// Touched lists the accounts that an address was used for, or that an employee
	// reached, between two times, those with most records first.
	Touched(ctx context.Context, e schemas.Entity, q Span) ([]Touch, error)
	// Sources lists the addresses that an account was used from.
	Sources(ctx context.Context, e schemas.Entity, q Span) ([]Source, error)
	// Credentials lists those of an account that events name.
	Credentials(ctx context.Context, e schemas.Entity, q Span) ([]Credential, error)
	// Snapshot is an account's newest one; nil where there is none.
	Snapshot(ctx context.Context, e schemas.Entity) (jsontext.Value, error)
	// Volume is an account's recipients and messages by step.
	Volume(ctx context.Context, e schemas.Entity, from, to time.Time, step time.Duration) ([]Bucket, error)
	// Operators lists what people did, the newest first.
	Operators(ctx context.Context, q OperatorsIn, after *Place) ([]Entry, error)
	// Suppressed counts an entity's signals of a time, of one detector or of all.
	Suppressed(ctx context.Context, e schemas.Entity, detector string, from, to time.Time) (int64, error)
	// Decided counts decisions by policy since a time.
	Decided(ctx context.Context, since time.Time) ([]PolicyCount, error)
	// Known reports whether anything is recorded of an entity.
	Known(ctx context.Context, e schemas.Entity) (bool, error)
	// Query runs one SELECT as a user who can only read.
	Query(ctx context.Context, sql string, limit int) (Table, error)
}

// Span is a part of the past.
type Span struct {
	From, To time.Time // zero: no bound
	Kinds    []schemas.Kind
	NoEvents bool
	NoTrials bool
	Limit    int
	After    *Place // go on behind this entry
}

// Place is where an entry stands in an order by time.
type Place struct {
	When      time.Time     `json:"w"` // as the order has it
	Kind      schemas.Kind  `json:"k"`
	Arrival   time.Time     `json:"a"`
	LogID     string        `json:"l"`
	Topic     schemas.Topic `json:"t"`
	Partition int32         `json:"p"`
	Offset    int64         `json:"o"`
}

// Entry is one thing that happened, with its two times.
type Entry struct {
	At      time.Time      `json:"at"`    // when it happened
	Found   time.Time      `json:"found"` // when it came in or was found
	Kind    schemas.Kind   `json:"kind"`
	ID      string         `json:"id"`
	Entity  string         `json:"entity"` // its key
	Account string         `json:"account,omitempty"`
	Source  string         `json:"source,omitempty"`
	Origin  string         `json:"origin,omitempty"`
	Late    bool           `json:"late,omitzero"` // found so late that it stands where it was found
	Text    string         `json:"text"`          // a sentence for people; may hold any character
	Body    jsontext.Value `json:"body"`          // the record, by its JSON Schema
	Place   Place          `json:"-"`
}

// Reach is what was reached in a window: exact counts over the audit store.
type Reach struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Messages   int64     `json:"messages"`
	Recipients int64     `json:"recipients"`
	Distinct   int64     `json:"distinct"` // different recipients, where they are named
	// Unknown is how many of them come from sources that are traces of the case.
	FromTraces int64    `json:"from_traces"`
	Lists      int64    `json:"lists"`   // accesses: lists seen
	Exports    int64    `json:"exports"` // accesses: exports
	Secrets    int64    `json:"secrets"` // accesses: secrets seen
	Rows       int64    `json:"rows"`    // rows of bulk reads
	Accounts   int64    `json:"accounts"`
	Subjects   []string `json:"subjects,omitempty"`
}

// Touch is an account that an address was used for, or that an employee reached.
type Touch struct {
	Account string    `json:"account"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Records int64     `json:"records"`
	Sends   int64     `json:"sends,omitzero"`   // recipients
	Logins  int64     `json:"logins,omitzero"`  // that succeeded
	Failed  int64     `json:"failed,omitzero"`  // logins
	Views   int64     `json:"views,omitzero"`   // accesses
	Secrets int64     `json:"secrets,omitzero"` // accesses that showed a secret
	Rows    int64     `json:"rows,omitzero"`    // of bulk reads
	Tickets int64     `json:"tickets,omitzero"` // accesses with a ticket
	Status  string    `json:"status,omitempty"`
	Case    string    `json:"case,omitempty"`
}

// Source is an address that an account was used from.
type Source struct {
	Address     string    `json:"address"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Records     int64     `json:"records"`
	Recipients  int64     `json:"recipients"`
	Logins      int64     `json:"logins"`
	Failed      int64     `json:"failed"`
	Country     string    `json:"country,omitempty"`
	Network     string    `json:"network,omitempty"`
	Credentials []string  `json:"credentials,omitempty"`
}

// Credential is one of an account, as its events have it.
type Credential struct {
	ID         string    `json:"id"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"` // last use
	Sends      int64     `json:"sends"`
	Recipients int64     `json:"recipients"`
	Addresses  int64     `json:"addresses"`
	Kind       string    `json:"kind,omitempty"`
	Change     string    `json:"change,omitempty"` // the newest
	Changed    time.Time `json:"changed,omitzero"`
}

// Bucket is one step of a time series.
type Bucket struct {
	At         time.Time `json:"at"`
	Messages   int64     `json:"messages"`
	Recipients int64     `json:"recipients"`
	Bounces    int64     `json:"bounces"`
	Complaints int64     `json:"complaints"`
}

// PolicyCount is how often a policy decided something.
type PolicyCount struct {
	Policy  string
	Version int
	Mode    schemas.Mode
	Braked  bool
	N       int64
}

// Table is a query's answer.
type Table struct {
	Columns []string           `json:"columns"`
	Types   []string           `json:"types"`
	Rows    [][]jsontext.Value `json:"rows"`
	// Cut says that there is more than the answer may hold.
	Cut  bool    `json:"cut,omitzero"`
	Took float64 `json:"took"` // seconds
}
