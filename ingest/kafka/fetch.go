package kafka

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"
)

// FetchOptions bounds a Fetch.
type FetchOptions struct {
	// MaxWait is how long to wait while there is nothing to read (default
	// 500 ms; negative: not at all).
	MaxWait time.Duration
	// MaxBytes bounds the answer of each leader (default 16 MiB). A batch that
	// is bigger still comes, alone, so that reading never stands still.
	MaxBytes int
	// PartitionMaxBytes bounds each partition's part (default 8 MiB, four times
	// the largest batch).
	PartitionMaxBytes int
	// ReadCommitted leaves out what aborted transactions wrote and stops before
	// transactions that are still open.
	ReadCommitted bool
	// Scratch, where given, lends its memory to the records; see Scratch.
	Scratch *Scratch
}

func (o *FetchOptions) setDefaults() {
	setDefault(&o.MaxWait, 500*time.Millisecond)
	setDefault(&o.MaxBytes, 16<<20)
	setDefault(&o.PartitionMaxBytes, 8<<20)
	o.MaxWait = max(o.MaxWait, 0)
	o.MaxBytes = min(o.MaxBytes, math.MaxInt32)
	o.PartitionMaxBytes = min(o.PartitionMaxBytes, math.MaxInt32)
}

// Scratch is memory that one reader uses for fetch after fetch. With it,
// records are valid until the next Fetch that is given the same Scratch;
// without, as long as anything refers to them. It serves one Fetch at a time.
type Scratch struct{ arenas map[int32]*arena }

func (s *Scratch) take(broker int32) *arena {
	if s == nil || s.arenas[broker] == nil {
		return new(arena)
	}
	a := s.arenas[broker]
	delete(s.arenas, broker)
	a.reset()
	return a
}

func (s *Scratch) give(broker int32, a *arena) {
	if s.arenas == nil {
		s.arenas = map[int32]*arena{}
	}
	s.arenas[broker] = a
}

// pollApart bounds each wait where several leaders are asked: one with nothing
// new must not hold back what another one has.
const pollApart = 25 * time.Millisecond

// Fetch reads on from each position, with one request to each leader, and
// answers in the order of the positions. It returns as soon as any partition
// has records, moved past what readers never see, or has an error of its own;
// or after MaxWait. The error returned beside is for what touched all. Neither
// is tried again here: ask Retriable, and fetch again from the same position.
//
// The order in which partitions are asked turns with every call, so that each
// gets its share of MaxBytes.
func (c *Client) Fetch(ctx context.Context, positions []Position, o FetchOptions) ([]Fetched, error) {
	o.setDefaults()
	out := make([]Fetched, len(positions))
	end := time.Now().Add(o.MaxWait)
	for {
		groups, err := c.byLeader(ctx, positions, out)
		if err != nil {
			c.refresh(ctx)
			return nil, err
		}
		left := max(time.Until(end), 0)
		if len(groups) > 1 {
			left = min(left, pollApart)
		}
		c.fetchAll(ctx, groups, left, o, positions, out)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if settled(positions, out) || !time.Now().Before(end) {
			break
		}
		if len(groups) == 0 {
			wait(ctx, left)
		}
	}
	c.renewIfMoved(ctx, out)
	return out, nil
}

// settled tells whether there is anything worth returning for.
func settled(positions []Position, out []Fetched) bool {
	for i := range out {
		if out[i].Err != nil || out[i].Next != positions[i].Offset {
			return true
		}
	}
	return false
}

func (c *Client) renewIfMoved(ctx context.Context, out []Fetched) {
	for i := range out {
		if stale(out[i].Err) {
			c.refresh(ctx)
			return
		}
	}
}

// share is what one leader is asked for: indexes into the positions.
type share struct {
	broker int32
	at     []int
}

