package respond

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/casework"
	"holdfast/schemas"
)

// layout is the version of state values that are one JSON object, as they are written
// below the feature level schemas.LevelSections.
const layout = 2

// Tags of the sections of an entity's state; see schemas.Section for the rules. Each is
// a JSON object whose members are optional. A member that this program does not know is
// kept and written back, so that one may be added without another version; so is one of
// a remembered signal, an account and a snooze.
//
// To add one: take the next free tag, a struct with rest, and a line in parts and take.
// Below the level schemas.LevelSections nothing is saved that state has no member for.
const (
	tagSignals uint64 = 1 + iota
	tagDecided
	tagStanding
	tagPending
	tagSnooze
	tagCase
	tagAccount
	tagInventory
	tagGuard
	tagIncident

	lastTag = tagIncident
)

// rest are members that another version wrote.
type rest struct {
	Rest jsontext.Value `json:",embed"`
}

type signalsPart struct {
	Clock   int64  `json:"clock,omitzero"`
	Signals []kept `json:"signals,omitempty"`
	Known   known  `json:"known,omitempty"`
	rest
}

type decidedPart struct {
	Base int    `json:"base,omitzero"`
	Top  int    `json:"top,omitzero"`
	Done []done `json:"done,omitempty"`
	rest
}

type standingPart struct {
	Standing  standing `json:"standing,omitzero"`
	Stops     int      `json:"stops,omitzero"`
	Releases  int      `json:"releases,omitzero"`
	Probation int64    `json:"probation,omitzero"`
	rest
}

type pendingPart struct {
	Pending []pending `json:"pending,omitempty"`
	rest
}

type snoozePart struct {
	Snooze *snooze   `json:"snooze,omitempty"`
	Allows []allowed `json:"allows,omitempty"`
	rest
}

type casePart struct {
	Case *schemas.Case `json:"case,omitempty"`
	rest
}

type accountPart struct {
	Account *account `json:"account,omitempty"`
	rest
}

type inventoryPart struct {
	Inventory *casework.Account `json:"inventory,omitempty"`
	rest
}

type guardPart struct {
	Guard *guard `json:"guard,omitempty"`
	rest
}

type incidentPart struct {
	Incident *schemas.Incident `json:"incident,omitempty"`
	rest
}

// others is what another version wrote of an entity.
type others struct {
	sections []byte // by rising tags
	members  map[uint64]jsontext.Value
}

func (o *others) of(tag uint64) rest {
	if o == nil {
		return rest{}
	}
	return rest{o.members[tag]}
}

// part is one section's value and whether there is anything in it.
type part struct {
	tag   uint64
	value any
	held  bool
}

// parts are the state's sections in the order of their tags.
func (s *state) parts() [lastTag]part {
	o := s.others
	return [...]part{
		{tagSignals, &signalsPart{s.Clock, s.Signals, s.Known, o.of(tagSignals)}, s.Clock != 0 || len(s.Signals) > 0 || len(s.Known) > 0},
		{tagDecided, &decidedPart{s.Base, s.Top, s.Done, o.of(tagDecided)}, s.Base != 0 || s.Top != 0 || len(s.Done) > 0},
		{tagStanding, &standingPart{s.Standing, s.Stops, s.Releases, s.Probation, o.of(tagStanding)}, s.Standing.Status != "" || s.Stops != 0 || s.Releases != 0 || s.Probation != 0},
		{tagPending, &pendingPart{s.Pending, o.of(tagPending)}, len(s.Pending) > 0},
		{tagSnooze, &snoozePart{s.Snooze, s.Allows, o.of(tagSnooze)}, s.Snooze != nil || len(s.Allows) > 0},
		{tagCase, &casePart{s.Case, o.of(tagCase)}, s.Case != nil},
		{tagAccount, &accountPart{s.Account, o.of(tagAccount)}, s.Account != nil},
		{tagInventory, &inventoryPart{s.Inventory, o.of(tagInventory)}, !s.Inventory.IsZero()},
		{tagGuard, &guardPart{s.Guard, o.of(tagGuard)}, s.Guard != nil},
		{tagIncident, &incidentPart{s.Incident, o.of(tagIncident)}, s.Incident != nil},
	}
}

