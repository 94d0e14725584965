package gateway

import (
	"bufio"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

var errFull = bufio.ErrBufferFull

// problem is an RFC 9457 problem; type about:blank means that the status says it.
type problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`

	allow string // header Allow
	retry string // header Retry-After, seconds
}

// refusal says what is wrong with one line, counted from 1.
type refusal struct {
	Line   int            `json:"line"`
	ID     string         `json:"id,omitempty"`
	Reason schemas.Reason `json:"reason"`
	Field  string         `json:"field,omitempty"`
	Error  string         `json:"error"`
}

// answer says what became of a body's lines. With a problem it is sent as its
// extension members: what was accepted stays accepted.
type answer struct {
	Accepted     int       `json:"accepted"`
	RefusedCount int       `json:"refused_count"`
	Refused      []refusal `json:"refused"` // the first ones

	notAllowed int
	problem    *problem
}

// lenient writes U+FFFD for what is not UTF-8: an answer repeats parts of lines, and is
// valid JSON whatever they hold.
var lenient = jsontext.AllowInvalidUTF8(true)

func (p *problem) fill() {
	p.Title = http.StatusText(p.Status)
	p.Type = "about:blank"
}

func (p *problem) headers(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.retry != "" {
		h.Set("Retry-After", p.retry)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="holdfast"`)
	}
}

func (p *problem) write(w http.ResponseWriter) {
	p.fill()
	p.headers(w)
	w.WriteHeader(p.Status)
	_ = json.MarshalWrite(w, p, lenient) // the sender may be gone
}

// write sends the answer. A body of which nothing was accepted is a problem too,
// so that a sender that looks at the status alone learns of it.
func (a *answer) write(w http.ResponseWriter, log *slog.Logger) {
	if a.Refused == nil {
		a.Refused = []refusal{}
	}
	if a.problem == nil && a.Accepted == 0 && a.RefusedCount > 0 {
		a.problem = a.nothing()
	}
	var err error
	if a.problem == nil {
		w.Header().Set("Content-Type", "application/json")
		err = json.MarshalWrite(w, a, lenient)
	} else {
		a.problem.fill()
		a.problem.headers(w)
		w.WriteHeader(a.problem.Status)
		err = json.MarshalWrite(w, struct {
			*problem
			*answer
		}{a.problem, a}, lenient)
	}
	if err != nil {
		log.Debug("the answer was not read", "error", err)
	}
}

func (a *answer) nothing() *problem {
	if a.notAllowed == a.RefusedCount {
		return &problem{Status: http.StatusForbidden, Detail: "the token may not send these types of event, or not of these accounts: use another, or list them under intake.http.tokens"}
	}
	return &problem{Status: http.StatusUnprocessableEntity, Detail: "every line was refused: see the reasons beside"}
}

// Elsewhere answers requests for any path but Path: it says what is taken, and where.
func Elsewhere(w http.ResponseWriter, _ *http.Request) {
	turnAway(http.NewResponseController(w), w, &problem{Status: http.StatusNotFound,
		Detail: "events are taken by POST " + Path + " alone: one JSON object a line, with the header Authorization: Bearer TOKEN"})
}

func busy() *problem {
	return &problem{Status: http.StatusTooManyRequests, retry: "1", Detail: "too many requests at once: send again in a second"}
}

// tooFast asks a sender to wait that has sent more than its rate allows.
func tooFast(wait time.Duration) *problem {
	return &problem{Status: http.StatusTooManyRequests, retry: strconv.Itoa(int(math.Ceil(wait.Seconds()))),
		Detail: "the token has sent more than its rate allows: send again when Retry-After is over"}
}

func tooLong(size int) *schemas.Error {
	return &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("%d bytes are more than %d", size, schemas.MaxRecord),
		Fix: "split the record, or send recipient_count in place of a long list"}
}
