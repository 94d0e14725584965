package schemas

import "time"

// Family is the kind of a signal. A policy asks for two different ones, or for a
// signal that is certain by itself.
type Family string

// The families of signal.
const (
	FamilyVolume     Family = "volume"
	FamilyNetwork    Family = "network"
	FamilyIdentity   Family = "identity"
	FamilyCredential Family = "credential"
	FamilyReputation Family = "reputation"
	FamilyInsider    Family = "insider"
	FamilySource     Family = "source"
)

// Severity grades a signal for people.
type Severity string

// The severities, least first.
const (
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Verdict is what a policy says should be done.
type Verdict string

// The verdicts. Suspend, block and revoke are stops.
const (
	VerdictObserve  Verdict = "observe"
	VerdictReview   Verdict = "review"
	VerdictThrottle Verdict = "throttle"
	VerdictSuspend  Verdict = "suspend"
	VerdictBlock    Verdict = "block"
	VerdictRevoke   Verdict = "revoke"
	VerdictRelease  Verdict = "release"
)

// Rank orders verdicts: observe < review < throttle < revoke < suspend and block.
func (v Verdict) Rank() int {
	switch v {
	case VerdictReview:
		return 1
	case VerdictThrottle:
		return 2
	case VerdictRevoke:
		return 3
	case VerdictSuspend, VerdictBlock:
		return 4
	}
	return 0
}

// Stops reports whether the verdict takes something away from somebody.
func (v Verdict) Stops() bool { return v.Rank() >= 3 }

// Mode says whether a decision is acted on: only live ones are.
type Mode string

// The modes.
const (
	ModeLive    Mode = "live"
	ModeShadow  Mode = "shadow"
	ModeHistory Mode = "history"
)

// Evidence is the numbers behind a signal.
type Evidence struct {
	Observed  float64  `json:"observed"`
	Expected  float64  `json:"expected"`
	Threshold float64  `json:"threshold"`
	Unit      string   `json:"unit"`
	Window    string   `json:"window"` // a Go duration, "5m0s"
	Floor     float64  `json:"floor"`
	Samples   []string `json:"samples,omitempty"` // at most 5 event ids
	Text      string   `json:"text"`
}

// Signal is a detector's finding about an entity.
type Signal struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"` // of the event that raised it
	Detector   string    `json:"detector"`
	Version    int       `json:"version"`
	Family     Family    `json:"family"`
	Entity     Entity    `json:"entity"`
	Account    string    `json:"account,omitempty"`
	Credential string    `json:"credential,omitempty"`
	Level      int       `json:"level"`
	Score      float64   `json:"score"` // 0 to 1
	Severity   Severity  `json:"severity"`
	Technique  string    `json:"technique"` // ATT&CK id
	Certain    bool      `json:"certain,omitempty"`
	Trigger    string    `json:"trigger"` // id of the event that raised it
	Origin     Origin    `json:"origin"`  // the trigger's
	Arrival    time.Time `json:"arrival"` // the trigger's
	Evidence   Evidence  `json:"evidence"`
	// Address and User are whom the trigger came from, where it is one that the account did
	// not know; Usual is the account's recipients a day, 95th percentile, 0 where unknown.
	Address string `json:"address,omitempty"`
	User    string `json:"user,omitempty"`
	// Employee is the one through whom they came, where that is known.
	Employee string `json:"employee,omitempty"`
	Usual    int64  `json:"usual,omitzero"`
	// Alone says that the account has other credentials that send, with nothing unusual.
	Alone bool `json:"alone,omitzero"`
	// Mode is shadow, and Trial its name, where numbers on trial raised the signal.
	Mode  Mode   `json:"mode,omitempty"`
	Trial string `json:"trial,omitempty"`
}

// Decision is a policy's verdict on an entity.
type Decision struct {
	ID            string    `json:"id"`
	Time          time.Time `json:"time"`
	Entity        Entity    `json:"entity"`
	Account       string    `json:"account,omitempty"`
	Credential    string    `json:"credential,omitempty"`
	Verdict       Verdict   `json:"verdict"`
	Proposed      Verdict   `json:"proposed"` // before the brake
	Policy        string    `json:"policy"`
	PolicyVersion int       `json:"policy_version"`
	Mode          Mode      `json:"mode"`
	Trial         string    `json:"trial,omitempty"` // by whose signals, in mode shadow
	Episode       int       `json:"episode"`
	Signals       []string  `json:"signals"`
	Shares        []float64 `json:"shares,omitempty"` // of the score, one for each signal, together 1
	Seen          []Seen    `json:"seen,omitempty"`   // what to read first, at most 5
	Score         float64   `json:"score"`            // the risk, 0 to 1
	Reason        string    `json:"reason"`           // for analysts
	NoticeReason  string    `json:"notice_reason"`    // for customers: never a threshold
	Braked        bool      `json:"braked,omitempty"`
	By            string    `json:"by,omitempty"` // the person, where one decided
	Arrival       time.Time `json:"arrival"`      // of the record that caused it
}

