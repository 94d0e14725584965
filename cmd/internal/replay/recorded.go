package replay

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Recorded is an event of the past, with what was written down of how it came in.
type Recorded struct {
	Event   *schemas.Event
	Arrival int64 // Unix milliseconds
	Source  string
	Trust   schemas.Trust // empty is full
	Origin  schemas.Origin
	Network schemas.Network
	Double  bool // its id stands among those shortly before in its log
}

// Event folds in one recorded event and all that follows from it. Events must come
// in the order in which they are to be seen; that of one entity's matters, and
// across entities that they lie within the lateness of each other.
func (r *Replay) Event(x Recorded) error {
	r.sum.Lines++
	r.sum.Events++
	if x.Double {
		r.sum.Duplicates++
	}
	value, err := ownBytes(x.Event)
	if err != nil {
		return err
	}
	r.at = r.sum.Lines
	x.Event.Translate(&x.Network)
	in := schemas.Input{
		Topic: schemas.TopicEvents, Arrival: x.Arrival, Kind: schemas.KindEvent, ID: x.Event.ID, Source: x.Source, Trust: x.Trust, Origin: x.Origin,
		Key: x.Event.Entity().Key(), Value: value, Event: x.Event, Network: x.Network, Duplicate: x.Double,
	}
	r.detection.take(&in, &r.turn)
	return r.conclude(&in, &r.turn)
}

// Request folds in what a person asked for, as it stood in an inbox.
func (r *Replay) Request(q schemas.Request, arrival int64) error {
	b, err := json.Marshal(&q)
	if err != nil {
		return fmt.Errorf("request %q: %w", q.ID, err)
	}
	r.at = r.sum.Lines
	r.detection.alone(&r.turn, schemas.Output{Topic: schemas.TopicInbox, Kind: schemas.KindRequest, ID: q.ID, Origin: schemas.OriginLive, Key: q.Entity.Key(), Value: b})
	return r.conclude(&schemas.Input{Arrival: arrival}, &r.turn)
}

// Summary says what was done so far.
func (r *Replay) Summary() Summary { return r.sum }

// none stands for the bytes that nobody looks at once they are decoded.
var none = []byte("{}")

// ownBytes writes again what is read of an event's own bytes: of the events that
// detect hands on to respond, the fields that it needs and those that every such
// event must have. The audit store keeps fields, not bytes.
func ownBytes(e *schemas.Event) ([]byte, error) {
	if e.Type != schemas.TypeAccount && e.Type != schemas.TypeCredential {
		return none, nil
	}
	type credential struct {
		ID   string `json:"id"`
		Kind string `json:"kind"`
	}
	keys := make([]credential, len(e.Credentials))
	for i, c := range e.Credentials {
		keys[i] = credential{c.ID, c.Kind}
	}
	address := ""
	if e.IP.IsValid() {
		address = e.IP.String()
	}
	b, err := json.Marshal(struct {
		ID          string            `json:"id"`
		Type        schemas.EventType `json:"type"`
		Time        time.Time         `json:"time"`
		Account     string            `json:"account"`
		Status      string            `json:"status,omitempty"`
		Plan        string            `json:"plan,omitempty"`
		Users       []string          `json:"users,omitempty"`
		Credentials []credential      `json:"credentials,omitempty"`
		Contacts    []schemas.Contact `json:"contacts,omitempty"`
		Protected   bool              `json:"protected,omitzero"`
		Credential  string            `json:"credential,omitempty"`
		Kind        string            `json:"kind,omitempty"`
		Change      string            `json:"change,omitempty"`
		User        string            `json:"user,omitempty"`
		Actor       string            `json:"actor,omitempty"`
		Employee    string            `json:"employee,omitempty"`
		IP          string            `json:"ip,omitempty"`
	}{
		e.ID, e.Type, time.UnixMilli(e.Time).UTC(), e.Account, e.Status, e.Plan, e.Users, keys, e.Contacts, e.Protected,
		e.Credential, e.Kind, e.Change, e.User, e.Actor, e.Employee, address,
	})
	if err != nil {
		return nil, fmt.Errorf("event %q: %w", e.ID, err)
	}
	return b, nil
}
