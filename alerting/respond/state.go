package respond

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/casework"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// The bounds of one entity's state. See the package comment.
const (
	maxSignals   = 128
	maxDone      = 256
	maxPending   = policy.MaxPolicies
	maxDecisions = 64
	maxEvidence  = 400 // bytes of one signal's sentence
	maxID        = 128
)

// keepFor is how long a signal is remembered after its time: a window that ended
// the lateness ago must still be whole.
const keepFor = int64((policy.MaxWindow + schemas.Lateness) / time.Millisecond)

// driftFor is how long after its arrival a signal is remembered at least, and
// answeredFor how long a signal's and a decision's id are. What an entity hears of
// itself through other lanes comes as late as these are behind: while old records
// are imported at speed, minutes are weeks.
const (
	driftFor    = int64(2 * time.Hour / time.Millisecond)
	answeredFor = int64(30 * 24 * time.Hour / time.Millisecond)
)

// cell is the length of an episode that nobody ends, in milliseconds.
const cell = int64(48 * time.Hour / time.Millisecond)

func cellOf(ms int64) int { return int(max(0, ms) / cell) }

// state is all that the lane remembers of one entity. Times are Unix milliseconds.
type state struct {
	Clock    int64             `json:"clock,omitzero"` // of the newest signal
	Base     int               `json:"base,omitzero"`  // live episodes below it were ended by a person
	Top      int               `json:"top,omitzero"`   // the highest live episode so far
	Signals  []kept            `json:"signals,omitempty"`
	Known    known             `json:"known,omitempty"`
	Done     []done            `json:"done,omitempty"`
	Standing standing          `json:"standing,omitzero"`
	Pending  []pending         `json:"pending,omitempty"` // the first is the proposed one
	Snooze   *snooze           `json:"snooze,omitempty"`
	Allows   []allowed         `json:"allows,omitempty"` // at most maxAllows
	Case     *schemas.Case     `json:"case,omitempty"`
	Account  *account          `json:"account,omitempty"`
	Guard    *guard            `json:"guard,omitempty"`
	Incident *schemas.Incident `json:"incident,omitempty"` // of an incident's entity alone
	// Inventory is what is known of the account's credentials and users.
	Inventory *casework.Account `json:"inventory,omitempty"`
	Stops     int               `json:"stops,omitzero"`
	Releases  int               `json:"releases,omitzero"`
	Probation int64             `json:"probation,omitzero"` // until when

	others *others // what another version wrote, see state_codec.go; nil as a rule
}

// kept is what is remembered of a signal.
type kept struct {
	ID         string           `json:"id"`
	Time       int64            `json:"t"`
	Arrival    int64            `json:"arr"`
	History    bool             `json:"hist,omitzero"`
	Detector   string           `json:"det"`
	Family     schemas.Family   `json:"fam"`
	Severity   schemas.Severity `json:"sev"`
	Score      float64          `json:"score"`
	Level      int              `json:"level,omitzero"`
	Certain    bool             `json:"certain,omitzero"`
	Account    string           `json:"acct,omitempty"`
	Credential string           `json:"cred,omitempty"`
	Observed   float64          `json:"obs,omitzero"`
	Expected   float64          `json:"exp,omitzero"`
	Threshold  float64          `json:"thr,omitzero"`
	Unit       string           `json:"unit,omitempty"`
	Text       string           `json:"text,omitempty"`
	Address    string           `json:"addr,omitempty"` // whom it came from, where the account did not know it
	User       string           `json:"user,omitempty"`
	Employee   string           `json:"emp,omitempty"`
	Usual      int64            `json:"usual,omitzero"`
	Alone      bool             `json:"alone,omitzero"`
	Rest       jsontext.Value   `json:",embed"` // of another version
}

// done is a decision that was made.
type done struct {
	Policy   string          `json:"p"`
	Proposed schemas.Verdict `json:"v"`
	Mode     schemas.Mode    `json:"m"`
	Trial    string          `json:"t,omitempty"`
	Episode  int             `json:"e"`
}

func doneOf(d *schemas.Decision) done { return done{d.Policy, d.Proposed, d.Mode, d.Trial, d.Episode} }

