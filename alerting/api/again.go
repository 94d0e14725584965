package api

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// again remembers the answers to requests with an Idempotency-Key for a day, so that one
// that was sent twice is answered alike and done once. What an entity's lane did is known
// from its operator record too, also after a restart.
type again struct {
	mu    sync.Mutex
	all   map[string]*answered
	order []string // the oldest first
	size  int
}

type answered struct {
	print  [sha256.Size]byte // of the request
	at     time.Time
	done   bool
	status int
	header http.Header
	body   []byte
}

// Bounds of what is remembered.
const (
	keepAnswers   = 24 * time.Hour
	maxAnswers    = 10_000
	maxAnswerSize = 16 << 20 // bytes, all together
	maxKey        = 128      // bytes of a key
)

func newAgain() *again { return &again{all: map[string]*answered{}} }

// begin tells whether a request is the first of its key. Where it is not, and was answered,
// before is that answer.
func (a *again) begin(key string, print [sha256.Size]byte, now time.Time) (before *answered, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.order) > 0 {
		oldest := a.all[a.order[0]]
		if oldest != nil && now.Sub(oldest.at) < keepAnswers && len(a.order) < maxAnswers && a.size < maxAnswerSize {
			break
		}
		if oldest != nil {
			a.size -= len(oldest.body)
			delete(a.all, a.order[0])
		}
		a.order = a.order[1:]
	}
	x := a.all[key]
	switch {
	case x == nil:
		a.all[key] = &answered{print: print, at: now}
		a.order = append(a.order, key)
		return nil, nil
	case x.print != print:
		return nil, refused("this Idempotency-Key was used for another request: choose a new one")
	case !x.done:
		p := conflict("the first request with this Idempotency-Key is still being carried out: ask again in a second")
		p.retry = 1
		return nil, p
	}
	return x, nil
}

// end remembers an answer. One of which it is not known whether it was carried out is
// forgotten, so that the next try asks again.
func (a *again) end(key string, status int, header http.Header, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.all[key]
	if x == nil {
		return
	}
	if status >= 500 || status == http.StatusTooManyRequests {
		delete(a.all, key)
		return
	}
	x.done, x.status, x.header, x.body = true, status, header, body
	a.size += len(body)
}
