package enforce

import (
	"context"
	"sync"
)

// channel sends to one receiver: at most slots calls at once, and one entity's in
// their order. A goroutine lives for each entity that has something waiting; the
// number of them is bounded by Config.Pending.
type channel struct {
	name  string
	slots chan struct{}
	work  *sync.WaitGroup

	mu      sync.Mutex
	waiting map[string][]func(context.Context) // by entity; present while its goroutine lives
}

func newChannel(name string, concurrency int, work *sync.WaitGroup) *channel {
	return &channel{name: name, slots: make(chan struct{}, concurrency), work: work, waiting: map[string][]func(context.Context){}}
}

// put queues a task behind the entity's earlier ones.
func (c *channel) put(ctx context.Context, entity string, task func(context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue, busy := c.waiting[entity]
	c.waiting[entity] = append(queue, task)
	if !busy {
		c.work.Go(func() { c.drain(ctx, entity) })
	}
}

func (c *channel) drain(ctx context.Context, entity string) {
	for {
		task := c.next(entity)
		if task == nil {
			return
		}
		task(ctx)
	}
}

func (c *channel) next(entity string) func(context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := c.waiting[entity]
	if len(queue) == 0 {
		delete(c.waiting, entity)
		return nil
	}
	c.waiting[entity] = queue[1:]
	return queue[0]
}

// enter takes a slot; false says that ctx ended first.
func (c *channel) enter(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *channel) leave() { <-c.slots }
