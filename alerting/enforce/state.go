package enforce

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// State is the value of the compacted topic enforced: the status that is wanted of one
// entity, and what each receiver has confirmed of it. As long as a receiver has something
// pending it is told again. An entity's record is replaced as a whole; it has below 4 KiB.
type State struct {
	Entity schemas.Entity `json:"entity"`
	// Last is the newest status that is wanted.
	Last Mark `json:"last"`
	// Changes are what receivers still have to be told, oldest first, and the last one for
	// as long as something is in force by it.
	Changes []Wanted `json:"changes,omitempty"`
	// Receivers is what is known of each, by its name.
	Receivers map[string]*Receipt `json:"receivers,omitempty"`
	// Untold says that a stop was superseded before it was in force: the account's people
	// heard nothing of it, and hear nothing of its end.
	Untold bool `json:"untold,omitzero"`
}

// Wanted is one change: the decision without its evidence, and since when it is wanted.
type Wanted struct {
	Record *decision.Record `json:"record"`
	Since  time.Time        `json:"since"`
}

// Mark names one status of an entity.
type Mark struct {
	Decision string    `json:"decision"`
	Status   string    `json:"status"`
	Episode  int       `json:"episode"`
	Step     int       `json:"step"`
	At       time.Time `json:"at"` // when it was decided, or confirmed
	// Limited says that the status is active and yet something is in force: the limit of
	// probation, or a revoked credential.
	Limited bool `json:"limited,omitzero"`
}

// MarkOf names a status.
func MarkOf(s *schemas.Status, at time.Time) Mark {
	return Mark{s.Decision, s.Status, s.Episode, s.Step, at, s.Binds() && schemas.PlatformStatus(s.Status) == schemas.StatusActive}
}

// active reports whether the entity may send as far as its status goes.
func (m *Mark) active() bool { return schemas.PlatformStatus(m.Status) == schemas.StatusActive }

// binds reports whether something is in force: a receiver has to keep it.
func (m *Mark) binds() bool { return !m.active() || m.Limited }

// Receipt is what is known of one receiver and one entity.
type Receipt struct {
	Confirmed *Mark          `json:"confirmed,omitempty"` // what it confirmed last
	Pending   []string       `json:"pending,omitempty"`   // decisions that it has yet to confirm, oldest first
	Tries     map[string]int `json:"tries,omitempty"`     // of those
	Failing   *Failing       `json:"failing,omitempty"`
	// Held says that a person is asked before it is told: the decision is too old.
	Held bool `json:"held,omitzero"`
	// Stopped says that it may have been told to stop the entity, and was not told less since.
	Stopped bool `json:"stopped,omitzero"`
	// Asked is since when it is asked for what it has pending, where it was configured later
	// than that was decided.
	Asked time.Time `json:"asked,omitzero"`
	// Owed are outcomes that happened and that the journal may not hold yet.
	Owed []schemas.Action `json:"owed,omitempty"`
}

// Failing is why a receiver has not confirmed.
type Failing struct {
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Next     time.Time `json:"next"`
	Refused  bool      `json:"refused,omitzero"` // as sent: a person has to look
}

// Decode reads a value of the topic enforced.
func Decode(data []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("decode what was enforced: %w", err)
	}
	if s.Entity.IsZero() {
		return nil, fmt.Errorf("decode what was enforced: the entity is missing")
	}
	for _, w := range s.Changes {
		if w.Record == nil || w.Record.Status == nil {
			return nil, fmt.Errorf("decode what was enforced of %s: a change without its status", s.Entity)
		}
	}
	for name, r := range s.Receivers {
		if r == nil {
			delete(s.Receivers, name)
		}
	}
	return s, nil
}

// Encode returns the state's JSON.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode what was enforced of %s: %w", s.Entity, err)
	}
	return b, nil
}

// Waits reports whether the receiver has yet to confirm something.
func (r *Receipt) Waits() bool { return len(r.Pending) > 0 }

// Change returns the change of a decision, nil where it is no longer needed.
func (s *State) Change(decision string) *Wanted {
	i := slices.IndexFunc(s.Changes, func(w Wanted) bool { return w.Record.ID == decision })
	if i < 0 {
		return nil
	}
	return &s.Changes[i]
}

// Since is when the oldest change was wanted that the receiver has yet to confirm.
func (s *State) Since(r *Receipt) time.Time {
	if len(r.Pending) > 0 {
		if w := s.Change(r.Pending[0]); w != nil {
			if r.Asked.After(w.Since) {
				return r.Asked
			}
			return w.Since
		}
	}
	return time.Time{}
}

// maxChanges bounds what one receiver has to be told of one entity; older ones are superseded.
const maxChanges = 8

// receipt returns what is known of a receiver.
func (s *State) receipt(name string) *Receipt {
	if s.Receivers == nil {
		s.Receivers = map[string]*Receipt{}
	}
	r := s.Receivers[name]
	if r == nil {
		r = new(Receipt)
		s.Receivers[name] = r
	}
	return r
}

// want takes a change in, unless a newer one is known. The record is cut to what
// carrying it out and telling people needs.
func (s *State) want(r *decision.Record, now time.Time) bool {
	if s.Last.Decision != "" && !r.Status.Newer(schemas.Status{Episode: s.Last.Episode, Step: s.Last.Step}) {
		return false
	}
	cut := *r
	cut.Signals, cut.Shares, cut.Seen = nil, nil, nil
	if r.Verdict == schemas.VerdictRelease && s.Last.Decision != "" && s.Last.active() {
		cut.Again = true // it is released already: only the limit changes
	}
	s.Entity = r.Entity
	s.Last = MarkOf(r.Status, r.Time)
	s.Last.Decision = r.ID
	s.Changes = append(s.Changes, Wanted{&cut, now})
	return true
}

// settle takes a decision off what the receiver has to be told.
func (r *Receipt) settle(decision string) {
	r.Pending = slices.DeleteFunc(r.Pending, func(d string) bool { return d == decision })
	delete(r.Tries, decision)
	if len(r.Pending) == 0 {
		r.Failing, r.Asked = nil, time.Time{}
	}
}

// trim drops the changes that nobody needs any more. Of those that stay for the
// reconcile, the people's addresses go: they have been told.
func (s *State) trim(receivers []string) {
	needed := map[string]bool{}
	for _, name := range receivers {
		if r := s.Receivers[name]; r != nil {
			for _, d := range r.Pending {
				needed[d] = true
			}
			for _, a := range r.Owed {
				needed[a.Decision] = true
			}
		}
	}
	s.Changes = slices.DeleteFunc(s.Changes, func(w Wanted) bool {
		return !needed[w.Record.ID] && (w.Record.ID != s.Last.Decision || !s.Last.binds())
	})
	for _, w := range s.Changes {
		if !needed[w.Record.ID] {
			w.Record.Contacts = nil
		}
	}
}

// rests reports whether nothing is left to do for the entity, now or at a reconcile.
func (s *State) rests(receivers []string) bool {
	for _, name := range receivers {
		if r := s.Receivers[name]; r != nil && (len(r.Pending) > 0 || len(r.Owed) > 0) {
			return false
		}
	}
	return !s.Last.binds()
}
