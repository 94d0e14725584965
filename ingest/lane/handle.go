package lane

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"holdfast/ingest/kafka"
)

// handle keeps one lane going as long as the group gives it to this process: it
// restores it again when it was fenced by mistake or failed.
type handle struct {
	n     int32
	own   atomic.Pointer[kafka.Assignment]
	newer chan struct{}      // there is a new assignment
	stop  context.Context    // ends: stop in good order
	halt  context.CancelFunc // ends stop
	drop  context.CancelFunc // stop at once
	ended chan struct{}
}

func (r *Runner) begin(hard context.Context, n int32, own *kafka.Assignment) *handle {
	ctx, cancel := context.WithCancel(hard)
	h := &handle{n: n, newer: make(chan struct{}, 1), drop: cancel, ended: make(chan struct{})}
	h.stop, h.halt = context.WithCancel(ctx)
	h.own.Store(own)
	go func() {
		defer close(h.ended)
		defer cancel()
		r.keep(ctx, h)
	}()
	return h
}

// renew tells the lane that it lives on in another generation.
func (h *handle) renew(own *kafka.Assignment) {
	h.own.Store(own)
	select {
	case h.newer <- struct{}{}:
	default:
	}
}

// keep runs the lane until it is dropped or stopped.
func (r *Runner) keep(ctx context.Context, h *handle) {
	for pause := 100 * time.Millisecond; ; {
		begun, under := time.Now(), h.own.Load()
		err := newLane(ctx, r, h).run()
		switch {
		case h.stop.Err() != nil, r.cfg.faults.noRestart:
			return
		case errors.Is(err, errLost):
			// Only another generation can say that the lane is ours after all.
			r.stumbled(h.n, err)
			r.log.Info("the group has moved on; the lane waits for its next generation", "lane", h.n, "generation", under.Generation)
			if h.own.Load() == under {
				select {
				case <-h.stop.Done():
					return
				case <-h.newer:
				}
			}
			continue
		case unreadable(err):
			r.log.Error("the lane's state cannot be read by this version; the process leaves the group", "lane", h.n, "error", err)
			r.stumbled(h.n, err)
			r.giveUp(err)
			return
		case restarts(err):
			r.log.Warn("the lane was fenced and begins again", "lane", h.n, "error", err)
		default:
			r.log.Error("the lane failed and is tried again", "lane", h.n, "after", pause, "error", err)
		}
		r.stumbled(h.n, err)
		r.metrics.restarts.Inc()
		if time.Since(begun) > time.Minute {
			pause = 100 * time.Millisecond
		}
		select {
		case <-h.stop.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, 30*time.Second)
	}
}
