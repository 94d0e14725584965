package lane

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Role says what a kind of lane reads and writes.
type Role struct {
	// Name is the role's name in groups, producers' names, logs and metrics.
	Name string
	// Inputs are the topics of which lane i reads partition i, at most four.
	Inputs []Input
	// State is the projection of which lane i owns partition i.
	State schemas.Topic
	// Fences are the other topics where a stale write would do harm.
	Fences []Fence
	// Guard, where set, keeps a projection from going back.
	Guard *Guard
	// Once are output topics of which a lane reads the end of its own partition when it
	// is restored, so as not to publish again what stands there.
	Once []Once
	// Forward sends misplaced records to the partition that their key maps to.
	Forward bool
	// Single is a role of one lane, whatever the number of lanes.
	Single bool
	// Bulk are output topics of which much is written and nothing is urgent: they do
	// not take the way of the others.
	Bulk []schemas.Topic
}

// Input is a topic that a role's lanes fold.
type Input struct {
	Topic schemas.Topic
	// Duplicates says that records are known as duplicates by their ids, over
	// schemas.DuplicateReach offsets.
	Duplicates bool
	// BlockStart says that reading resumes at the start of the block of
	// schemas.CountBlock offsets in which the committed offset lies.
	BlockStart bool
}

// Fence is a topic that a lane fences when it takes a new epoch: its own partition
// of it, or all.
type Fence struct {
	Topic schemas.Topic
	All   bool
}

// Once is a topic and how many offsets at the end of a partition are read.
type Once struct {
	Topic schemas.Topic
	Reach int64
}

// Guard withholds outputs to a projection that are not newer than what stands there:
// a lane that folds some records again would otherwise publish old values for a
// moment.
type Guard struct {
	Topic schemas.Topic
	// Version reads from a value where it stands. A value that it cannot read is
	// older than any other.
	Version func(value []byte) (Version, error)
}

// Version orders the values of a guarded projection: first by episode, then by step.
type Version struct{ Episode, Step int64 }

// Newer reports whether v stands after w.
func (v Version) Newer(w Version) bool {
	return v.Episode > w.Episode || v.Episode == w.Episode && v.Step > w.Step
}

// Detect is the role that folds events and facts into signals.
func Detect() Role {
	return Role{
		Name: "detect",
		Inputs: []Input{
			{Topic: schemas.TopicEvents, Duplicates: true, BlockStart: true},
			{Topic: schemas.TopicFacts},
		},
		State:   schemas.TopicStateDetect,
		Once:    []Once{{schemas.TopicInbox, 8192}},
		Fences:  []Fence{{Topic: schemas.TopicInbox}},
		Forward: true,
		Bulk:    []schemas.Topic{schemas.TopicFacts},
	}
}

// Respond is the role that folds the inbox into decisions and status.
func Respond() Role {
	return Role{
		Name:    "respond",
		Inputs:  []Input{{Topic: schemas.TopicInbox, Duplicates: true}},
		State:   schemas.TopicStateRespond,
		Once:    []Once{{schemas.TopicDecisions, 4096}, {schemas.TopicCases, 4096}, {schemas.TopicOperator, 4096}},
		Fences:  []Fence{{Topic: schemas.TopicDecisions}, {Topic: schemas.TopicStatus}},
		Guard:   &Guard{Topic: schemas.TopicStatus, Version: statusVersion},
		Forward: true,
	}
}

// Gate is the role of the one lane that counts automatic stops.
func Gate() Role {
	return Role{
		Name:   "gate",
		Inputs: []Input{{Topic: schemas.TopicProposals, Duplicates: true}},
		State:  schemas.TopicStateGate,
		Fences: []Fence{{Topic: schemas.TopicInbox, All: true}},
		Single: true,
	}
}

func statusVersion(value []byte) (Version, error) {
	var s schemas.Status
	if err := json.Unmarshal(value, &s); err != nil {
		return Version{}, fmt.Errorf("lane: reading a status: %w", err)
	}
	return Version{int64(s.Episode), int64(s.Step)}, nil
}

// maxInputs bounds the topics of a role, so that offsets of each fit an array.
const maxInputs = 4

func (r *Role) check() error {
	switch {
	case r.Name == "" || r.State == "":
		return fmt.Errorf("lane: role %q: name it and its state topic", r.Name)
	case len(r.Inputs) == 0 || len(r.Inputs) > maxInputs:
		return fmt.Errorf("lane: role %s has %d inputs: give it 1 to %d", r.Name, len(r.Inputs), maxInputs)
	case r.Guard != nil && (r.Guard.Topic == "" || r.Guard.Version == nil):
		return fmt.Errorf("lane: role %s: its guard lacks the topic or the version", r.Name)
	}
	return nil
}

func (r *Role) bulk(t schemas.Topic) bool { return slices.Contains(r.Bulk, t) }
