package enforce

import "sync"

// offsets knows, for each log, below which offset everything is carried out. It is safe
// for concurrent use. Its size is bounded by what may be under way.
type offsets struct {
	mu   sync.Mutex
	logs map[log]*progress
}

type progress struct {
	open   []int64        // begun and not yet part of next, rising
	done   map[int64]bool // of those, the finished ones
	next   int64          // everything below is finished
	commit int64          // what was committed
}

func newOffsets() *offsets { return &offsets{logs: map[log]*progress{}} }

func (o *offsets) begin(at log, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.logs[at]
	if p == nil {
		p = &progress{done: map[int64]bool{}}
		o.logs[at] = p
	}
	p.open = append(p.open, offset)
}

func (o *offsets) finish(at log, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.logs[at]
	p.done[offset] = true
	for len(p.open) > 0 && p.done[p.open[0]] {
		p.next = p.open[0] + 1
		delete(p.done, p.open[0])
		p.open = p.open[1:]
	}
}

// ready returns the logs with something new to commit.
func (o *offsets) ready() map[log]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[log]int64{}
	for at, p := range o.logs {
		if p.next > p.commit {
			out[at] = p.next
		}
	}
	return out
}

func (o *offsets) committed(at log, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logs[at].commit = offset
}
