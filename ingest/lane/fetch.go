package lane

import (
	"context"
	"errors"
	"time"

	"holdfast/ingest/kafka"
)

// asked says which lane and input a position belongs to.
type asked struct {
	lane  *lane
	input int
}

// crowded is how long a fetch waits while a lane with a full queue is left out, and
// how long to wait when all are.
const crowded = 5 * time.Millisecond

// fetchLoop reads on for all lanes that are ready, with one request to each leader,
// and hands each its batches.
func (r *Runner) fetchLoop(ctx context.Context) {
	var positions []kafka.Position
	var who []asked
	pause := 20 * time.Millisecond
	for ctx.Err() == nil {
		var left bool
		var fctx context.Context
		positions, who, left, fctx = r.positions(ctx, positions[:0], who[:0])
		if len(positions) == 0 {
			r.await(ctx, left)
			continue
		}
		o := kafka.FetchOptions{MaxWait: r.cfg.FetchWait, MaxBytes: r.cfg.FetchBytes, Scratch: r.scratches.take()}
		if left {
			o.MaxWait = crowded
		}
		got, err := r.deps.Broker.Fetch(fctx, positions, o)
		if err == nil && holdsRecords(got) {
			err = r.control.refresh(ctx)
		}
		if err != nil {
			r.scratches.give(o.Scratch)
			if fctx.Err() == nil {
				r.metrics.retries.Inc()
				r.log.Warn("fetching failed; it is tried again", "error", err)
				wait(ctx, pause)
				pause = min(2*pause, 2*time.Second)
			}
			continue
		}
		pause = 20 * time.Millisecond
		r.handOut(ctx, got, who, o.Scratch)
	}
}

func holdsRecords(got []kafka.Fetched) bool {
	for i := range got {
		if len(got[i].Records) > 0 {
			return true
		}
	}
	return false
}

// positions lists what to fetch: all inputs of the lanes that are ready and have
// room. left says that some were left out. The context ends when the lanes change.
func (r *Runner) positions(ctx context.Context, positions []kafka.Position, who []asked) ([]kafka.Position, []asked, bool, context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.interrupt != nil {
		r.interrupt()
	}
	fctx, cancel := context.WithCancel(ctx)
	r.interrupt = cancel
	left := false
	for _, l := range r.working {
		if l == nil {
			continue
		}
		if l.queue.full(r.cfg.QueueBytes) {
			left = true
			continue
		}
		for i := range r.cfg.Role.Inputs {
			positions = append(positions, kafka.Position{TopicPartition: l.input(i), Offset: l.fetchAt[i]})
			who = append(who, asked{l, i})
		}
	}
	return positions, who, left, fctx
}

// await waits until the lanes change, or shortly where some have no room.
func (r *Runner) await(ctx context.Context, left bool) {
	if left {
		wait(ctx, crowded)
		return
	}
	select {
	case <-ctx.Done():
	case <-r.changed:
	}
}

// ready lets a lane have batches from now on.
func (r *Runner) ready(l *lane) {
	r.mu.Lock()
	r.working[l.n] = l
	n, values, longest := 0, 0, time.Duration(0)
	for _, w := range r.working {
		if w != nil {
			n, values, longest = n+1, values+w.values, max(longest, w.took)
		}
	}
	all := n == len(r.idle)
	r.mu.Unlock()
	r.metrics.lanes.Inc()
	if all {
		r.log.Info("all lanes work", "lanes", n, "values", values, "longest_restore", longest.Round(time.Millisecond))
	}
	r.wakeFetch()
}

// unready takes a lane out.
func (r *Runner) unready(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.working[l.n] == l {
		r.working[l.n] = nil
		r.metrics.lanes.Dec()
	}
}

// wakeFetch has the fetch loop look again at which lanes there are.
func (r *Runner) wakeFetch() {
	r.mu.Lock()
	if r.interrupt != nil {
		r.interrupt()
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// handOut gives each lane what was fetched for it.
func (r *Runner) handOut(ctx context.Context, got []kafka.Fetched, who []asked, scratch *kafka.Scratch) {
	a := &answer{scratch: scratch, pool: &r.scratches}
	a.refs.Store(1) // ours, until all is handed out
	defer a.release()
	for i := range got {
		f, l, input := &got[i], who[i].lane, who[i].input
		if f.Err != nil {
			r.failed(ctx, f, l, input)
			continue
		}
		if f.Next == l.fetchAt[input] {
			continue
		}
		b := &batch{input: input, records: f.Records, next: f.Next, end: f.HighWatermark, answer: a}
		for j := range f.Records {
			b.bytes += recordOverhead + len(f.Records[j].Key) + len(f.Records[j].Value)
		}
		a.refs.Add(1)
		l.fetchAt[input] = f.Next
		l.queue.put(b)
	}
}

// failed handles one partition's own error.
func (r *Runner) failed(ctx context.Context, f *kafka.Fetched, l *lane, input int) {
	if errors.Is(f.Err, kafka.ErrOffsetOutOfRange) {
		ends, err := r.deps.Broker.Offsets(ctx, []kafka.TopicPartition{f.TopicPartition})
		switch span, pos := ends[f.TopicPartition], l.fetchAt[input]; {
		case err != nil:
		case pos < span.Start:
			l.fetchAt[input] = span.Start
			l.queue.put(&batch{input: input, gap: true, from: pos, next: span.Start, end: span.End})
			return
		case pos > span.End:
			r.unready(l)
			l.queue.put(&batch{input: input, err: beyond(l, pos, f.TopicPartition, span.End)})
			return
		}
	}
	r.metrics.retries.Inc()
	if now := time.Now(); now.After(r.quietUntil) {
		r.quietUntil = now.Add(time.Second)
		r.log.Warn("fetching from a partition failed; it is tried again", "partition", f.TopicPartition.String(), "error", f.Err)
	}
	wait(ctx, crowded)
}
