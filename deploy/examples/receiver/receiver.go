package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"
)

// change is the webhook's body; `holdfast schema change` prints its JSON Schema. Fields that
// this program does not use are left out.
type change struct {
	ID     string `json:"id"`
	Entity struct {
		Kind string `json:"kind"` // account, ip, employee
		ID   string `json:"id"`
	} `json:"entity"`
	Status  string   `json:"status"` // active, throttled, revoked, suspended, blocked
	Acts    []act    `json:"acts"`
	Revoked []string `json:"revoked"`
	PerDay  int64    `json:"per_day"`
	Episode int      `json:"episode"`
	Step    int      `json:"step"`
}

type act struct {
	Do     string `json:"do"`
	Object string `json:"object"`
	PerDay int64  `json:"per_day"`
}

func (c *change) key() string { return c.Entity.Kind + ":" + c.Entity.ID }

// receiver takes changes.
type receiver struct {
	keys  [][]byte
	state *state
	now   func() time.Time
}

func (r *receiver) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /holdfast", r.change)
	mux.HandleFunc("GET /status/{entity}", r.status)
	return mux
}

// maxBody is far above what Holdfast sends.
const maxBody = 1 << 20

// change carries one change out and says so. Any answer but 2xx, 400 and 422, and none, makes
// Holdfast send it again.
func (r *receiver) change(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusRequestTimeout)
		return
	}
	if err := verify(r.keys, q.Header, body, r.now()); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized) // tried again: the secret gets put right
		return
	}
	var c change
	if err := json.Unmarshal(body, &c); err != nil || c.ID == "" || c.Entity.ID == "" {
		http.Error(w, "the body is no change", http.StatusBadRequest) // for good: a person is paged
		return
	}
	for _, a := range c.Acts {
		if !known[a.Do] {
			http.Error(w, fmt.Sprintf("the act %q is not known here", a.Do), http.StatusUnprocessableEntity) // for good: a person is paged
			return
		}
	}
	applied, err := r.state.apply(&c, r.carryOut)
	if err != nil {
		http.Error(w, "it could not be carried out", http.StatusServiceUnavailable)
		return
	}
	answer(w, map[string]any{"status": c.Status, "applied": applied})
}

// known are the verbs that carryOut understands.
var known = map[string]bool{
	"throttle": true, "revoke_credential": true, "suspend": true, "end_sessions": true, "hold_queue": true,
	"block_address": true, "set_limit": true, "release": true,
}

// carryOut makes the platform what the change asks for: the acts are all that is to be in
// force, and what was in force by an earlier change and is not among them ends. It may be
// called twice with the same change, and must then do no harm. An error has Holdfast send the
// change again.
func (r *receiver) carryOut(before, c *change) error {
	for _, a := range c.Acts {
		// The platform's own calls belong here.
		log.Printf("%s: %s %s", c.key(), a.Do, a.Object)
	}
	for _, id := range ended(before, c) {
		log.Printf("%s: restore_credential %s, unless the customer has replaced it", c.key(), id)
	}
	return nil
}

// ended are credentials that were revoked and are no longer.
func ended(before, c *change) (out []string) {
	if before == nil {
		return nil
	}
	still := map[string]bool{}
	for _, id := range c.Revoked {
		still[id] = true
	}
	for _, id := range before.Revoked {
		if !still[id] {
			out = append(out, id)
		}
	}
	return out
}

// status says which standing is in force.
func (r *receiver) status(w http.ResponseWriter, q *http.Request) {
	if err := verify(r.keys, q.Header, nil, r.now()); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	entity := q.PathValue("entity")
	c := r.state.get(entity)
	if c == nil || !strings.Contains(entity, ":") {
		http.Error(w, "nothing was ever said of it", http.StatusNotFound)
		return
	}
	revoked := c.Revoked
	if revoked == nil {
		revoked = []string{}
	}
	answer(w, map[string]any{"status": c.Status, "revoked": revoked, "per_day": c.PerDay})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
