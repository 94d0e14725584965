package schemas

import "time"

// Stage is where a case stands on its way from finding to closing.
type Stage string

// The stages, in their order. A closed case, or one in probation, goes back to contained
// when new evidence stops its entity again (a relapse).
const (
	StageOpen       Stage = "open"       // found, nothing is contained: a person looks
	StageContained  Stage = "contained"  // throttled or stopped
	StageRecovering Stage = "recovering" // the first step of the way back is done
	StageProbation  Stage = "probation"  // released, its sending limit still grows
	StageClosed     Stage = "closed"
)

// CaseVerdict is what people think of a case.
type CaseVerdict string

// The verdicts on a case. One that is empty is undetermined.
const (
	CaseUndetermined CaseVerdict = "undetermined"
	CaseCompromised  CaseVerdict = "compromised"
	CaseExpected     CaseVerdict = "expected"    // true, but benign: the customer's new server
	CaseFalseAlarm   CaseVerdict = "false_alarm" // what was found was not so
)

// Basis says how something is known.
type Basis string

// The bases.
const (
	BasisObserved Basis = "observed" // an event says so
	BasisInferred Basis = "inferred" // concluded from findings
	BasisSaid     Basis = "said"     // by a person, who is named
)

// Row is what every line of a case has: when it happened, when it was found, how it is
// known and by what: an event's, a signal's, a decision's or a request's id.
type Row struct {
	At    time.Time `json:"at,omitzero"`
	Found time.Time `json:"found,omitzero"`
	Basis Basis     `json:"basis,omitempty"`
	Cause string    `json:"cause,omitempty"`
	By    string    `json:"by,omitempty"` // the person, where one said so
}

// Case is one compromise from its first finding to closing. Each record is its whole
// present state; Version grows with each. Lists are bounded, see alerting/respond.
type Case struct {
	ID      string    `json:"id"` // from (entity, episode)
	Time    time.Time `json:"time"`
	Version int       `json:"version,omitzero"`
	Entity  Entity    `json:"entity"`
	Account string    `json:"account,omitempty"`
	Episode int       `json:"episode"`

	Stage     Stage       `json:"state"`
	Due       time.Time   `json:"due,omitzero"`  // when its stage should be over
	Next      time.Time   `json:"next,omitzero"` // when the clock changes it, see Request.From
	Verdict   CaseVerdict `json:"verdict,omitempty"`
	Reason    string      `json:"reason,omitempty"` // of the verdict, one of CaseReasons
	Opened    time.Time   `json:"opened"`
	Contained time.Time   `json:"contained,omitzero"` // the newest stop or throttle
	Released  time.Time   `json:"released,omitzero"`
	Closed    time.Time   `json:"closed,omitzero"`
	Relapses  int         `json:"relapses,omitzero"`
	By        string      `json:"by,omitempty"`  // who changed it last; empty: nobody, it followed
	Why       string      `json:"why,omitempty"` // the last change, in words

	Owner    string   `json:"owner,omitempty"` // who works on it
	Watchers []string `json:"watchers,omitempty"`
	Tickets  []string `json:"tickets,omitempty"`
	Notes    []Note   `json:"notes,omitempty"`

	Decisions []string `json:"decisions"`
	Policies  []string `json:"policies,omitempty"` // name@version
	Window    Window   `json:"window,omitzero"`
	Entry     []Trace  `json:"entry,omitempty"`
	Seen      []Seen   `json:"seen,omitempty"` // the gravest decision's evidence, as of then
	Made      []Made   `json:"made,omitempty"`
	Holds     []Hold   `json:"holds,omitempty"`
	Steps     []Step   `json:"steps,omitempty"`
	Ramp      *Ramp    `json:"ramp,omitempty"`
	Usual     int64    `json:"usual,omitzero"` // recipients a day, 95th percentile before the case; 0: unknown
	Protected bool     `json:"protected,omitzero"`
	// Awaits is an act that a second person has yet to approve.
	Awaits   *Awaited `json:"awaits,omitempty"`
	Links    []Link   `json:"links,omitempty"`
	Incident string   `json:"incident,omitempty"`
	Merged   string   `json:"merged,omitempty"` // the case that it was merged into
}

