// Package enforce carries live decisions out: it changes the entity's standing at
// the platform and tells people. It promises that every live decision's action and
// notices are tried until they succeed, are refused for good or Config.GiveUp
// passes, that each outcome is written down before the decision's offset is
// committed, and that nothing that is written down is done again. A crash between
// a call and its record repeats the call with the same id, which receivers use as
// the idempotency key. An automatic decision whose cause arrived longer ago than
// Config.AgeLimit is not carried out: it is held, and a person is asked.
//
// One entity's decisions go out in their order on each channel. Channels and
// entities do not wait for each other: a call that is waiting for its next try
// holds no slot. What is fetched and unfinished is bounded by Config.Pending;
// beyond it decisions wait in Kafka, so no decision is ever dropped or delayed.
// Shadow and history decisions are counted and otherwise ignored.
package enforce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Enforcer carries out the decisions of one assignment of partitions.
type Enforcer struct {
	cfg      Config
	deps     Deps
	now      func() time.Time
	log      *slog.Logger
	seen     *seen
	offsets  *offsets
	room     chan struct{} // one token a decision under way
	platform *channel
	channels []*channel // the notifiers', in their order
	work     sync.WaitGroup
}

// New returns an Enforcer that does nothing until Run.
func New(cfg Config, deps Deps) *Enforcer {
	e := &Enforcer{cfg: cfg, deps: deps, now: deps.Now, log: deps.Logger, seen: newSeen(), offsets: newOffsets(), room: make(chan struct{}, cfg.Pending)}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if deps.Platform != nil {
		e.platform = newChannel(deps.Platform.Name(), cfg.Concurrency, &e.work)
	}
	for _, n := range deps.Notifiers {
		e.channels = append(e.channels, newChannel(n.Name(), cfg.Concurrency, &e.work))
	}
	return e
}

// Run carries decisions out until ctx ends or the source fails. What was under way
// then is not committed and comes again to the next owner.
func (e *Enforcer) Run(ctx context.Context) error {
	if err := e.cfg.Validate(); err != nil {
		return err
	}
	if e.deps.Ledger != nil {
		if err := e.deps.Ledger.Known(ctx, e.seen.add); err != nil {
			return fmt.Errorf("read which actions and notices were written: %w", err)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		e.commitLoop(ctx)
	}()
	err := e.read(ctx)
	if ctx.Err() != nil {
		err = nil // being told to stop is no failure
	}
	stop()
	e.work.Wait()
	<-committed
	e.commitLast(ctx)
	return err
}

func (e *Enforcer) read(ctx context.Context) error {
	for {
		items, err := e.deps.Source.Next(ctx)
		if err != nil {
			return fmt.Errorf("read decisions: %w", err)
		}
		for _, it := range items {
			select {
			case e.room <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			e.begin(ctx, it)
		}
	}
}

// begin hands one decision's tasks to their channels.
func (e *Enforcer) begin(ctx context.Context, it Item) {
	e.offsets.begin(it.Partition, it.Offset)
	e.deps.Metrics.decision(it.Record)
	e.deps.Metrics.wait(len(e.room))
	j := &job{item: it, left: 1, finish: func(done bool) {
		if done {
			e.offsets.finish(it.Partition, it.Offset)
		}
		<-e.room
		e.deps.Metrics.wait(len(e.room))
	}}
	e.plan(ctx, j)
	j.end(true)
}

func (e *Enforcer) commitLoop(ctx context.Context) {
	tick := time.NewTicker(e.cfg.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.commit(ctx)
		}
	}
}

// lastWrite is how long the end may take to write down what was done.
const lastWrite = 5 * time.Second

func (e *Enforcer) commitLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	e.commit(ctx)
}

// commit tries again at the next tick where it fails: a commit that is late only
// repeats what is known to be done.
func (e *Enforcer) commit(ctx context.Context) {
	for partition, offset := range e.offsets.ready() {
		if err := e.deps.Source.Commit(ctx, partition, offset); err != nil {
			if !errors.Is(err, context.Canceled) {
				e.log.Warn("commit of carried out decisions failed", "partition", partition, "offset", offset, "error", err)
			}
			continue
		}
		e.offsets.committed(partition, offset)
	}
}
