package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// lane is one partition's worker from its restore until it is lost, fails or stops.
// Its goroutine owns everything but what says otherwise.
type lane struct {
	r     *Runner
	n     int32
	own   *atomic.Pointer[kafka.Assignment] // the present generation's
	stop  context.Context                   // ends: stop in good order
	ctx   context.Context                   // ends: stop now, and write nothing more
	log   *slog.Logger
	meter laneMetrics
	fold  Fold

	values int           // restored
	took   time.Duration // the restore

	producer kafka.Producer
	pos      [maxInputs]int64 // the next offset to fold of each input
	fetchAt  [maxInputs]int64 // the next offset to fetch; the fetcher's once the lane is ready
	rings    [maxInputs]*schemas.Ring
	control  int // how many of the control log's records were taken
	in       schemas.Input
	names    names
	emitted  []schemas.Output
	emit     func(schemas.Output)
	guarded  map[string]Version
	once     *once // nil: all that stood there has been passed

	queue  intake
	hand   atHand
	now    time.Time
	batch  *batch // being folded
	out    outbox
	dirty  dirty
	save   saver
	commit committer

	senders sync.WaitGroup
	done    chan sent
	renewAt time.Time
}

func newLane(ctx context.Context, r *Runner, h *handle) *lane {
	l := &lane{
		r: r, n: h.n, own: &h.own, stop: h.stop, ctx: ctx, fold: r.deps.NewFold(h.n),
		log:   r.log.With("lane", h.n),
		meter: r.metrics.lane(h.n, r.cfg.Role.Inputs),
		names: newNames(), queue: newIntake(), out: newOutbox(), dirty: newDirty(),
		done: make(chan sent, 16), now: time.Now(),
	}
	l.emit = func(o schemas.Output) { l.emitted = append(l.emitted, o) }
	return l
}

// run restores the lane and works until it is told to stop (nil) or cannot go on.
func (l *lane) run() error {
	ctx, cancel := context.WithCancel(l.ctx)
	l.ctx = ctx
	defer l.senders.Wait()
	defer cancel()
	defer func() {
		if l.batch != nil {
			l.queue.folded(l.batch)
		}
		l.queue.close()
	}()
	// A lane that is told to stop before it has begun has nothing to put in order.
	early := context.AfterFunc(l.stop, cancel)
	if err := l.restore(); err != nil || !early() {
		return err
	}
	l.r.ready(l)
	defer l.r.unready(l)
	return l.work()
}

// work is the lane's loop: fold a slice, send, save, commit, and see what came back.
func (l *lane) work() error {
	timer := time.NewTimer(l.r.cfg.SaveTick)
	defer timer.Stop()
	stop := l.stop.Done()
	l.renewAt = l.now.Add(l.r.cfg.RenewEpoch)
	for {
		l.now = time.Now()
		if err := l.settle(); err != nil {
			return err
		}
		folding := false
		if stop != nil {
			var err error
			if folding, err = l.slice(); err != nil {
				return err
			}
		}
		again := l.kick(l.now, !folding && stop == nil)
		if err := l.tend(stop == nil); err != nil {
			return err
		}
		if folding {
			continue
		}
		if stop == nil && l.clean() {
			return nil
		}
		timer.Reset(l.pause(again))
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case <-stop:
			stop = nil
		case <-l.queue.wake:
		case s := <-l.done:
			l.now = time.Now()
			if err := l.ended(s); err != nil {
				return err
			}
		case <-timer.C:
		}
	}
}

// pause is how long there is nothing to do if nothing comes.
func (l *lane) pause(again time.Time) time.Duration {
	d := l.r.cfg.SaveTick
	if !again.IsZero() {
		d = min(d, max(again.Sub(l.now), 0))
	}
	return d
}

// settle takes all that has come back from senders.
func (l *lane) settle() error {
	for {
		select {
		case s := <-l.done:
			if err := l.ended(s); err != nil {
				return err
			}
		case <-l.ctx.Done():
			return l.ctx.Err()
		default:
			return nil
		}
	}
}

