// Package decision names the record that the respond lanes write to the
// decisions topic and enforcement reads: a schemas.Decision and, beside it, what
// carrying it out needs and only the entity's owner knows. Whoever reads the
// value as a plain schemas.Decision loses nothing of the decision itself.
package decision

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// MaxContacts is how many people of one account a decision names; at 320 bytes
// an address they are below 3 KiB.
const MaxContacts = 8

// Record is one decision as it stands on the decisions topic.
type Record struct {
	schemas.Decision `json:",inline"`
	// Status is the standing that was published with the decision, nil where the
	// decision left the standing alone. Its (Episode, Step) tell the platform which
	// of two changes is the newer one.
	Status *schemas.Status `json:"status,omitempty"`
	// Contacts are the account's people to tell, at most MaxContacts.
	Contacts []schemas.Contact `json:"contacts,omitempty"`
	// Plan is the account's, Severity that of the gravest signal where the verdict does not say
	// it already. Notices are routed by them.
	Plan     string           `json:"plan,omitempty"`
	Severity schemas.Severity `json:"severity,omitempty"`
	// Again says that the entity was stopped already, in an earlier episode, and yet
	// goes on: the stop is repeated, but nobody outside is told a second time.
	Again bool `json:"again,omitempty"`
	// Pending says that a throttle only bridges the time until the gate answers.
	Pending bool `json:"pending,omitempty"`
	// Case, Stage and Relapses are the case's that the decision belongs to, empty where there
	// is none; Steps are its steps, beside a stop.
	Case     string         `json:"case,omitempty"`
	Stage    schemas.Stage  `json:"stage,omitempty"`
	Relapses int            `json:"relapses,omitzero"`
	Steps    []schemas.Step `json:"steps,omitempty"`
	// Page asks for a person at once: the brake has just tripped.
	Page bool `json:"page,omitempty"`
}

// Automatic reports whether no person made the decision.
func (r *Record) Automatic() bool { return r.By == "" }

// Encode returns the record's JSON.
func (r *Record) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode decision %q: %w", r.ID, err)
	}
	return b, nil
}

// Decode reads a value of the decisions topic.
func Decode(data []byte) (*Record, error) {
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("decode decision: %w", err)
	}
	if r.ID == "" || r.Entity.IsZero() {
		return nil, fmt.Errorf("decode decision %q: id or entity is missing: the record is not a decision of this program", r.ID)
	}
	return r, nil
}
