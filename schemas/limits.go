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
	// FactWindowLife is how long windows that are fed by facts live.
	FactWindowLife = 26 * time.Hour
	// AgeLimit is how long after it happened an event may arrive and still give
	// decisions that are carried out without asking a person.
	AgeLimit = 6 * time.Hour
)

// EarliestTime is the least event time that is accepted, in Unix milliseconds:
// anything before it is a clock that was never set.
var EarliestTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