// Seen is one finding behind a decision, as people read it.
type Seen struct {
	Signal   string  `json:"signal"` // the gravest that says so
	Detector string  `json:"detector"`
	Share    float64 `json:"share"` // of the decision's score, by all signals that say so
	Text     string  `json:"text"`
}

// Status is an entity's standing, the value of the compacted status topic.
// (Episode, Step) only grow.
type Status struct {
	Entity   Entity    `json:"entity"`
	Status   string    `json:"status"` // active, review, throttled, revoked, suspended, blocked
	Episode  int       `json:"episode"`
	Step     int       `json:"step"`
	Verdict  Verdict   `json:"verdict"`
	Decision string    `json:"decision"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"` // as the customer may read it
	By       string    `json:"by,omitempty"`
	Until    time.Time `json:"until,omitzero"` // when it ends by itself
	Case     string    `json:"case,omitempty"`
	// Revoked are the credentials that are taken away while the entity goes on, status
	// "revoked". PerDay is the sending limit of probation in recipients a day, 0 where
	// there is none; the status is active then.
	Revoked []string `json:"revoked,omitempty"`
	PerDay  int64    `json:"per_day,omitzero"`
}

// Newer reports whether s stands after t.
func (s Status) Newer(t Status) bool {
	return s.Episode > t.Episode || s.Episode == t.Episode && s.Step > t.Step
}

// Action is an outcome of carrying a decision out at one receiver. The receiver is told
// again until it confirms; there is a record each time when the outcome changes, all of
// one decision and receiver under one id, of which the last one holds.
type Action struct {
	ID       string    `json:"id"` // from (decision, channel, target): the key of every attempt
	Time     time.Time `json:"time"`
	Decision string    `json:"decision"`
	Entity   Entity    `json:"entity"`
	Account  string    `json:"account,omitempty"`
	Verdict  Verdict   `json:"verdict"`
	Channel  string    `json:"channel"`
	Target   string    `json:"target"`
	Outcome  string    `json:"outcome"` // done, failing, refused, superseded, held; failed in records of old
	Attempts int       `json:"attempts"`
	Detail   string    `json:"detail,omitempty"`
}

// Notice is a message to a person.
type Notice struct {
	ID       string    `json:"id"` // from (decision, channel, recipient)
	Time     time.Time `json:"time"`
	Decision string    `json:"decision"`
	Entity   Entity    `json:"entity"`
	Account  string    `json:"account,omitempty"`
	Audience string    `json:"audience"` // operator, customer
	Channel  string    `json:"channel"`
	To       string    `json:"to"`
	Subject  string    `json:"subject"`
	Body     string    `json:"body"`
	Outcome  string    `json:"outcome"` // sent, failed, sending (one of several in a message), superseded by what followed in its case
	Attempts int       `json:"attempts"`
	Detail   string    `json:"detail,omitempty"`
	Case     string    `json:"case,omitempty"`
	What     string    `json:"what,omitempty"` // happened, see alerting/notify
	Language string    `json:"language,omitempty"`
	Message  string    `json:"message,omitempty"` // the id of the message that told of several, where one did
	Ref      string    `json:"ref,omitempty"`     // what the receiver called the message
	Spree    string    `json:"spree,omitempty"`   // what it is gathered by where many come at once
}

// Operator is a person's act, with the entity's status before and after it.
type Operator struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Act     string    `json:"act"`
	Entity  Entity    `json:"entity"`
	Why     string    `json:"why"`
	Before  string    `json:"before"`
	After   string    `json:"after"`
	Refused string    `json:"refused,omitempty"` // why it changed nothing
	Until   time.Time `json:"until,omitzero"`    // when a snooze ends
	Case    string    `json:"case,omitempty"`
	Item    string    `json:"item,omitempty"`
	Text    string    `json:"text,omitempty"`
	Second  string    `json:"second,omitempty"` // who approved it
	From    string    `json:"from,omitempty"`
	Address string    `json:"address,omitempty"` // from where it was asked
	// Awaits says that it was taken, and waits for a second person.
	Awaits bool `json:"awaits,omitzero"`
	// Version is the case's or incident's afterwards, where there is one, and Episode and
	// Step are the status's, so that who reads copies of these can tell whether they are as
	// new as the act.
	Version int `json:"version,omitzero"`
	Episode int `json:"episode,omitzero"`
	Step    int `json:"step,omitzero"`
}