// take reads one section.
func (s *state) take(x schemas.Section) (err error) {
	var left jsontext.Value
	switch x.Tag {
	case tagSignals:
		var p signalsPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Clock, s.Signals, s.Known = p.Clock, p.Signals, p.Known
	case tagDecided:
		var p decidedPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Base, s.Top, s.Done = p.Base, p.Top, p.Done
	case tagStanding:
		var p standingPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Standing, s.Stops, s.Releases, s.Probation = p.Standing, p.Stops, p.Releases, p.Probation
	case tagPending:
		var p pendingPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Pending = p.Pending
	case tagSnooze:
		var p snoozePart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Snooze, s.Allows = p.Snooze, p.Allows
	case tagCase:
		var p casePart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Case = p.Case
	case tagAccount:
		var p accountPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Account = p.Account
	case tagInventory:
		var p inventoryPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Inventory = p.Inventory
	case tagGuard:
		var p guardPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Guard = p.Guard
	case tagIncident:
		var p incidentPart
		err, left = json.Unmarshal(x.Body, &p), p.Rest
		s.Incident = p.Incident
	default:
		o := s.other()
		o.sections = append(o.sections, x.Raw...)
		return nil
	}
	if len(left) > 0 {
		o := s.other()
		if o.members == nil {
			o.members = map[uint64]jsontext.Value{}
		}
		o.members[x.Tag] = left
	}
	return err
}

func (s *state) other() *others {
	if s.others == nil {
		s.others = new(others)
	}
	return s.others
}

// encode writes the state as the installation's level has it.
func (s *state) encode(level schemas.Level) (payload []byte, version byte, err error) {
	if level < schemas.LevelSections {
		b, err := json.Marshal(s)
		if err != nil {
			return nil, 0, fmt.Errorf("encode respond state: %w", err)
		}
		return b, layout, nil
	}
	unknown := []byte(nil)
	if s.others != nil {
		unknown = s.others.sections
	}
	for _, p := range s.parts() {
		if !p.held && len(s.others.of(p.tag).Rest) == 0 {
			continue
		}
		b, err := json.Marshal(p.value)
		if err != nil {
			return nil, 0, fmt.Errorf("encode respond state: %w", err)
		}
		payload = schemas.AppendSection(payload, p.tag, 0, b)
	}
	return append(payload, unknown...), schemas.FrameSections, nil
}

func decodeState(version byte, payload []byte) (*state, error) {
	s := new(state)
	switch version {
	case layout:
		if err := json.Unmarshal(payload, s); err != nil {
			return nil, fmt.Errorf("decode respond state: %w", err)
		}
	case schemas.FrameSections:
		err := eachSection(payload, s.take)
		if err != nil {
			return nil, fmt.Errorf("decode respond state: %w", err)
		}
	default:
		return nil, fmt.Errorf("decode respond state: %w", schemas.UnreadableLayout(version))
	}
	if len(s.Known)%knownSize != 0 {
		return nil, fmt.Errorf("decode respond state: %w: its answered ids have %d bytes", schemas.ErrStateDamaged, len(s.Known))
	}
	return s, nil
}

// eachSection shows the sections one after the other, once their versions are known to
// be read.
func eachSection(payload []byte, take func(schemas.Section) error) error {
	for last := uint64(0); len(payload) > 0; {
		x, more, err := schemas.CutSection(payload, last)
		if err != nil {
			return err
		}
		if x.Tag <= lastTag && x.Version > 0 {
			return schemas.UnreadableSection(x, 0)
		}
		if err := take(x); err != nil {
			return err
		}
		payload, last = more, x.Tag
	}
	return nil
}

// restored is a value of the projection as an entry, which is decoded only when it is
// needed. That it can be is known now.
func restored(value []byte) (entry, error) {
	frame, err := schemas.ParseStateFrame(value)
	if err != nil {
		return entry{}, err
	}
	switch frame.Version {
	case layout:
	case schemas.FrameSections:
		if err := eachSection(frame.Payload, func(schemas.Section) error { return nil }); err != nil {
			return entry{}, err
		}
	default:
		return entry{}, schemas.UnreadableLayout(frame.Version)
	}
	return entry{applied: frame.Applied[schemas.AppliedInbox], payload: append(make([]byte, 0, len(frame.Payload)), frame.Payload...), version: frame.Version}, nil
}
