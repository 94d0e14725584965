package schemas

// Input is one record of a lane's own log, as the lane hands it to the fold that
// consumes it. Key and Value are only valid during the call. What folds look at in
// every record stands first, in as few cache lines as it may.
type Input struct {
	Topic   Topic
	Kind    Kind
	Key     string
	Origin  Origin
	Offset  int64
	Arrival int64 // Unix milliseconds: the broker's timestamp
	// Event, Fact or Signal, where it is given, is Value decoded already, so that who
	// had to decode it for its key, or wrote it, spares the fold a second time. It is
	// only valid during the call.
	Event  *Event
	Fact   *Fact
	Signal *Signal
	// Duplicate says that the same id stands among the 65,536 offsets before this
	// one: stored, not scored. Folds that count by offset still see the record.
	Duplicate bool
	Partition int32
	ID        string // header "id": by which duplicates are known
	Source    string
	// Trust is how much the record's source is trusted; empty is full.
	Trust Trust
	Value []byte
	// Network is what was known of the event's address when it came in. Its texts are
	// only valid during the call.
	Network Network
}

// Output is a record that a fold wants written. Its partition follows from its
// key. Value is owned by the receiver. Fact and Signal, where one is given, are what
// Value was written from; their texts are valid for as long as the input's.
type Output struct {
	Topic  Topic
	Kind   Kind
	ID     string
	Key    string
	Origin Origin
	Source string
	Value  []byte
	Fact   *Fact
	Signal *Signal
}

// DuplicateReach is how many offsets back a double is recognised.
const DuplicateReach = 65536

// CountBlock is the number of offsets of the sender's log that one count fact
// covers; a lane resumes at its block's start.
const CountBlock = 4096