// ended takes one batch that was sent, saved or committed.
func (l *lane) ended(s sent) error {
	switch {
	case s.commit:
		return l.committed(s.err)
	case s.err != nil:
		return s.err
	case s.dest == nil:
		l.saved()
		return nil
	}
	at := l.now.UnixMilli()
	for i := range s.dest.sending {
		if arrival := s.dest.sending[i].arrival; arrival > 0 {
			l.r.metrics.latency.Observe(float64(max(at-arrival, 0)) / 1000)
		}
	}
	l.r.metrics.output(s.dest.topic, len(s.dest.sending))
	l.out.ack(s.dest)
	return nil
}

// tend saves, commits and renews the epoch as they are due.
func (l *lane) tend(stopping bool) error {
	if !stopping && l.now.After(l.renewAt) {
		return l.renew()
	}
	l.saveSome(stopping)
	l.commitSome(stopping)
	return nil
}

// clean tells whether nothing is left that a restart would have to do again.
func (l *lane) clean() bool {
	return l.out.empty() && l.dirty.order.len() == 0 && l.save.idle() && !l.commit.due(l)
}

// slice folds for a while and tells whether there is more.
func (l *lane) slice() (more bool, err error) {
	until := l.now.Add(min(l.r.cfg.Slice, l.r.cfg.Linger/2))
	for l.out.bytes < l.r.cfg.OutputBytes {
		if l.batch == nil {
			if l.batch = l.queue.take(); l.batch == nil {
				return false, nil
			}
			if err := l.begin(l.batch); err != nil {
				return false, err
			}
		}
		b := l.batch
		for b.at < len(b.records) {
			end := min(b.at+32, len(b.records))
			for ; b.at < end; b.at++ {
				l.hand.begin(b.input, b.records[b.at].Offset)
				l.take(b.input, &b.records[b.at])
			}
			l.hand.end()
			l.now = time.Now()
			switch {
			case l.out.bytes >= l.r.cfg.OutputBytes:
				return false, nil
			case l.now.After(until) && b.at < len(b.records):
				return true, nil
			}
		}
		l.end(b)
		l.batch = nil
		if l.now.After(until) {
			return true, nil
		}
	}
	return false, nil // an acknowledgement will wake the lane
}

// begin prepares for a batch: control first, then what is missing before it.
func (l *lane) begin(b *batch) error {
	if b.err != nil {
		return b.err
	}
	if err := l.takeControl(); err != nil {
		return err
	}
	if b.gap {
		l.gap(b.input, b.from, b.next, "the log's beginning had passed the lane")
	}
	return nil
}

// end passes over what stands behind a batch's last record.
func (l *lane) end(b *batch) {
	l.pos[b.input] = max(l.pos[b.input], b.next)
	if r := l.rings[b.input]; r != nil {
		r.Pass(l.pos[b.input])
	}
	l.meter.lag[b.input].Set(float64(max(b.end-l.pos[b.input], 0)))
	l.queue.folded(b)
}

// takeControl hands the fold what control brought since. A value that cannot be used is
// passed over; one that says that another version of the program is needed ends the lane.
func (l *lane) takeControl() error {
	for _, v := range l.r.control.since(&l.control) {
		switch err := guarded(func() error { return l.fold.Control(v.key, v.value) }); {
		case unreadable(err):
			return fmt.Errorf("lane %d of %s: %w", l.n, l.r.cfg.Role.Name, err)
		case err != nil:
			l.r.metrics.controlErrors.Inc()
			l.log.Error("a control value cannot be used; what was in force stays", "key", v.key, "error", err)
		}
	}
	return nil
}

// renew takes a new epoch when nothing is on the way: an identity that is never
// renewed could expire or run out of epochs.
func (l *lane) renew() error {
	for !l.out.empty() || !l.save.idle() || l.commit.flying {
		l.kick(l.now, true)
		l.saveHeld()
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case s := <-l.done:
			l.now = time.Now()
			if err := l.ended(s); err != nil {
				return err
			}
		}
	}
	l.renewAt = l.now.Add(l.r.cfg.RenewEpoch)
	for _, d := range l.out.all {
		d.sequence = 0
	}
	l.save.sequence = 0
	if err := l.takeEpoch(); err != nil {
		return err
	}
	l.log.Info("took a new producer epoch", "epoch", l.producer.Epoch)
	return nil
}

// errLost says that a lane may not go on under its generation.
var errLost = errors.New("lane: lost to another generation")
