package edge

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// The words of an answer beside schemas.Status's own (active, review, throttled, revoked,
// suspended, blocked).
const (
	statusUnknown   = "unknown"
	statusThrottled = "throttled"
	statusRevoked   = "revoked"
	statusSuspended = "suspended"
	statusBlocked   = "blocked"
)

// strictness orders statuses: of an account's and an address's the stricter counts.
func strictness(status string) int {
	switch status {
	case statusSuspended, statusBlocked:
		return 4
	case statusRevoked:
		return 3
	case statusThrottled:
		return 2
	case statusUnknown:
		return 1
	}
	return 0
}

// Standing is what the edge keeps of one entity's status.
type Standing struct {
	Status  string    // active, review, throttled, revoked, suspended, blocked
	Episode int       // of the decision behind it
	Step    int       // within the episode; rises with each change
	Since   time.Time // of the decision
	Reason  string    // as the customer may read it
	Revoked []string  // credentials that must not work, whatever the status is
	PerDay  int64     // recipients a day that probation allows; 0: no limit
}

// standingOf takes a record of the status topic over.
func standingOf(s *schemas.Status) Standing {
	return Standing{Status: s.Status, Episode: s.Episode, Step: s.Step, Since: s.Since.UTC(), Reason: s.Reason, Revoked: s.Revoked, PerDay: s.PerDay}
}

// Answer is one lookup's result.
type Answer struct {
	Entity schemas.Entity
	Known  bool // something was once decided about the entity
	Standing
	AsOf  time.Time     // when the copy last held all that the log had; zero: never
	Age   time.Duration // how long ago that was
	Stale bool          // Age is more than Config.StaleAfter
}

// Word is the status in one word, "unknown" where nothing was ever decided.
func (a *Answer) Word() string {
	if !a.Known {
		return statusUnknown
	}
	return a.Status
}

// appendJSON appends the answer as one JSON object.
func (a *Answer) appendJSON(b []byte) []byte {
	b = append(b, `{"entity":`...)
	b = appendString(b, a.Entity.Key())
	b = append(b, `,"status":`...)
	b = appendString(b, a.Word())
	b = append(b, `,"known":`...)
	b = strconv.AppendBool(b, a.Known)
	if a.Known {
		b = append(b, `,"since":"`...)
		b = a.Since.AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","episode":`...)
		b = strconv.AppendInt(b, int64(a.Episode), 10)
		b = append(b, `,"step":`...)
		b = strconv.AppendInt(b, int64(a.Step), 10)
		if a.Reason != "" {
			b = append(b, `,"reason":`...)
			b = appendString(b, a.Reason)
		}
		if len(a.Revoked) > 0 {
			b = append(b, `,"revoked":[`...)
			for i, id := range a.Revoked {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendString(b, id)
			}
			b = append(b, ']')
		}
		if a.PerDay > 0 {
			b = append(b, `,"per_day":`...)
			b = strconv.AppendInt(b, a.PerDay, 10)
		}
	}
	if !a.AsOf.IsZero() {
		b = append(b, `,"as_of":"`...)
		b = a.AsOf.AppendFormat(b, "2006-01-02T15:04:05Z")
		b = append(b, `","age_seconds":`...)
		b = strconv.AppendInt(b, int64(a.Age/time.Second), 10)
	}
	b = append(b, `,"stale":`...)
	b = strconv.AppendBool(b, a.Stale)
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil { // not UTF-8: the quoted form has replacement characters
		out, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}
