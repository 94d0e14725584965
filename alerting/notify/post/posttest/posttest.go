// Package posttest is an HTTP receiver on loopback for the tests of channels: it keeps what it
// was sent and answers as it is told.
package posttest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
)

// Receiver keeps requests.
type Receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies [][]byte
	heads  []http.Header
	status int
	after  string
}

// New starts a receiver that answers with the given status.
func New(t testing.TB, status int) *Receiver {
	t.Helper()
	r := &Receiver{status: status}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies, r.heads = append(r.bodies, b), append(r.heads, q.Header.Clone())
		if r.after != "" {
			w.Header().Set("Retry-After", r.after)
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

// Answer sets what is answered from now on.
func (r *Receiver) Answer(status int, retryAfter string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.after = status, retryAfter
}

// Count is how many requests came.
func (r *Receiver) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

// Last decodes the last request's body into v and returns the body and the header.
func (r *Receiver) Last(t testing.TB, v any) ([]byte, http.Header) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bodies) == 0 {
		t.Fatal("nothing came")
	}
	b := r.bodies[len(r.bodies)-1]
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return b, r.heads[len(r.heads)-1]
}

// Secret writes a secret to a file that its owner alone can read.
func Secret(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Statuses holds a channel against the one table of HTTP statuses.
func Statuses(t *testing.T, r *Receiver, send func(context.Context) (bool, error)) {
	t.Helper()
	for _, status := range []int{200, 202, 204, 301, 302, 400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503, 504} {
		r.Answer(status, "7")
		retry, err := send(t.Context())
		ok := status/100 == 2
		if (err == nil) != ok || !ok && retry != notify.Retry(status) {
			t.Errorf("%d: retry %v, %v", status, retry, err)
		}
		if after, is := err.(interface{ RetryAfter() time.Duration }); !ok && (!is || after.RetryAfter() != 7*time.Second) {
			t.Errorf("%d: the pause that was asked for is lost: %v", status, err)
		}
	}
}
