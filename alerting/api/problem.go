package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Problem is an error as RFC 9457 has it. Code is one word that programs can look at.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`
	// Field is the part of the request that is wrong, where it is one.
	Field string `json:"field,omitempty"`
	// Version is the case's present one, where it has changed since.
	Version int `json:"version,omitzero"`

	retry int // seconds, for the header Retry-After
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// The codes.
const (
	CodeInvalid      = "invalid"      // 400: cannot be understood
	CodeUnauthorized = "unauthorized" // 401: nobody is signed in
	CodeForbidden    = "forbidden"    // 403: a right is missing
	CodeNotFound     = "not_found"    // 404
	CodeConflict     = "conflict"     // 409: it has changed since
	CodeTooLarge     = "too_large"    // 413
	CodeMedia        = "media_type"   // 415
	CodeRefused      = "refused"      // 422: understood, and not done
	CodeRequired     = "required"     // 428: If-Match is missing
	CodeTooMany      = "too_many"     // 429
	CodeInternal     = "internal"     // 500
	CodeAway         = "away"         // 503: a part that is needed does not answer
	CodeTimeout      = "timeout"      // 504: no answer in time; the request may still be carried out
)

func problem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func invalid(field, format string, args ...any) *Problem {
	p := problem(http.StatusBadRequest, CodeInvalid, fmt.Sprintf(format, args...))
	p.Field = field
	return p
}

func unauthorized(detail string) *Problem {
	return problem(http.StatusUnauthorized, CodeUnauthorized, detail)
}

func forbidden(detail string) *Problem {
	return problem(http.StatusForbidden, CodeForbidden, detail)
}

func notFound(format string, args ...any) *Problem {
	return problem(http.StatusNotFound, CodeNotFound, fmt.Sprintf(format, args...))
}

func refused(detail string) *Problem {
	return problem(http.StatusUnprocessableEntity, CodeRefused, detail)
}

// Refusal is an error of a part that understood a question and does not answer it; its
// detail is shown to who asked.
func Refusal(detail string) error { return refused(detail) }

func conflict(detail string) *Problem {
	return problem(http.StatusConflict, CodeConflict, detail)
}

func tooMany(seconds int, detail string) *Problem {
	p := problem(http.StatusTooManyRequests, CodeTooMany, detail)
	p.retry = max(1, seconds)
	return p
}

// ErrAway says that a part which a question needs does not answer, such as the audit store.
var ErrAway = errors.New("the audit store does not answer")

func away(err error) *Problem {
	p := problem(http.StatusServiceUnavailable, CodeAway, err.Error())
	p.retry = 5
	return p
}

// ofLane is the refusal that an entity's lane gave.
func ofLane(reason string, version int) *Problem {
	if strings.HasPrefix(reason, changedSince) {
		p := conflict(reason)
		p.Version = version
		return p
	}
	return refused(reason)
}

// changedSince begins the lane's refusal of an act on what has changed since.
const changedSince = "it has changed since"

// AsProblem gives the Problem that an error is; one that is none is internal, and what it
// says is for the log alone.
func AsProblem(err error) *Problem {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	if errors.Is(err, ErrAway) {
		return away(err)
	}
	return problem(http.StatusInternalServerError, CodeInternal, "something went wrong within Holdfast: its log says what")
}
