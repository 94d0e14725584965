package schemas

import "strings"

// Reason is why a record was refused: a short, closed list, fit for a metric.
type Reason string

// The reasons.
const (
	ReasonTooLarge     Reason = "too_large"
	ReasonNotJSON      Reason = "not_json"
	ReasonBadUTF8      Reason = "bad_utf8"
	ReasonDuplicateKey Reason = "duplicate_key"
	ReasonUnknownType  Reason = "unknown_type"
	ReasonMissing      Reason = "missing_field"
	ReasonBadField     Reason = "bad_field"
	ReasonTooLong      Reason = "too_long"
	ReasonFuture       Reason = "future_time"
	ReasonTooOld       Reason = "time_out_of_range"
	ReasonNotAllowed   Reason = "type_not_allowed"
	ReasonNotAccount   Reason = "account_not_allowed"
	ReasonNoEnvelope   Reason = "no_envelope" // headers that intake sets are missing
	ReasonWrongKey     Reason = "wrong_key"
	ReasonStore        Reason = "refused_by_store"
	ReasonMore         Reason = "more_refused" // counts records of which nothing else is kept
)

// Error says why a record was refused: which record, which field, what was wrong
// and how to fix it.
type Error struct {
	Reason Reason
	Record string // the record's id, where it could be read
	Field  string
	What   string
	Fix    string
}

// Error puts the parts into one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Record != "" {
		b.WriteString("record " + quote(e.Record) + ": ")
	}
	if e.Field != "" {
		b.WriteString("field " + quote(e.Field) + ": ")
	}
	b.WriteString(e.What)
	if e.Fix != "" {
		b.WriteString(": " + e.Fix)
	}
	return b.String()
}
