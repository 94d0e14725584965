// Package demo is the mail platform of `holdfast demo`: small, but its parts are real. It
// takes Holdfast's signed webhook over HTTP, keeps each entity's status, and lets an event
// happen only where the status allows it; its mail server takes Holdfast's notices over
// SMTP. Nothing in it knows what is an attack.
package demo

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// The statuses that make a difference here.
const (
	Active    = "active"
	Throttled = "throttled"
	Suspended = "suspended"
	Blocked   = "blocked"
)

// Platform is who is suspended. It is an http.Handler that takes Holdfast's webhook, and
// safe for concurrent use.
type Platform struct {
	key      []byte
	onChange func(Change)

	mu       sync.Mutex
	statuses map[string]standing // by kind:id
	slowed   map[string]int      // by kind:id: what was asked for while throttled
}

type standing struct {
	status        string
	episode, step int
}

// Change is one change of status that the platform took over.
type Change struct {
	Entity schemas.Entity
	Status string
	Was    string
	At     time.Time
}

// NewPlatform returns a platform without customers. onChange is called for each change of
// status, one at a time, before the webhook is answered.
func NewPlatform(onChange func(Change)) *Platform {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &Platform{key: key, onChange: onChange, statuses: map[string]standing{}, slowed: map[string]int{}}
}

// Secret is what signs the webhook, as Holdfast reads it from a file.
func (p *Platform) Secret() string { return "whsec_" + base64.StdEncoding.EncodeToString(p.key) }

// Status is an entity's status: active, throttled, suspended or blocked.
func (p *Platform) Status(e schemas.Entity) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status(e.Key())
}

func (p *Platform) status(key string) string {
	if s, ok := p.statuses[key]; ok {
		return s.status
	}
	return Active
}

// Allows reports whether an entity may do one thing more. Whoever is throttled may do
// every fourth.
func (p *Platform) Allows(e schemas.Entity) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.status(e.Key()) {
	case Suspended, Blocked:
		return false
	case Throttled:
		p.slowed[e.Key()]++
		return p.slowed[e.Key()]%4 == 1
	}
	return true
}

// ServeHTTP takes a change of status. What is signed otherwise is refused; of two changes
// the one with the higher (episode, step) holds, in whatever order they come.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, p.key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if !hmac.Equal([]byte("v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get("webhook-signature"))) {
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	var c struct {
		Entity  schemas.Entity `json:"entity"`
		Status  string         `json:"status"`
		Episode int            `json:"episode"`
		Step    int            `json:"step"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	p.take(c.Entity, standing{c.Status, c.Episode, c.Step})
	w.WriteHeader(http.StatusNoContent)
}

func (p *Platform) take(e schemas.Entity, s standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.statuses[e.Key()]
	if known && (s.episode < before.episode || s.episode == before.episode && s.step < before.step) {
		return
	}
	was := p.status(e.Key())
	p.statuses[e.Key()] = s
	if was != s.status {
		p.onChange(Change{Entity: e, Status: s.status, Was: was, At: time.Now()})
	}
}
