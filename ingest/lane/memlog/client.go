package memlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"holdfast/ingest/kafka"
)

// Client is one process's way to the cluster. It implements lane.Broker.
type Client struct {
	c    *Cluster
	name string
	dead atomic.Bool
}

// Client makes a client with a name.
func (c *Cluster) Client(name string) *Client { return &Client{c: c, name: name} }

// Kill ends a client as a crash does: what it asked has no effect any more, unless
// late says that it is on the way.
func (k *Client) Kill(late func() bool) {
	k.dead.Store(true)
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	for _, call := range slices.Clone(k.c.waiting) {
		if call.Client != k.name {
			continue
		}
		k.c.remove(call)
		if call.verdict != nil {
			call.verdict <- Verdict{dead: true, Late: late()}
		}
	}
}

// enter waits until the test lets the request go on.
func (k *Client) enter(ctx context.Context, step, what string) (Verdict, error) {
	k.c.mu.Lock()
	if k.dead.Load() {
		k.c.mu.Unlock()
		return Verdict{dead: true}, ErrKilled
	}
	if !k.c.scheduled {
		k.c.mu.Unlock()
		return Verdict{}, ctx.Err()
	}
	call := &Call{Client: k.name, Step: step, What: what, verdict: make(chan Verdict, 1)}
	k.c.add(call)
	k.c.mu.Unlock()
	select {
	case v := <-call.verdict:
		if v.dead {
			return v, ErrKilled
		}
		return v, nil
	case <-ctx.Done():
		k.c.mu.Lock()
		defer k.c.mu.Unlock()
		if !k.c.remove(call) {
			v := <-call.verdict
			if v.dead {
				return v, ErrKilled
			}
			return v, nil
		}
		return Verdict{}, ctx.Err()
	}
}

// change makes a request that changes something: it waits before it takes effect and
// before its answer arrives. A copy that arrives later has its effect, but nobody
// hears of it.
func change[T any](ctx context.Context, k *Client, step, what string, effect func() (T, error)) (answer T, err error) {
	v, err := k.enter(ctx, step, what)
	if err != nil && !v.Late {
		return answer, err
	}
	k.c.mu.Lock()
	if v.Late || v.Twice {
		k.c.late = append(k.c.late, func() { _, _ = effect() })
	}
	if v.Late {
		k.c.mu.Unlock()
		if err == nil {
			err = errNoAnswer
		}
		return answer, err
	}
	result, err := effect()
	k.c.changed()
	k.c.mu.Unlock()
	if v.Lost {
		return answer, errNoAnswer
	}
	if _, err := k.enter(ctx, step+"d", what); err != nil {
		return answer, err
	}
	return result, err
}

// InitProducer takes a new epoch.
func (k *Client) InitProducer(ctx context.Context, transactionalID string) (kafka.Producer, error) {
	return change(ctx, k, "init", transactionalID, func() (kafka.Producer, error) {
		known := k.c.producers[transactionalID]
		if known == nil {
			known = &kafka.Producer{ID: int64(len(k.c.producers)), Epoch: -1}
			k.c.producers[transactionalID] = known
		}
		known.Epoch++
		return *known, nil
	})
}

// Produce writes a batch under an epoch.
func (k *Client) Produce(ctx context.Context, tp kafka.TopicPartition, p kafka.Producer, sequence int32, records []kafka.Record) (int64, error) {
	if len(records) == 0 {
		return -1, fmt.Errorf("memlog: a batch without records")
	}
	// A copy that arrives late must not see what the caller does with the memory since.
	sent := make([]kafka.Record, len(records))
	for i := range records {
		sent[i] = clone(&records[i])
	}
	return change(ctx, k, "produce", fmt.Sprintf("%s epoch %d sequence %d", tp, p.Epoch, sequence), func() (int64, error) {
		part, err := k.c.partition(tp)
		if err != nil {
			return -1, err
		}
		return part.produce(p, sequence, sent)
	})
}

// Partitions counts a topic's partitions.
func (k *Client) Partitions(_ context.Context, topic string) (int, error) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if n := len(k.c.topics[topic]); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%w: %s", kafka.ErrUnknownTopic, topic)
}

// Offsets tells where logs begin and end.
func (k *Client) Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error) {
	if _, err := k.enter(ctx, "offsets", fmt.Sprint(tps)); err != nil {
		return nil, err
	}
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	out := map[kafka.TopicPartition]kafka.Range{}
	for _, tp := range tps {
		p, err := k.c.partition(tp)
		if err != nil {
			return nil, err
		}
		out[tp] = kafka.Range{Start: p.start, End: p.next}
	}
	return out, nil
}

// Commit stores a group's offsets under a generation.
func (k *Client) Commit(ctx context.Context, a kafka.Assignment, offsets map[kafka.TopicPartition]kafka.Committed) error {
	offsets = maps.Clone(offsets)
	_, err := change(ctx, k, "commit", fmt.Sprintf("%s generation %d %v", a.Group, a.Generation, offsets), func() (bool, error) {
		g := k.c.groups[a.Group]
		if g == nil || g.generation != a.Generation || g.members[a.Member] == nil {
			return false, fmt.Errorf("%w: %d", kafka.ErrStaleGeneration, a.Generation)
		}
		maps.Copy(g.offsets, offsets)
		for tp, o := range offsets {
			g.reached[tp] = max(g.reached[tp], o.Offset)
		}
		return true, nil
	})
	return err
}

// Committed reads a group's offsets.
func (k *Client) Committed(ctx context.Context, id string, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Committed, error) {
	if _, err := k.enter(ctx, "committed", id); err != nil {
		return nil, err
	}
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	out := map[kafka.TopicPartition]kafka.Committed{}
	for _, tp := range tps {
		out[tp] = kafka.Committed{Offset: -1}
		if g := k.c.groups[id]; g != nil {
			if o, ok := g.offsets[tp]; ok {
				out[tp] = o
			}
		}
	}
	return out, nil
}

// Fetch reads on from each position; it waits for something to read.
func (k *Client) Fetch(ctx context.Context, positions []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error) {
	k.c.spoil(o.Scratch)
	if o.MaxWait == 0 {
		o.MaxWait = 500 * time.Millisecond
	}
	var end <-chan time.Time
	if o.MaxWait > 0 {
		t := time.NewTimer(o.MaxWait)
		defer t.Stop()
		end = t.C
	}
	for {
		k.c.mu.Lock()
		news := k.c.news
		something := k.c.anything(positions)
		k.c.mu.Unlock()
		if something || end == nil {
			v, err := k.enter(ctx, "fetch", fmt.Sprint(positions))
			if err != nil {
				return nil, err
			}
			return k.c.fetch(positions, o, v.Limit), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-news:
		case <-end:
			end = nil
		}
	}
}

// Name is the client's name.
func (k *Client) Name() string { return k.name }
