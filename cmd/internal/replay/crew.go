package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Few blocks are kept waiting for their lanes, so that they are still in a cache when
// these come to them. There are more for when a lane is held up: by the other one,
// by many events of one entity in a row, or by what is concluded from its findings.
const (
	fewBlocks  = 4
	manyBlocks = 8
	allBlocks  = 128 // 12 MB with the events, and more only for records larger than a block
)

// crew is the workers that run over one file together, two of them or as many as there
// are cores to use, and at most one for each stage. A stage is done by one of them at a
// time and takes the blocks in their order. A worker does what there is to do, but
// keeps to its own lane where it can, so that what the lane knows stays in one core's
// cache.
type crew struct {
	mu      sync.Mutex
	wake    sync.Cond // for workers that have nothing to do
	ended   sync.Cond // for run
	stages  [stages]stage
	blocks  [allBlocks]*block // by their number
	spent   []*block          // are used again, the last one first
	reading bool              // a worker waits for what is read
	full    bool              // the last block has been filled
	over    bool
	err     error
	replay  *Replay
	sum     Summary // of what is concluded

	patience  *time.Timer // runs once ctx is over
	abandoned bool
}

const (
	stageFill = iota // reads and decodes
	stageConclude
	stageLane // the first
	stages    = stageLane + lanes
)

// stage is one of the steps that each block goes through.
type stage struct {
	do    func(*block) (done bool, err error)
	ready func() bool // whether there is a block for it
	busy  bool
	done  int // blocks
}

func newCrew(r *Replay) *crew {
	c := &crew{replay: r, sum: r.sum}
	c.wake.L, c.ended.L = &c.mu, &c.mu
	fill, conclude, detect := &c.stages[stageFill], &c.stages[stageConclude], c.stages[stageLane:]
	fill.do = func(b *block) (bool, error) {
		c.fill(&r.reader, b)
		return true, nil
	}
	fill.ready = func() bool { return !c.full && fill.done < conclude.done+allBlocks }
	conclude.do = func(b *block) (bool, error) { return true, r.concludeBlock(b) }
	conclude.ready = func() bool { return conclude.done < min(detect[0].done, detect[1].done) }
	for i := range detect {
		l, t, s := &r.detection.lanes[i], &r.detection.talk, &detect[i]
		s.do = func(b *block) (bool, error) { return l.detect(b, t), nil }
		s.ready = func() bool { return s.done < fill.done && t.mayGoOn(l) }
	}
	return c
}

// fill reads and decodes a block, unless all is over before.
func (c *crew) fill(r *reader, b *block) {
	if c.setReading(true) {
		return
	}
	r.read(b)
	if !c.setReading(false) {
		r.decode(b)
	}
}

func (c *crew) setReading(is bool) (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = is
	return c.over
}

// abandonAfter is how long a line may still take once ctx is over. None takes long that
// ever comes to an end.
const abandonAfter = 2 * time.Second

// errAbandoned says that a worker is still busy with a line.
var errAbandoned = errors.New("it was given up")

// run returns when all is done, at the first error, or when ctx is over, and then
// nobody is at work any more, but for a worker that still waits for more to read, or
// one that has been given up.
func (c *crew) run(ctx context.Context) (Summary, error) {
	for i := range min(max(runtime.GOMAXPROCS(0), 2), stages) {
		go c.work(i)
	}
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.end(ctx.Err())
		c.patience = time.AfterFunc(abandonAfter, c.abandon)
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.over || c.busy() && !c.abandoned {
		c.ended.Wait()
	}
	if c.patience != nil {
		c.patience.Stop()
	}
	if c.busy() {
		return c.sum, errors.Join(c.err, fmt.Errorf("line %d takes no end: %w", c.replay.busyWith(), errAbandoned))
	}
	return c.replay.sum, c.err
}

func (c *crew) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = true
	c.ended.Signal()
}

// busy reports whether a worker is at anything but reading.
func (c *crew) busy() bool {
	for i := range c.stages {
		if c.stages[i].busy && (i != stageFill || !c.reading) {
			return true
		}
	}
	return false
}

func (c *crew) end(err error) {
	if !c.over {
		c.over, c.err = true, err
	}
	c.wake.Broadcast()
	c.ended.Signal()
}

// work does one thing after the other until all is over. The lock is not held while
// something is done, nor given back where that panics.
func (c *crew) work(worker int) {
	c.mu.Lock()
	for !c.over {
		s := c.next(worker)
		if s == nil {
			c.wake.Wait()
			continue
		}
		b := c.nextBlock(s)
		s.busy = true
		c.mu.Unlock()
		done, err := s.do(b)
		c.mu.Lock()
		s.busy = false
		if err != nil {
			c.end(err)
		}
		if done {
			s.done++
			c.passed(s, b)
		}
		c.wake.Broadcast()
	}
	c.ended.Signal()
	c.mu.Unlock()
}

// passed notes what follows from a stage being done with a block.
func (c *crew) passed(s *stage, b *block) {
	switch s {
	case &c.stages[stageFill]:
		c.full = b.last
	case &c.stages[stageConclude]:
		c.sum = c.replay.sum
		c.spent = append(c.spent, b)
		if b.last {
			c.end(nil)
		}
	}
}

// nextBlock is the next one for a stage.
func (c *crew) nextBlock(s *stage) *block {
	at := &c.blocks[s.done%allBlocks]
	if s == &c.stages[stageFill] {
		if n := len(c.spent); n > 0 {
			*at, c.spent = c.spent[n-1], c.spent[:n-1]
		} else {
			*at = newBlock()
		}
	}
	return *at
}

// next is what a worker had best do, nil if there is nothing.
func (c *crew) next(worker int) *stage {
	own, other := &c.stages[stageLane+worker%lanes], &c.stages[stageLane+(worker+1)%lanes]
	fill, conclude := &c.stages[stageFill], &c.stages[stageConclude]
	waiting := fill.done - min(own.done, other.done)
	switch {
	case waiting < fewBlocks && fill.free():
		return fill
	case conclude.free():
		return conclude
	case own.free():
		return own
	case waiting < manyBlocks && fill.free():
		return fill
	case other.free():
		return other
	case fill.free():
		return fill
	}
	return nil
}

// free reports whether a worker can take a stage up.
func (s *stage) free() bool { return !s.busy && s.ready() }
