package memlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrKilled is what the requests of a killed client get.
var ErrKilled = errors.New("memlog: the process was killed")

// errNoAnswer is what a client sees of a request whose answer is lost: it cannot
// know whether it took effect.
var errNoAnswer = fmt.Errorf("memlog: no answer: %w", io.ErrUnexpectedEOF)

// Verdict is what becomes of a request.
type Verdict struct {
	Limit int  // of the records that a fetch brings; 0: as many as there are
	Twice bool // a copy of the request arrives later
	Late  bool // the request itself arrives later; the client sees no answer
	Lost  bool // it takes effect; the client sees no answer
	dead  bool
}

// Call is a request that waits.
type Call struct {
	// Client is who asked; empty for what the broker does by itself.
	Client string
	// Step says what happens when the call goes on: init, produce, produced, fetch,
	// commit, committed, offsets, join, notice (the member learns that its generation
	// is over), form (a new generation).
	Step string
	What string

	order   int
	verdict chan Verdict
	run     func()
}

// Schedule makes every request wait for the test from now on.
func (c *Cluster) Schedule() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scheduled = true
}

// Waiting lists the requests that wait, in an order that does not depend on which
// goroutine came first.
func (c *Cluster) Waiting() []*Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.waiting, func(a, b *Call) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Step, b.Step), cmp.Compare(a.What, b.What), cmp.Compare(a.order, b.order))
	})
	return slices.Clone(c.waiting)
}

// Go lets a request go on.
func (c *Cluster) Go(call *Call, v Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.remove(call) {
		return
	}
	if call.run != nil {
		call.run()
		return
	}
	call.verdict <- v
}

func (c *Cluster) remove(call *Call) bool {
	i := slices.Index(c.waiting, call)
	if i < 0 {
		return false
	}
	c.waiting = slices.Delete(c.waiting, i, i+1)
	return true
}

// add puts a call among those that wait. The lock is held.
func (c *Cluster) add(call *Call) {
	c.arrivals++
	call.order = c.arrivals
	c.waiting = append(c.waiting, call)
}

// Late is the number of requests that arrive later.
func (c *Cluster) Late() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.late)
}

// Deliver lets the i-th late request arrive.
func (c *Cluster) Deliver(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.late[i]
	c.late = slices.Delete(c.late, i, i+1)
	f()
	c.changed()
}
