package enforce

import "sync"

// offsets knows, for each partition, below which offset every decision is carried
// out. It is safe for concurrent use. Its size is bounded by Config.Pending.
type offsets struct {
	mu    sync.Mutex
	parts map[int32]*progress
}

type progress struct {
	open   []int64        // begun and not yet part of next, rising
	done   map[int64]bool // of those, the finished ones
	next   int64          // everything below is finished
	commit int64          // what was committed
}

func newOffsets() *offsets { return &offsets{parts: map[int32]*progress{}} }

func (o *offsets) begin(partition int32, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.parts[partition]
	if p == nil {
		p = &progress{done: map[int64]bool{}}
		o.parts[partition] = p
	}
	p.open = append(p.open, offset)
}

func (o *offsets) finish(partition int32, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.parts[partition]
	p.done[offset] = true
	for len(p.open) > 0 && p.done[p.open[0]] {
		p.next = p.open[0] + 1
		delete(p.done, p.open[0])
		p.open = p.open[1:]
	}
}

// ready returns the partitions with something new to commit.
func (o *offsets) ready() map[int32]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[int32]int64{}
	for i, p := range o.parts {
		if p.next > p.commit {
			out[i] = p.next
		}
	}
	return out
}

func (o *offsets) committed(partition int32, offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts[partition].commit = offset
}
