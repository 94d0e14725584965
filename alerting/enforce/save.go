package enforce

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v7"
)

// saver writes states, many in one batch: whatever changed while the batch before was on
// the way goes with the next.
type saver struct {
	mu     sync.Mutex
	queued map[*entity]struct{}
	done   chan struct{} // closed when what is queued now is durable
	wake   chan struct{}
}

func newSaver() saver {
	return saver{queued: map[*entity]struct{}{}, done: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// queueSave has entities saved soon, and returns a channel that closes when they are.
func (e *Enforcer) queueSave(xs ...*entity) <-chan struct{} {
	s := &e.saver
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range xs {
		s.queued[x] = struct{}{}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return s.done
}

// save waits until the entities, as they are now or newer, are durable; false says that
// ctx ended before.
func (e *Enforcer) save(ctx context.Context, xs ...*entity) bool {
	if len(xs) == 0 {
		return true
	}
	done := e.queueSave(xs...)
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// saveLoop saves until ctx ends.
func (e *Enforcer) saveLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.saver.wake:
			e.saveQueued(ctx)
		}
	}
}

func (e *Enforcer) saveQueued(ctx context.Context) {
	s := &e.saver
	s.mu.Lock()
	queued, done := s.queued, s.done
	s.queued, s.done = map[*entity]struct{}{}, make(chan struct{})
	s.mu.Unlock()
	for partition, states := range e.snapshot(queued) {
		ok := e.write(ctx, "state", func(ctx context.Context) error {
			err := e.deps.Store.Save(ctx, partition, states)
			if errors.Is(err, ErrLost) {
				e.fail(err)
				return backoff.Permanent(err)
			}
			return err
		})
		if !ok {
			return // whoever waits is told by its context
		}
	}
	close(done)
	e.mu.Lock()
	defer e.mu.Unlock()
	for x := range queued {
		e.letGo(x)
	}
}

// letGo forgets an entity with which nothing is left to do, unless it is to be saved
// again: its record must not come after that of one that takes its place. The lock is held.
func (e *Enforcer) letGo(x *entity) {
	if e.entities[x.Entity.Key()] != x || !x.rests(e.names) || !x.idle() {
		return
	}
	e.saver.mu.Lock()
	_, again := e.saver.queued[x]
	e.saver.mu.Unlock()
	if !again {
		delete(e.entities, x.Entity.Key())
		e.rested.put(x.Entity.Key(), x.Last)
	}
}

// snapshot copies states as they are, by partition.
func (e *Enforcer) snapshot(queued map[*entity]struct{}) map[int32][]Saved {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[int32][]Saved{}
	for x := range queued {
		b, err := x.Encode()
		if err != nil {
			e.log.Error("what was enforced cannot be written", "error", err)
			continue
		}
		out[x.partition] = append(out[x.partition], Saved{x.Entity.Key(), b})
	}
	return out
}

// write writes something down, again and again until the broker has it. It goes on for a
// little after ctx has ended, so that what was done is known to be done.
func (e *Enforcer) write(ctx context.Context, what string, do func(context.Context) error) bool {
	return persist(ctx, e.cfg, e.log, what, do)
}

func persist(ctx context.Context, cfg Config, log logger, what string, do func(context.Context) error) bool {
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
		return do(late) == nil
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = cfg.Backoff, 30*time.Second
	told := false
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, do(ctx) },
		backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, d time.Duration) {
			if !told {
				log.Warn("the broker does not take what was done, it is tried again until it does", "what", what, "pause", d, "error", err)
			}
			told = true
		}))
	return err == nil
}

type logger interface{ Warn(msg string, args ...any) }
