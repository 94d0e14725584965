package lane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// controlValue is one record of the control topic.
type controlValue struct {
	key   string
	value []byte
}

// controlLog is the control topic as this process has read it, shared by the role's
// lanes. A lane takes what it has not taken yet before each batch; the log is read to
// its end between a batch's arrival and that, so that no event is folded without the
// values that were there before it.
type controlLog struct {
	broker Broker
	at     kafka.TopicPartition

	reading chan struct{} // holds one token while somebody reads
	pos     int64
	scratch kafka.Scratch

	mu     sync.Mutex
	values []controlValue
}

// since gives the values behind the first *taken ones, and counts them as taken.
func (c *controlLog) since(taken *int) []controlValue {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *taken == len(c.values) {
		return nil
	}
	v := c.values[*taken:]
	*taken = len(c.values)
	return v
}

// refresh reads the control topic to its end.
func (c *controlLog) refresh(ctx context.Context) error {
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		got, err := c.broker.Fetch(ctx, []kafka.Position{{TopicPartition: c.at, Offset: c.pos}}, kafka.FetchOptions{MaxWait: -1, Scratch: &c.scratch})
		if err == nil {
			err = got[0].Err
		}
		switch {
		case err != nil && kafka.Retriable(err):
			if !wait(ctx, 50*time.Millisecond) {
				return ctx.Err()
			}
			continue
		case err != nil:
			return fmt.Errorf("lane: reading control: %w", err)
		}
		c.add(got[0].Records)
		c.pos = got[0].Next
		if c.pos >= got[0].HighWatermark {
			return nil
		}
	}
}

func (c *controlLog) add(records []kafka.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range records {
		rec := &records[i]
		if kind := headerOf(rec, schemas.HeaderKind); string(kind) == string(schemas.KindFence) {
			continue
		}
		c.values = append(c.values, controlValue{string(rec.Key), slices.Clone(rec.Value)})
	}
}

func headerOf(rec *kafka.Record, key string) []byte {
	for i := range rec.Headers {
		if rec.Headers[i].Key == key {
			return rec.Headers[i].Value
		}
	}
	return nil
}
