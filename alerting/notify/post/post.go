// Package post makes the HTTP calls of all channels. It promises that no redirect is followed,
// that at most 4 KiB of an answer is read, that a URL, which may be a secret, is in no error,
// and that 2xx alone is success; notify.Retry judges every other status, and what never got an
// answer may be tried again.
package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
)

// Client is the client of all channels; transport may be nil.
func Client(timeout time.Duration, transport http.RoundTripper) *http.Client {
	return &http.Client{Timeout: timeout, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Poster is one receiver of JSON. It is safe for concurrent use.
type Poster struct {
	Name   string // in errors
	URL    string
	Client *http.Client
	Header http.Header // of every request, beside the content's type
}

// JSON posts a value. retry says whether the same call may succeed later.
func (p *Poster) JSON(ctx context.Context, value any) (retry bool, err error) {
	_, retry, err = p.Ask(ctx, value)
	return retry, err
}

// Ask posts a value and returns the first 4 KiB of a 2xx answer.
func (p *Poster) Ask(ctx context.Context, value any) (answer []byte, retry bool, err error) {
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return nil, false, fmt.Errorf("%s: encode: %w", p.Name, err)
	}
	answer, err = Do(ctx, p.Client, p.Name, http.MethodPost, p.URL, body, p.Header)
	return answer, Retry(err), err
}

// Retry tells whether a call that ended with an error of Do may succeed later.
func Retry(err error) bool {
	var answered *StatusError
	return err != nil && (!errors.As(err, &answered) || notify.Retry(answered.Status))
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 4 << 10

// Do makes one request, with JSON where there is a body, and returns the first 4 KiB of a 2xx
// answer. Any other answer is a *StatusError. name stands for the receiver in errors.
func Do(ctx context.Context, client *http.Client, name, method, address string, body []byte, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: the url cannot be used", name)
	}
	// A connection of its own: on one that is used again, what a receiver answers too much to
	// one call would be taken for the answer to the next, and a stop for confirmed.
	req.Close = true
	for key, values := range header {
		req.Header[http.CanonicalHeaderKey(key)] = values
	}
	if len(body) > 0 && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "holdfast")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, withoutURL(err))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 == 2 {
		return text, nil
	}
	return nil, &StatusError{Name: name, Status: resp.StatusCode, Detail: notify.Clip(printable(text), 200), Body: string(text), after: notify.RetryAfter(resp.Header, time.Now())}
}

// withoutURL takes the URL out of a client's error: its path may be a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == 0xFFFD {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), " "))
}

// StatusError says that a receiver answered with a status other than 2xx.
type StatusError struct {
	Name   string
	Status int
	Detail string
	Body   string // the first 4 KiB of the answer, as it came
	after  time.Duration
}

// Error names the receiver and the status.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.Name, e.Status, http.StatusText(e.Status))
	if e.Status/100 == 3 {
		s += " (redirects are never followed: set the url to where the receiver is)"
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// RetryAfter is the pause that the receiver asked for, 0 where it did not.
func (e *StatusError) RetryAfter() time.Duration { return e.after }

// Gone reports whether the receiver says that nobody is there any more.
func (e *StatusError) Gone() bool { return e.Status == http.StatusGone }