// Window is the time from the first to the last bad event.
type Window struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Confidence string    `json:"confidence"` // high, medium, low
}

// What a Trace can name.
const (
	TraceCredential = "credential"
	TraceAddress    = "address"
	TraceUser       = "user"
	TraceEmployee   = "employee"
)

// Trace is one thing that they used: how they came in.
type Trace struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
	// Ours says that a person knows it as the customer's own: what comes from it counts.
	Ours bool `json:"ours,omitzero"`
	Row
}

// Made is something that was made or changed inside the window.
type Made struct {
	Kind    string `json:"kind"` // a credential event's
	ID      string `json:"id"`
	Change  string `json:"change"`
	User    string `json:"user,omitempty"`
	Address string `json:"address,omitempty"`
	Row
}

// Hold is one owner's containment of the case's entity, or of one object of it. What is in
// force is the strictest of all.
type Hold struct {
	Verdict  Verdict   `json:"verdict"`          // throttle, revoke, suspend, block
	Object   string    `json:"object,omitempty"` // the credential that is revoked
	Owner    string    `json:"owner"`            // policy:NAME, person:NAME, brake
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // zero: until it is lifted
	Why      string    `json:"why"`
	Decision string    `json:"decision"` // what put it in force
	// Stays says that it is lifted by a person alone, however the way back ends.
	Stays bool `json:"stays,omitzero"`
}

// The kinds of step on the way back.
const (
	StepInvestigation = "investigation"
	StepAPIKey        = "api_key"
	StepSMTP          = "smtp_password"
	StepPassword      = "user_password"
	StepMFA           = "mfa"
	StepRemoval       = "removal"
	StepSessions      = "sessions"
	StepConfirmation  = "confirmation"
)

// Step is one thing that must be done before the entity is released.
type Step struct {
	ID     string    `json:"id"` // kind:object
	Kind   string    `json:"kind"`
	Object string    `json:"object,omitempty"` // credential, domain, user
	User   string    `json:"user,omitempty"`
	Opened time.Time `json:"opened"`
	Proof  *Proof    `json:"proof,omitempty"` // nil: open
	// Ignored is why the newest attempt did not count; for analysts.
	Ignored string `json:"ignored,omitempty"`
}

// Done reports whether the step is proven or waived.
func (s *Step) Done() bool { return s.Proof != nil }

// The ways in which a step can be proven.
const (
	ProofRotated   = "rotated"
	ProofRevoked   = "revoked"
	ProofReset     = "reset"
	ProofEnabled   = "enabled"
	ProofRemoved   = "removed"
	ProofKept      = "kept"
	ProofEnded     = "ended"
	ProofAnswered  = "answered"
	ProofConfirmed = "confirmed"
	ProofWaived    = "waived"
)

// Proof is why a step is done.
type Proof struct {
	What string `json:"what"`
	Text string `json:"text,omitempty"` // an answer, or the reason of a waiver
	// Address is where it came from, of an event.
	Address string `json:"address,omitempty"`
	Row
}

// Ramp is the sending limit of probation: the share of the usual recipients a day grows.
type Ramp struct {
	Day    int       `json:"day"`    // from 0
	Share  int       `json:"share"`  // per cent
	PerDay int64     `json:"perday"` // recipients; 0: no limit is known
	Until  time.Time `json:"until"`  // when this share ends
}

// Note is what a person wrote on a case.
type Note struct {
	Text string    `json:"text"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Link joins a case to another, with the reason.
type Link struct {
	Case string `json:"case"`
	Why  string `json:"why"`
	Row
}

// Awaited is an act that waits for a second person.
type Awaited struct {
	Request Request   `json:"request"`
	Until   time.Time `json:"until"`
}

// CaseReasons are the reasons of a verdict, by verdict.
func CaseReasons(v CaseVerdict) []string {
	switch v {
	case CaseCompromised:
		return []string{"key_leaked", "password_guessed", "password_reused", "phished", "server_broken_into", "employee", "unknown"}
	case CaseExpected:
		return []string{"new_server", "campaign", "migration", "test", "other"}
	case CaseFalseAlarm:
		return []string{"wrong_baseline", "shared_address", "bad_data", "other"}
	}
	return nil
}
