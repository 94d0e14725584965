package schemas

// Topic is the role of a topic in the flow. Its name on the broker has the
// installation's prefix before it ("holdfast." by default).
type Topic string

// The journals: each of their records is a row in ClickHouse, except those of
// facts, proposals and the outbox, which follow from events and decisions.
const (
	TopicEvents    Topic = "events"
	TopicInbox     Topic = "inbox"
	TopicDecisions Topic = "decisions"
	TopicActions   Topic = "actions"
	TopicNotices   Topic = "notices"
	TopicCases     Topic = "cases"
	TopicOperator  Topic = "operator"
	TopicGaps      Topic = "gaps"
	TopicRejected  Topic = "rejected"
	TopicFacts     Topic = "facts"
	TopicProposals Topic = "proposals"
	TopicOutbox    Topic = "outbox" // notices on their way, which follow from decisions and actions
	TopicProof     Topic = "proof"  // leaves of the log of proof, kept for ever
)

// The projections: compacted topics that hold the last value of each key.
const (
	TopicStateDetect  Topic = "state.detect.v1"
	TopicStateRespond Topic = "state.respond.v1"
	TopicStateGate    Topic = "state.gate.v1"
	TopicStatus       Topic = "status"
	TopicEnforced     Topic = "enforced" // what receivers have confirmed of each status
	TopicControl      Topic = "control"
	TopicCasebook     Topic = "casebook"  // each entity's newest case
	TopicIncidents    Topic = "incidents" // each incident, by its entity's key
	TopicPeople       Topic = "people"    // who may do what, with sessions, tokens and bulk acts
)

// MaxMessageBytes is max.message.bytes of every topic: a record of MaxRecord and
// its envelope fit twice.
const MaxMessageBytes = 2 << 20

// Lane counts: fixed when the topics are created, and kept in control.
const (
	DefaultLanes  = 64
	EmbeddedLanes = 8
)

// TopicSpec says how a topic is created and checked.
type TopicSpec struct {
	Topic     Topic
	Single    bool // one partition, whatever the number of lanes
	Compacted bool
	Days      int // retention of a journal in days; 0: for ever
	Recorded  bool
	// Added says that the first release did not have it: where it is missing it is made.
	Added bool
}

// Topics lists every topic that Holdfast creates.
func Topics() []TopicSpec {
	return []TopicSpec{
		{Topic: TopicEvents, Days: 7, Recorded: true},
		{Topic: TopicInbox, Days: 7, Recorded: true},
		{Topic: TopicDecisions, Days: 30, Recorded: true},
		{Topic: TopicActions, Days: 30, Recorded: true},
		{Topic: TopicNotices, Days: 30, Recorded: true},
		{Topic: TopicCases, Days: 30, Recorded: true},
		{Topic: TopicOperator, Days: 30, Recorded: true},
		{Topic: TopicGaps, Days: 30, Recorded: true},
		{Topic: TopicRejected, Days: 30, Recorded: true},
		{Topic: TopicFacts, Days: 7},
		{Topic: TopicProposals, Days: 7, Single: true},
		{Topic: TopicOutbox, Days: 7, Added: true},
		{Topic: TopicProof, Single: true, Added: true},
		{Topic: TopicStateDetect, Compacted: true},
		{Topic: TopicStateRespond, Compacted: true},
		{Topic: TopicStateGate, Compacted: true, Single: true},
		{Topic: TopicStatus, Compacted: true},
		{Topic: TopicEnforced, Compacted: true, Added: true},
		{Topic: TopicControl, Compacted: true, Single: true},
		{Topic: TopicCasebook, Compacted: true, Added: true},
		{Topic: TopicIncidents, Compacted: true, Added: true},
		{Topic: TopicPeople, Compacted: true, Single: true, Added: true},
	}
}

// Kind says what a record on a topic is; it stands in the record's header
// "kind". A topic that carries one kind of record uses its own name's singular.
type Kind string

// The kinds of record.
const (
	KindEvent      Kind = "event"
	KindSignal     Kind = "signal"
	KindTrial      Kind = "trial" // a signal by numbers on trial, which nobody acts on
	KindRequest    Kind = "request"
	KindAnswer     Kind = "answer"
	KindDecision   Kind = "decision"
	KindAction     Kind = "action"
	KindNotice     Kind = "notice"
	KindCase       Kind = "case"
	KindOfIncident Kind = "incident"
	KindOperator   Kind = "operator"
	KindGap        Kind = "gap"
	KindRejected   Kind = "rejected"
	KindMember     Kind = "member"
	KindCount      Kind = "count"
	KindProposal   Kind = "proposal"
	KindActive     Kind = "active"
	KindStatus     Kind = "status"
	KindState      Kind = "state"
	KindControl    Kind = "control"
	KindFence      Kind = "fence"
	KindEnforced   Kind = "enforced"
	KindLetter     Kind = "letter"
	KindPeople     Kind = "people"
	KindProof      Kind = "proof"
)

// Names of the record headers that Holdfast writes.
const (
	HeaderKind   = "kind"
	HeaderID     = "id"
	HeaderSource = "source"
	HeaderOrigin = "origin"
	// HeaderTrust holds the trust in the event's source; without it that is full.
	HeaderTrust = "trust"
	// HeaderNetwork holds a Network: what intake knew of the event's address.
	HeaderNetwork = "net"
)