// Gap is a stretch that could not be seen.
type Gap struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Topic     Topic     `json:"topic"`
	Partition int32     `json:"partition"`
	From      int64     `json:"from"`
	To        int64     `json:"to"`
	Reason    string    `json:"reason"`
}

// Rejected is a record that could not be used.
type Rejected struct {
	ID        string    `json:"id"` // from where it stood
	Time      time.Time `json:"time"`
	Topic     string    `json:"topic"` // or the intake's source
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Source    string    `json:"source"`
	Reason    Reason    `json:"reason"`
	Detail    string    `json:"detail"`
	Head      []byte    `json:"head"` // its first 64 KiB
	Size      int       `json:"size"`
	SHA256    string    `json:"sha256"`
}

// Request is a person's wish for one entity, handed to its respond lane.
type Request struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Entity  Entity    `json:"entity"`
	Act     string    `json:"act"` // see alerting/respond; release_brake for the gate
	Actor   string    `json:"actor"`
	Why     string    `json:"why"`
	Until   time.Time `json:"until,omitzero"`
	Episode *int      `json:"episode,omitempty"` // the status that the person saw
	Step    *int      `json:"step,omitempty"`
	// Version is the case that the person saw. An act on one that has changed is refused.
	Version *int `json:"version,omitempty"`
	// Item is what of the case is meant: a step's id, a trace, a hold's owner, a credential,
	// a ticket, a person.
	Item string `json:"item,omitempty"`
	Text string `json:"text,omitempty"` // a note, an answer
	// Verdict and Reason judge the case, see CaseReasons.
	Verdict CaseVerdict `json:"verdict,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Other   Entity      `json:"other,omitzero"` // the case's entity to merge into
	// Second is who has approved it, where two people are needed.
	Second string `json:"second,omitempty"`
	// From says what kind of actor it is: a person (empty), the customer, or Holdfast.
	From string `json:"from,omitempty"`
	// Address is where the person asked from.
	Address string `json:"address,omitempty"`
}

// ActDue is the act by which Holdfast says that a time has come, see Case.Next.
const ActDue = "due"

// The values of Request.From beside a person.
const (
	FromCustomer = "customer" // through the customer's page
	FromHoldfast = "holdfast" // what is due by the clock
)

// Proposal asks the gate whether an automatic stop may go ahead.
type Proposal struct {
	ID       string    `json:"id"` // from the decision
	Time     time.Time `json:"time"`
	Entity   Entity    `json:"entity"`
	Decision string    `json:"decision"`
	Verdict  Verdict   `json:"verdict"`
	Arrival  time.Time `json:"arrival"`
}

// Active says that an account was seen on a day; the gate's brake grows with the
// number of them.
type Active struct {
	Account string `json:"account"`
	Day     int64  `json:"day"` // days since 1970-01-01
}

// Answer is the gate's word on a proposal, handed to the owner's inbox.
type Answer struct {
	ID       string    `json:"id"` // from the proposal
	Time     time.Time `json:"time"`
	Entity   Entity    `json:"entity"`
	Decision string    `json:"decision"`
	Go       bool      `json:"go"`
	Reason   string    `json:"reason,omitempty"`
	Page     bool      `json:"page,omitempty"` // the first braked one of a trip pages an operator
}

// FactKind tells the two kinds of fact apart.
type FactKind string

// The kinds of fact.
const (
	FactMember FactKind = "member"
	FactCount  FactKind = "count"
)

// Fact is what one entity's lane tells another's. A member comes once when new in
// its sender's window; a count is cumulative within one block of the sender's
// log, and the highest wins. Both are harmless when they come twice, in any order.
type Fact struct {
	Kind       FactKind `json:"kind"`
	Name       string   `json:"name"`
	Entity     Entity   `json:"entity"` // to whom
	From       Entity   `json:"from"`
	Time       int64    `json:"time"`   // Unix milliseconds, of the event
	Window     int64    `json:"window"` // its start, Unix seconds
	Value      string   `json:"value,omitempty"`
	Account    string   `json:"account,omitempty"`
	Employee   string   `json:"employee,omitempty"`
	Credential string   `json:"credential,omitempty"`
	Address    string   `json:"address,omitempty"`
	Event      string   `json:"event"` // the event's id
	Origin     Origin   `json:"origin"`
	Arrival    int64    `json:"arrival"`
	Lane       int32    `json:"lane,omitempty"`
	Block      int64    `json:"block,omitempty"`
	N          int64    `json:"n,omitempty"`
}
