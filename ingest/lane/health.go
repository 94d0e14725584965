package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Health is how a role of this process is. Everybody who is assigned a lane and does not
// work it holds up what that lane's entities need, however good the rest is.
type Health struct {
	Role     string
	Joined   bool   // the group has given this process its lanes, none perhaps
	Assigned int    // how many
	Idle     []Idle // those of them that do not work, by number
}

// Ready reports whether every lane that was assigned works.
func (h Health) Ready() bool { return h.Joined && len(h.Idle) == 0 }

// Idle is a lane that is assigned and does not work.
type Idle struct {
	Lane  int32
	Since time.Time
	Err   error // why it failed last; nil while it restores for the first time
}

func (i Idle) String() string {
	if i.Err == nil {
		return fmt.Sprintf("lane %d restores since %s", i.Lane, i.Since.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("lane %d does not work since %s: %v", i.Lane, i.Since.UTC().Format(time.RFC3339), i.Err)
}

// Health may be called from any goroutine.
func (r *Runner) Health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := Health{Role: r.cfg.Role.Name, Joined: r.joined, Assigned: len(r.idle)}
	for n, idle := range r.idle {
		if r.working[n] == nil {
			h.Idle = append(h.Idle, *idle)
		}
	}
	slices.SortFunc(h.Idle, func(a, b Idle) int { return int(a.Lane - b.Lane) })
	return h
}

// assign notes which lanes the process has now.
func (r *Runner) assign(lanes []int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joined = true
	now := make(map[int32]*Idle, len(lanes))
	for _, n := range lanes {
		if int(n) >= len(r.working) {
			continue
		}
		if now[n] = r.idle[n]; now[n] == nil {
			now[n] = &Idle{Lane: n, Since: time.Now()}
		}
	}
	r.idle = now
	r.metrics.assigned.Set(float64(len(now)))
}

// stumbled notes why a lane does not work.
func (r *Runner) stumbled(n int32, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if idle := r.idle[n]; idle != nil {
		idle.Err = err
	}
}

// unreadable reports whether an error means that this program cannot read what another
// version wrote: no other attempt of it will, and another process may.
func unreadable(err error) bool {
	return errors.Is(err, schemas.ErrStateNewer) || errors.Is(err, schemas.ErrStateOlder)
}

// giveUp has Run return: the process leaves the group, so that others can work its lanes.
func (r *Runner) giveUp(err error) {
	select {
	case r.fatal <- err:
	default:
	}
}

// sampled is how many of a state partition's newest offsets are looked at before joining.
const sampled = 64

// checkState refuses to join a group over state that this program cannot read: a lane
// that it was given would stand still. It looks at control and at the newest values of
// every partition, which is what another version wrote last; the rest shows when a lane
// restores, and then the process leaves.
func (r *Runner) checkState(ctx context.Context) error {
	if err := r.control.refresh(ctx); err != nil {
		return err
	}
	seen := 0
	for _, v := range r.control.since(&seen) {
		if v.key != schemas.ControlLevel {
			continue
		}
		if _, err := schemas.ParseLevel(v.value); unreadable(err) {
			return fmt.Errorf("lane: role %s: %w", r.cfg.Role.Name, err)
		}
	}
	var all []kafka.TopicPartition
	for n := range r.cfg.lanes() {
		all = append(all, kafka.TopicPartition{Topic: r.cfg.topic(r.cfg.Role.State), Partition: int32(n)})
	}
	ends, err := r.deps.Broker.Offsets(ctx, all)
	if err != nil {
		return nil //nolint:nilerr // a sample; what matters is found by the lanes
	}
	var positions []kafka.Position
	for _, tp := range all {
		if e := ends[tp]; e.End > e.Start {
			positions = append(positions, kafka.Position{TopicPartition: tp, Offset: max(e.Start, e.End-sampled)})
		}
	}
	if len(positions) == 0 {
		return nil
	}
	got, err := r.deps.Broker.Fetch(ctx, positions, kafka.FetchOptions{MaxWait: -1, MaxBytes: r.cfg.FetchBytes, PartitionMaxBytes: 256 << 10})
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	fold := r.deps.NewFold(0)
	for _, f := range got {
		others := map[string]error{} // by key, of which no later value stands above
		for i := range f.Records {
			rec := &f.Records[i]
			if isFence(rec) {
				continue
			}
			delete(others, string(rec.Key))
			if err := guarded(func() error { return fold.Restore(string(rec.Key), rec.Value) }); unreadable(err) {
				others[string(rec.Key)] = fmt.Errorf("lane: role %s does not join its group: the state of %q in %s at offset %d: %w", r.cfg.Role.Name, rec.Key, f.TopicPartition, rec.Offset, err)
			}
		}
		for _, err := range others {
			return err // one is enough to say
		}
	}
	return nil
}
