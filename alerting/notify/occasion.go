package notify

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// What names what happened: the step of a case, or of a receiver, that people are told of.
type What string

// What can happen.
const (
	Opened    What = "opened"    // a case that a person should look at
	Slowed    What = "slowed"    // the entity is throttled
	Stopped   What = "stopped"   // it is suspended or blocked
	Revoked   What = "revoked"   // one credential is taken away, the account goes on
	Repeated  What = "repeated"  // it goes on, though it was stopped
	Braked    What = "braked"    // it would have been stopped, but the brake is on
	Tripped   What = "tripped"   // the brake has just tripped
	Progress  What = "progress"  // steps of the way back were done, or are open again
	Relapsed  What = "relapsed"  // what was released is stopped again
	Released  What = "released"  // it may send again
	Probation What = "probation" // it may send again, its limit still grows
	Closed    What = "closed"    // nothing is left to do
	Held      What = "held"      // too old to be carried out: a person is asked
	Refused   What = "refused"   // a receiver does not take a change as it is
	Overdue   What = "overdue"   // a receiver has not confirmed for too long
	Resolved  What = "resolved"  // nothing is overdue there any more
	Gone      What = "gone"      // a receiver says that nobody is there any more
)

// Whats are all of them, in the order of a case and then of a receiver.
var Whats = []What{Opened, Slowed, Stopped, Revoked, Repeated, Braked, Tripped, Progress, Relapsed, Released, Probation, Closed, Held, Refused, Overdue, Resolved, Gone}

// Occasion is what people are told of: all that a message is made of, before its language
// and its channel are chosen. FromDecision is the one place where a decision becomes one.
type Occasion struct {
	What   What           `json:"what"`
	Kind   string         `json:"kind"` // with Cause it tells messages apart: the same one has the same
	Cause  string         `json:"cause"`
	Case   string         `json:"case"` // what follows joins what was told under it
	Entity schemas.Entity `json:"entity"`
	Time   time.Time      `json:"time"`

	Account    string           `json:"account,omitempty"`
	Plan       string           `json:"plan,omitempty"`
	Severity   schemas.Severity `json:"severity"`
	Verdict    schemas.Verdict  `json:"verdict"`
	Proposed   schemas.Verdict  `json:"proposed,omitempty"`
	Policy     string           `json:"policy"`
	Version    int              `json:"version,omitzero"`
	Credential string           `json:"credential,omitempty"`
	By         string           `json:"by,omitempty"`     // the person, where one decided
	Why        string           `json:"why,omitempty"`    // for operators, the reason in one sentence
	Reason     string           `json:"reason,omitempty"` // for customers: never a threshold
	Score      float64          `json:"score,omitzero"`
	Seen       []schemas.Seen   `json:"seen,omitempty"`
	Signals    int              `json:"signals,omitzero"`
	Window     schemas.Window   `json:"window,omitzero"`
	Steps      []schemas.Step   `json:"steps,omitempty"`
	PerDay     int64            `json:"per_day,omitzero"` // the sending limit of probation

	// Told says that receivers are told of it, and Receivers which; Confirmed that they have
	// confirmed.
	Told      bool     `json:"told,omitzero"`
	Receivers []string `json:"receivers,omitempty"`
	Confirmed bool     `json:"confirmed,omitzero"`

	// Of what a receiver did.
	Receiver    string `json:"receiver,omitempty"`
	Status      string `json:"status,omitempty"`
	Answer      string `json:"answer,omitempty"`
	Undelivered int    `json:"undelivered,omitzero"`
	Age         Span   `json:"age,omitzero"`
	Page        bool   `json:"page,omitzero"` // wants a person at once
}

// maxAnswer bounds what is quoted of a receiver's answer.
const maxAnswer = 300

// FromDecision says what a decision means to people. receivers are those that are told of
// it; confirmed says that all of them have confirmed.
func FromDecision(r *decision.Record, receivers []string, confirmed bool) Occasion {
	o := Occasion{
		What: whatOf(r), Kind: "decided", Cause: r.ID, Case: caseOf(r), Entity: r.Entity, Time: r.Time, Account: r.Account, Plan: r.Plan,
		Severity: severityOf(r), Verdict: r.Verdict, Proposed: r.Proposed, Policy: r.Policy, Version: r.PolicyVersion, Credential: r.Credential,
		By: r.By, Why: strings.TrimPrefix(r.Reason, "by "+r.By+": "), Reason: r.NoticeReason, Score: r.Score, Seen: slices.Clone(r.Seen),
		Signals: len(r.Signals), Steps: r.Steps, Told: r.Status != nil && r.Verdict != schemas.VerdictReview, Receivers: receivers, Confirmed: confirmed, Page: r.Page,
	}
	if r.Status != nil {
		o.Status, o.PerDay = r.Status.Status, r.Status.PerDay
	}
	return o
}

// Restates reports whether a decision only says what is left in force after a hold has
// ended or the limit of probation has changed. Nobody is told, unless it closes the case.
func Restates(r *decision.Record) bool {
	if !r.Again {
		return false
	}
	switch r.Policy {
	case policy.NameWayBack, policy.NameExpiry, policy.NameProbation, policy.NameOperator:
		return true
	}
	return false
}

