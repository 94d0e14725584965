package intake

import (
	"context"
	"sync"
)

// Receipt stands for some records handed to Send; it is settled when every one
// of them is acknowledged or has failed. Its zero value is ready. Wait after the
// last Send.
type Receipt struct {
	mu      sync.Mutex
	pending int
	failed  int
	err     error
	settled chan struct{} // made by Wait
}

// Wait returns when all are settled, with the first failure if there was one, or
// when ctx ends, with its error; the writes then go on.
func (r *Receipt) Wait(ctx context.Context) error {
	r.mu.Lock()
	if r.pending == 0 {
		defer r.mu.Unlock()
		return r.err
	}
	if r.settled == nil {
		r.settled = make(chan struct{})
	}
	settled := r.settled
	r.mu.Unlock()
	select {
	case <-settled:
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failed is how many records were not written, after Wait.
func (r *Receipt) Failed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Add announces one record: every writer that stands in for a Producer calls it
// before it takes the record.
func (r *Receipt) Add() {
	r.mu.Lock()
	r.pending++
	r.mu.Unlock()
}

// Settle says what became of one record that was announced.
func (r *Receipt) Settle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending--
	if err != nil {
		r.failed++
		if r.err == nil {
			r.err = err
		}
	}
	if r.pending == 0 && r.settled != nil {
		close(r.settled)
		r.settled = nil
	}
}