// standing is the entity's published status.
type standing struct {
	Status   string          `json:"status,omitempty"`
	Episode  int             `json:"episode,omitzero"`
	Step     int             `json:"step,omitzero"`
	Verdict  schemas.Verdict `json:"verdict,omitempty"`
	Decision string          `json:"decision,omitempty"`
	Gravity  int             `json:"gravity,omitzero"` // severity of the gravest signal behind it
	Revoked  []string        `json:"revoked,omitempty"`
}

// The words of a standing.
const (
	statusActive    = "active"
	statusReview    = "review"
	statusThrottled = "throttled"
	statusRevoked   = "revoked"
	statusSuspended = "suspended"
	statusBlocked   = "blocked"
)

func (s *standing) word() string {
	if s.Status == "" {
		return statusActive
	}
	return s.Status
}

// rank is that of the strictest verdict in force.
func (s *standing) rank() int {
	if len(s.Revoked) > 0 && s.Status != statusSuspended {
		return schemas.VerdictRevoke.Rank()
	}
	switch s.Status {
	case statusReview:
		return schemas.VerdictReview.Rank()
	case statusThrottled:
		return schemas.VerdictThrottle.Rank()
	case statusSuspended, statusBlocked:
		return schemas.VerdictSuspend.Rank()
	}
	return 0
}

// own is the rank of what is in force of the entity itself, not of its credentials.
func (s *standing) own() int {
	if s.Status == statusRevoked {
		return 0
	}
	return (&standing{Status: s.Status}).rank()
}

func statusOf(v schemas.Verdict) string {
	switch v {
	case schemas.VerdictReview:
		return statusReview
	case schemas.VerdictThrottle:
		return statusThrottled
	case schemas.VerdictRevoke:
		return statusRevoked
	case schemas.VerdictSuspend:
		return statusSuspended
	case schemas.VerdictBlock:
		return statusBlocked
	}
	return statusActive
}

// pending is an automatic stop that waits for the gate's answer.
type pending struct {
	Decision schemas.Decision `json:"decision"`
	Findings findings         `json:"findings,omitzero"`
}

// snooze keeps policies from answering until it ends.
type snooze struct {
	Until int64          `json:"until"`
	By    string         `json:"by"`
	Why   string         `json:"why"`
	Rest  jsontext.Value `json:",embed"` // of another version
}

// allowed keeps policies from answering one detector's signals until it ends.
type allowed struct {
	Detector string         `json:"detector"`
	Until    int64          `json:"until"`
	By       string         `json:"by"`
	Why      string         `json:"why"`
	Rest     jsontext.Value `json:",embed"` // of another version
}

// account is what an account's newest snapshot said.
type account struct {
	Time      int64             `json:"t"`
	ID        string            `json:"id"` // the event's, which decides between equal times
	Plan      string            `json:"plan,omitempty"`
	Protected bool              `json:"protected,omitzero"`
	Contacts  []schemas.Contact `json:"contacts,omitempty"`
	Rest      jsontext.Value    `json:",embed"` // of another version
}

// protected says that nothing is done to the account without two people: its snapshot says
// so, unless a person has said otherwise since.
func (s *state) protected() bool {
	if s.Guard != nil {
		return s.Guard.On
	}
	return s.Account != nil && s.Account.Protected
}

// guard is a person's word on whether the account is protected.
type guard struct {
	On  bool   `json:"on,omitzero"`
	By  string `json:"by"`
	Why string `json:"why"`
}

func (s *state) isDone(d done) bool { return slices.Contains(s.Done, d) }

// markDone remembers a decision; of too many, those of the oldest episodes go.
func (s *state) markDone(d done) {
	s.Done = append(s.Done, d)
	if len(s.Done) <= maxDone {
		return
	}
	oldest := 0
	for i, d := range s.Done {
		if d.Episode < s.Done[oldest].Episode {
			oldest = i
		}
	}
	s.Done = slices.Delete(s.Done, oldest, oldest+1)
}

// forget drops what lies too far behind the entity's clock to matter.
func (s *state) forget() {
	before, arrived := s.Clock-keepFor, int64(0)
	for i := range s.Signals {
		arrived = max(arrived, s.Signals[i].Arrival)
	}
	s.Signals = slices.DeleteFunc(s.Signals, func(k kept) bool { return k.Time < before && k.Arrival < arrived-driftFor })
	s.Known.forget(before - answeredFor)
	least := cellOf(s.Clock-answeredFor) - 2
	s.Done = slices.DeleteFunc(s.Done, func(d done) bool { return d.Episode < least })
}
