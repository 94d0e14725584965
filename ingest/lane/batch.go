package lane

import (
	"sync"
	"sync/atomic"

	"holdfast/ingest/kafka"
)

// batch is what one fetch brought of one of a lane's inputs.
type batch struct {
	input   int
	records []kafka.Record
	at      int   // records before it are folded
	next    int64 // where the log goes on behind the records
	end     int64 // the log's end, as far as known
	from    int64 // where the log was to go on, if gap
	gap     bool  // offsets from up to next are gone
	err     error // why the lane cannot go on
	bytes   int
	answer  *answer
}

// answer is one fetch's memory, in which several lanes' batches stand.
type answer struct {
	scratch *kafka.Scratch // nil: the collector's
	refs    atomic.Int32
	pool    *scratches
}

func (a *answer) release() {
	if a != nil && a.refs.Add(-1) == 0 {
		a.pool.give(a.scratch)
	}
}

// scratches is a pool of fetch memory. When all is in use, because lanes are slow, a
// fetch does without: what is held stays bounded by the lanes' queues.
type scratches struct {
	mu   sync.Mutex
	free []*kafka.Scratch
	left int // how many more may be made
}

func (s *scratches) take() *kafka.Scratch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		return x
	}
	if s.left > 0 {
		s.left--
		return new(kafka.Scratch)
	}
	return nil
}

func (s *scratches) give(x *kafka.Scratch) {
	if x == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, x)
}

// intake is a lane's queue of batches, bounded in bytes by who fills it.
type intake struct {
	mu     sync.Mutex
	items  queue[*batch]
	bytes  int
	closed bool
	wake   chan struct{}
}

func newIntake() intake { return intake{wake: make(chan struct{}, 1)} }

// put hands a batch to the lane, which releases it.
func (q *intake) put(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		b.answer.release()
		return
	}
	q.items.push(b)
	q.bytes += b.bytes
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take gives the next batch, or nil.
func (q *intake) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items.len() == 0 {
		return nil
	}
	return q.items.pop()
}

// folded gives a batch's memory back.
func (q *intake) folded(b *batch) {
	q.mu.Lock()
	q.bytes -= b.bytes
	q.mu.Unlock()
	b.answer.release()
}

func (q *intake) full(limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes >= limit
}

// close drops what is queued and whatever comes after it.
func (q *intake) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.items.len() > 0 {
		q.items.pop().answer.release()
	}
}
