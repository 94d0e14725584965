package schemas

import "time"

// Change is what the platform is told: the standing of one entity from now on, and the acts
// that bring it about. It is the body of the platform's webhook; see deploy/docs/webhook.md.
// Of two changes of one entity the one with the higher (Episode, Step) is the newer.
type Change struct {
	ID       string    `json:"id" jsonschema:"the action's id, as in the header webhook-id: the same change always has the same"`
	Type     string    `json:"type" jsonschema:"entity. and the status"`
	Time     time.Time `json:"timestamp" jsonschema:"when it was decided"`
	Entity   Entity    `json:"entity" jsonschema:"whom it is about"`
	Account  string    `json:"account,omitempty" jsonschema:"whose it is, where it is an account's"`
	Status   string    `json:"status" jsonschema:"what the entity is to be: active, throttled, revoked, suspended or blocked"`
	Acts     []Act     `json:"acts" jsonschema:"everything that is to be in force; what is not listed ends"`
	Revoked  []string  `json:"revoked,omitempty" jsonschema:"credentials that must not work"`
	PerDay   int64     `json:"per_day,omitzero" jsonschema:"recipients a day that probation allows"`
	Until    time.Time `json:"until,omitzero" jsonschema:"when the status is expected to end; another change says so then"`
	Verdict  Verdict   `json:"verdict" jsonschema:"the decision's"`
	Decision string    `json:"decision" jsonschema:"the decision's id"`
	Case     string    `json:"case,omitempty" jsonschema:"the case's id, where there is one"`
	Reason   string    `json:"reason" jsonschema:"as the customer may read it"`
	Episode  int       `json:"episode" jsonschema:"with step, the order of the entity's changes"`
	Step     int       `json:"step" jsonschema:"within the episode; rises with each change"`
	By       string    `json:"by,omitempty" jsonschema:"the person who decided, where one did"`
}

// Act is one thing that is to be done, or to stay done.
type Act struct {
	Do     Verb   `json:"do" jsonschema:"what"`
	Object string `json:"object" jsonschema:"to whom: an entity as kind:id, or a credential's id"`
	PerDay int64  `json:"per_day,omitzero" jsonschema:"recipients a day, of set_limit"`
	// Inverse is the verb that undoes it; empty where nothing has to.
	Inverse Verb `json:"inverse,omitempty" jsonschema:"the verb that undoes it"`
}

// Verb is what a receiver is asked to do.
type Verb string

// The verbs.
const (
	VerbThrottle Verb = "throttle"           // send less at a time
	VerbRevoke   Verb = "revoke_credential"  // one credential does not work any more
	VerbSuspend  Verb = "suspend"            // nothing is accepted or sent, no credential works
	VerbSessions Verb = "end_sessions"       // who is signed in is signed out
	VerbHold     Verb = "hold_queue"         // what is queued is kept, and not delivered
	VerbBlock    Verb = "block_address"      // connections from the address are refused
	VerbLimit    Verb = "set_limit"          // at most so many recipients a day
	VerbRelease  Verb = "release"            // all of this ends, but for what is listed beside it
	VerbRestore  Verb = "restore_credential" // only as an inverse
)

// The words of a status, strictest last.
const (
	StatusActive    = "active"
	StatusReview    = "review"
	StatusThrottled = "throttled"
	StatusRevoked   = "revoked"
	StatusSuspended = "suspended" // an account or employee
	StatusBlocked   = "blocked"   // an address
)

// ChangeOf is what a platform is told of a status. It leaves ID, Time, Account and By to the
// caller. A status under review asks nothing of a platform: it is active there.
func ChangeOf(s *Status) Change {
	status := PlatformStatus(s.Status)
	return Change{
		Type: "entity." + status, Entity: s.Entity, Status: status, Acts: ActsOf(s), Revoked: s.Revoked, PerDay: s.PerDay, Until: s.Until,
		Verdict: s.Verdict, Decision: s.Decision, Case: s.Case, Reason: s.Reason, Episode: s.Episode, Step: s.Step, By: s.By,
	}
}

// PlatformStatus is a status as a platform knows it.
func PlatformStatus(status string) string {
	if status == StatusReview || status == "" {
		return StatusActive
	}
	return status
}

// ActsOf is all that is to be in force under a status, each act with its inverse.
func ActsOf(s *Status) []Act {
	key := s.Entity.Key()
	var out []Act
	switch s.Status {
	case StatusSuspended:
		out = append(out, Act{Do: VerbSuspend, Object: key, Inverse: VerbRelease}, Act{Do: VerbSessions, Object: key})
		if s.Entity.Kind == KindAccount {
			out = append(out, Act{Do: VerbHold, Object: key, Inverse: VerbRelease})
		}
	case StatusBlocked:
		out = append(out, Act{Do: VerbBlock, Object: key, Inverse: VerbRelease})
	case StatusThrottled:
		out = append(out, Act{Do: VerbThrottle, Object: key, Inverse: VerbRelease})
	case StatusRevoked:
	default:
		out = append(out, Act{Do: VerbRelease, Object: key})
	}
	for _, id := range s.Revoked {
		out = append(out, Act{Do: VerbRevoke, Object: id, Inverse: VerbRestore})
	}
	if s.PerDay > 0 {
		out = append(out, Act{Do: VerbLimit, Object: key, PerDay: s.PerDay, Inverse: VerbRelease})
	}
	return out
}

// Binds reports whether something is in force under the status.
func (s *Status) Binds() bool {
	return PlatformStatus(s.Status) != StatusActive || len(s.Revoked) > 0 || s.PerDay > 0
}
