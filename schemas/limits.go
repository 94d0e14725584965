package schemas

import "time"

// Limits on what one record may hold. They bound memory whatever a sender writes.
const (
	MaxRecord     = 1 << 20 // bytes of one record
	MaxID         = 128     // bytes of an id, account, credential, employee, session or ticket
	MaxAddress    = 320     // bytes of a mail address
	MaxText       = 1024    // bytes of any other text
	MaxRecipients = 1000    // recipients that one send may name
	MaxAccounts   = 1000    // accounts that one access may name
	MaxSnapshot   = 1000    // users, domains, credentials or contacts of a snapshot
	MaxCount      = 10_000_000
	MaxAmount     = 1 << 50 // bytes, rows, milliseconds

	// FutureTolerance is how far after its arrival an event's time may lie.
	FutureTolerance = 5 * time.Minute
	// Lateness is how far behind its entity's clock an event is still counted.
	Lateness = 10 * time.Minute
	// NewFor is how long after it was first heard of an account is new: history that is
	// imported in that time, for the first time, is its own, however old. Later it is late.
	NewFor = 7 * 24 * time.Hour
	// FactWindowLife is how long windows that are fed by facts live.
	FactWindowLife = 26 * time.Hour
	// AgeLimit is how long after it happened an event may arrive and still give
	// decisions that are carried out without asking a person.
	AgeLimit = 6 * time.Hour
)

// Event times are accepted from EarliestTime to before LatestTime, in Unix
// milliseconds: the years 2000 to 2099. Anything else is a clock that was never set, and
// would leave the range of days that state can hold. How far after its arrival a time may
// lie is judged by whoever knows the arrival.
const (
	EarliestTime int64 = 946_684_800_000
	LatestTime   int64 = 4_102_444_800_000
)

// TimeInRange reports whether an event may have happened at a time.
func TimeInRange(ms int64) bool { return uint64(ms-EarliestTime) < uint64(LatestTime-EarliestTime) }