// byLeader sorts the positions by who leads them and sets each answer to
// nothing new.
func (c *Client) byLeader(ctx context.Context, positions []Position, out []Fetched) ([]share, error) {
	var names []string
	seen := map[string]bool{}
	for _, p := range positions {
		if !seen[p.Topic] {
			seen[p.Topic] = true
			names = append(names, p.Topic)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	topics, err := c.topics(ctx, names)
	if err != nil {
		return nil, err
	}
	var groups []share
	turn := int(c.turn.Add(1))
	for i := range positions {
		i = (i + turn) % len(positions)
		p := positions[i]
		out[i] = Fetched{TopicPartition: p.TopicPartition, Next: p.Offset, HighWatermark: -1, LogStart: -1}
		broker := leader(topics, p.TopicPartition)
		if broker < 0 {
			out[i].Err = fmt.Errorf("kafka: nobody is known to lead %s: %w", p.TopicPartition, kafkago.LeaderNotAvailable)
			continue
		}
		groups = assign(groups, broker, i)
	}
	return groups, nil
}

func assign(groups []share, broker int32, i int) []share {
	for g := range groups {
		if groups[g].broker == broker {
			groups[g].at = append(groups[g].at, i)
			return groups
		}
	}
	return append(groups, share{broker, []int{i}})
}

// fetchAll asks every leader side by side; each fills in its own answers.
func (c *Client) fetchAll(ctx context.Context, groups []share, maxWait time.Duration, o FetchOptions, positions []Position, out []Fetched) {
	arenas := make([]*arena, len(groups))
	var wg sync.WaitGroup
	for g, s := range groups {
		arenas[g] = o.Scratch.take(s.broker)
		ask := func() {
			if err := c.fetchShare(ctx, s, maxWait, o, arenas[g], positions, out); err != nil {
				arenas[g] = nil // a late answer may still be written to it
				for _, i := range s.at {
					out[i].Records, out[i].Next, out[i].Err = nil, positions[i].Offset, err
				}
			}
		}
		if g == len(groups)-1 {
			ask() // the last on this goroutine: most clusters' roles have one leader
			break
		}
		wg.Go(ask)
	}
	wg.Wait()
	if o.Scratch == nil {
		return
	}
	for g, a := range arenas {
		if a != nil {
			o.Scratch.give(groups[g].broker, a)
		}
	}
}

func (c *Client) fetchShare(ctx context.Context, s share, maxWait time.Duration, o FetchOptions, a *arena, positions []Position, out []Fetched) error {
	ctx, cancel := context.WithTimeout(ctx, maxWait+c.cfg.RequestTimeout)
	defer cancel()
	m := &routed{
		req: fetchRequest(s, maxWait, o, positions), broker: s.broker, clientID: c.cfg.ClientID,
		read: func(r io.Reader, version int16) (protocol.Message, error) { return readFetch(r, version, a) },
	}
	res, err := c.transport.RoundTrip(ctx, c.addr, m)
	if err != nil {
		return fmt.Errorf("kafka: fetching from broker %d of %s: %w", s.broker, c, err)
	}
	f := res.(*fetchResponse)
	c.stats.fetches.Add(1)
	c.stats.fetchedBytes.Add(uint64(len(a.wire)))
	err = f.into(s, o.ReadCommitted, positions, out)
	c.stats.fetchedRecords.Add(uint64(len(a.records)))
	return err
}

func fetchRequest(s share, maxWait time.Duration, o FetchOptions, positions []Position) *fetchapi.Request {
	req := &fetchapi.Request{
		ReplicaID: -1, MaxWaitTime: int32(maxWait / time.Millisecond), MinBytes: 1,
		MaxBytes: int32(o.MaxBytes), SessionEpoch: -1,
	}
	if o.ReadCommitted {
		req.IsolationLevel = 1
	}
	at := map[string]int{}
	for _, i := range s.at {
		p := positions[i]
		t, ok := at[p.Topic]
		if !ok {
			t = len(req.Topics)
			at[p.Topic] = t
			req.Topics = append(req.Topics, fetchapi.RequestTopic{Topic: p.Topic})
		}
		req.Topics[t].Partitions = append(req.Topics[t].Partitions, fetchapi.RequestPartition{
			Partition: p.Partition, CurrentLeaderEpoch: -1, FetchOffset: p.Offset, LogStartOffset: -1,
			PartitionMaxBytes: int32(o.PartitionMaxBytes),
		})
	}
	return req
}
