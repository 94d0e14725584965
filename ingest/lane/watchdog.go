package lane

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// stuckAfter is how long a fold may be busy with one record before the record is named,
// and lookEvery how often that is looked at.
const (
	stuckAfter = 10 * time.Second
	lookEvery  = time.Second
)

// atHand is the record that a lane's fold is busy with, 0 for none: the offset plus one
// and the input. It costs a record one store; that time passes is the watchdog's to see.
type atHand struct{ v atomic.Int64 }

func (a *atHand) begin(input int, offset int64) { a.v.Store((offset+1)*maxInputs + int64(input)) }
func (a *atHand) end()                          { a.v.Store(0) }

func place(v int64) (input int, offset int64) { return int(v % maxInputs), v/maxInputs - 1 }

// Stuck is a record that a fold has been busy with for 10 s or longer.
type Stuck struct {
	Role            string
	Topic           schemas.Topic
	Partition       int32
	Offset          int64
	Key, ID, Source string // "" where the record could not be read again
	Since           time.Time
}

// String names the record.
func (s Stuck) String() string {
	return fmt.Sprintf("role %s has been busy since %s with offset %d of %s, partition %d (id %q, key %q, source %q)",
		s.Role, s.Since.UTC().Format(time.RFC3339), s.Offset, s.Topic, s.Partition, s.ID, s.Key, s.Source)
}

// seenAtHand is what the watchdog remembers of a lane.
type seenAtHand struct {
	at    int64
	since time.Time
	told  bool
}

// watch names each record that a fold has been busy with for too long, once, until ctx
// ends. The record is read again from the broker: the fold's own is in use.
func (r *Runner) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	seen := map[*lane]seenAtHand{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.look(ctx, now, seen)
		}
	}
}

func (r *Runner) look(ctx context.Context, now time.Time, seen map[*lane]seenAtHand) {
	lanes := r.lanesNow()
	for l := range seen {
		if !lanes[l] {
			r.free(l)
			delete(seen, l)
		}
	}
	for l := range lanes {
		s, at := seen[l], l.hand.v.Load()
		if at != s.at {
			if s.told {
				r.free(l)
			}
			seen[l] = seenAtHand{at: at, since: now}
			continue
		}
		if at == 0 || now.Sub(s.since) < stuckAfter {
			continue
		}
		l.meter.stuck.Set(now.Sub(s.since).Seconds())
		if s.told {
			continue
		}
		s.told = true
		seen[l] = s
		input, offset := place(at)
		x := r.name(ctx, l.input(input), Stuck{Role: r.cfg.Role.Name, Topic: r.cfg.Role.Inputs[input].Topic, Partition: l.n, Offset: offset, Since: s.since})
		r.mu.Lock()
		r.stuck[l] = x
		r.mu.Unlock()
		l.log.Error("a fold takes no end with a record; the lane waits for it", "topic", x.Topic, "partition", x.Partition, "offset", x.Offset,
			"key", x.Key, "id", x.ID, "source", x.Source, "busy_for", now.Sub(s.since).Round(time.Second))
	}
}

func (r *Runner) lanesNow() map[*lane]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	lanes := make(map[*lane]bool, len(r.working))
	for _, l := range r.working {
		if l != nil {
			lanes[l] = true
		}
	}
	return lanes
}

// free notes that a lane goes on, or is gone.
func (r *Runner) free(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.stuck[l]; ok {
		delete(r.stuck, l)
		l.meter.stuck.Set(0)
		l.log.Info("the lane goes on")
	}
}

// name adds what the record says of itself, where it can be read.
func (r *Runner) name(ctx context.Context, at kafka.TopicPartition, x Stuck) Stuck {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	got, err := r.deps.Broker.Fetch(ctx, []kafka.Position{{TopicPartition: at, Offset: x.Offset}}, kafka.FetchOptions{MaxBytes: schemas.MaxMessageBytes, PartitionMaxBytes: schemas.MaxMessageBytes})
	if err != nil || len(got) == 0 || got[0].Err != nil {
		return x
	}
	for i := range got[0].Records {
		rec := &got[0].Records[i]
		if rec.Offset != x.Offset {
			continue
		}
		x.Key = strings.Clone(stringOf(rec.Key))
		for _, h := range rec.Headers {
			switch h.Key {
			case schemas.HeaderID:
				x.ID = strings.Clone(stringOf(h.Value))
			case schemas.HeaderSource:
				x.Source = strings.Clone(stringOf(h.Value))
			}
		}
	}
	return x
}

// Stuck lists the records that folds of this process have been busy with for 10 s or
// longer.
func (r *Runner) Stuck() []Stuck {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Stuck
	for _, x := range r.stuck {
		all = append(all, x)
	}
	return all
}