// Closes reports whether a decision says that nothing is left in force, and the case closed.
func Closes(r *decision.Record) bool {
	return Restates(r) && r.Verdict == schemas.VerdictRelease && r.Stage == schemas.StageClosed
}

func whatOf(r *decision.Record) What {
	switch {
	case Closes(r):
		return Closed
	case r.Page:
		return Tripped
	case r.Braked:
		return Braked
	case r.Verdict == schemas.VerdictRelease && r.Status != nil && r.Status.PerDay > 0:
		return Probation
	case r.Verdict == schemas.VerdictRelease:
		return Released
	case r.Again:
		return Repeated
	case r.Verdict.Stops() && r.Relapses > 0 && r.Status != nil:
		return Relapsed
	case r.Verdict == schemas.VerdictRevoke:
		return Revoked
	case r.Verdict.Stops():
		return Stopped
	case r.Verdict == schemas.VerdictThrottle:
		return Slowed
	}
	return Opened
}

// caseOf is the case, or what comes nearest to one: the entity's episode.
func caseOf(r *decision.Record) string {
	if r.Case != "" {
		return r.Case
	}
	episode := r.Episode
	if r.Status != nil {
		if r.Status.Case != "" {
			return r.Status.Case
		}
		if r.Verdict != schemas.VerdictRelease { // its status is already of the next
			episode = r.Status.Episode
		}
	}
	return schemas.DeriveID("case", r.Entity.Key(), strconv.Itoa(episode))
}

// severityOf is the gravest signal's, or what the verdict stands for.
func severityOf(r *decision.Record) schemas.Severity {
	switch {
	case r.Page, r.Verdict.Stops(), r.Proposed.Stops() && r.Braked:
		return schemas.SeverityCritical
	case r.Severity != "":
		return r.Severity
	case r.Verdict == schemas.VerdictThrottle:
		return schemas.SeverityHigh
	case r.Verdict == schemas.VerdictReview:
		return schemas.SeverityMedium
	}
	return schemas.SeverityLow
}

// IsHeld asks operators about a decision that is too old to be carried out.
func IsHeld(r *decision.Record, limit time.Duration) Occasion {
	o := FromDecision(r, nil, false)
	o.What, o.Kind, o.Age, o.Page = Held, "held", Span(limit), false
	return o
}

// IsRefused tells operators that a receiver refuses a change as it is.
func IsRefused(r *decision.Record, receiver, answer string) Occasion {
	o := ofReceiver(r, Refused, receiver, answer)
	o.Page = true
	return o
}

// IsOverdue pages operators: a receiver has not confirmed for too long. r is the oldest
// change that waits, since when it waits.
func IsOverdue(r *decision.Record, receiver string, undelivered int, age time.Duration, since time.Time, answer string) Occasion {
	o := ofReceiver(r, Overdue, receiver, answer)
	o.Undelivered, o.Age, o.Page = undelivered, Span(age.Round(time.Second)), true
	o.Kind += " " + strconv.FormatInt(since.Unix(), 10)
	return o
}

// IsResolved tells operators that nothing is overdue at a receiver any more.
func IsResolved(r *decision.Record, receiver string, undelivered int, since time.Time) Occasion {
	o := ofReceiver(r, Resolved, receiver, "")
	o.Undelivered = undelivered
	o.Kind += " " + strconv.FormatInt(since.Unix(), 10)
	return o
}

// IsGone pages operators: a receiver says that there is nobody any more.
func IsGone(r *decision.Record, receiver, answer string) Occasion {
	o := ofReceiver(r, Gone, receiver, answer)
	o.Page = true
	return o
}

// ofReceiver is about a receiver: what is told of one joins, whoever's change it was.
func ofReceiver(r *decision.Record, what What, receiver, answer string) Occasion {
	o := FromDecision(r, nil, false)
	o.What, o.Kind, o.Receiver, o.Answer = what, string(what), receiver, Clip(answer, maxAnswer)
	o.Severity = schemas.SeverityCritical
	if what == Resolved {
		o.Severity = schemas.SeverityLow
	}
	switch what {
	case Overdue, Resolved:
		o.Case = schemas.DeriveID("case", "receiver overdue", receiver)
	case Gone:
		o.Case = schemas.DeriveID("case", "receiver gone", receiver)
	}
	return o
}

// Ends reports whether nothing is left to do: what was told of the case is over.
func (o *Occasion) Ends() bool {
	return o.What == Released || o.What == Closed || o.What == Resolved || o.What == Probation
}

// System reports whether it means something to other systems: that an account or employee
// may no longer be trusted, or may be again.
func (o *Occasion) System() bool {
	switch o.What {
	case Stopped, Revoked, Relapsed, Released, Probation:
		return o.Entity.Kind == schemas.KindAccount || o.Entity.Kind == schemas.KindEmployee
	}
	return false
}

// Customer reports whether there are words for the account's people.
func (o *Occasion) Customer() bool {
	switch o.What {
	case Slowed, Stopped, Revoked, Progress, Relapsed, Released, Probation, Closed:
		return o.Entity.Kind == schemas.KindAccount
	}
	return false
}
