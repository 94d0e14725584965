package api

import (
	"sync"

	"holdfast/schemas"
)

// Change says that something of an entity is different now: its status, its case, or both.
type Change struct {
	N      uint64         `json:"n"` // grows with each change
	Entity schemas.Entity `json:"entity"`
	Status string         `json:"status,omitempty"`
	Case   string         `json:"case,omitempty"`
	Stage  schemas.Stage  `json:"stage,omitempty"`
	// Version is the case's.
	Version int `json:"version,omitzero"`
}

// keptChanges is how many changes a reader may lag behind: some 1 MiB.
const keptChanges = 8192

// changes is the newest changes, for readers that each go on where they are.
type changes struct {
	mu   sync.Mutex
	last uint64 // number of the newest
	ring [keptChanges]Change
	wake chan struct{}
}

func (c *changes) add(x Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	x.N = c.last
	c.ring[c.last%keptChanges] = x
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}

// since gives at most limit changes after number n. wake is closed when there are more. ok
// is false where some of them are not kept any more: read the list again and begin at next.
func (c *changes) since(n uint64, limit int) (out []Change, next uint64, wake <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.last || c.last-n >= keptChanges {
		return nil, c.last, nil, false
	}
	for next = n; next < c.last && len(out) < limit; {
		next++
		out = append(out, c.ring[next%keptChanges])
	}
	if c.wake == nil {
		c.wake = make(chan struct{})
	}
	return out, next, c.wake, true
}
