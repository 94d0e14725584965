// Package intaketest is a broker in memory for tests of what brings events in. It
// keeps the promises that a Producer builds on: a batch written again under the
// same producer and sequence stands once, and one that skips a number is refused.
package intaketest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Broker is a broker in memory. Its functions may be set before it is used.
type Broker struct {
	Lanes int // partitions of every topic
	// Before is asked before each batch; its error is answered and nothing is written.
	Before func(tp kafka.TopicPartition, records []kafka.Record) error
	// After is asked after each batch was written; its error is an acknowledgement lost.
	After func(tp kafka.TopicPartition) error

	mu       sync.Mutex
	logs     map[kafka.TopicPartition][]kafka.Record
	next     map[sequence]int32
	ids      int64
	batches  int
	identity int
}

type sequence struct {
	tp kafka.TopicPartition
	p  kafka.Producer
}

// Partitions answers Lanes for every topic.
func (b *Broker) Partitions(context.Context, string) (int, error) { return b.Lanes, nil }

// InitProducer gives a new identity.
func (b *Broker) InitProducer(_ context.Context, transactionalID string) (kafka.Producer, error) {
	if transactionalID != "" {
		return kafka.Producer{}, errors.New("intake needs no transactional id")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids++
	b.identity++
	return kafka.Producer{ID: b.ids}, nil
}

// Produce appends a batch.
func (b *Broker) Produce(ctx context.Context, tp kafka.TopicPartition, p kafka.Producer, base int32, records []kafka.Record) (int64, error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	if b.Before != nil {
		if err := b.Before(tp, records); err != nil {
			return -1, err
		}
	}
	offset, err := b.append(tp, p, base, records)
	if err == nil && b.After != nil {
		err = b.After(tp)
	}
	return offset, err
}

func (b *Broker) append(tp kafka.TopicPartition, p kafka.Producer, base int32, records []kafka.Record) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.logs == nil {
		b.logs, b.next = map[kafka.TopicPartition][]kafka.Record{}, map[sequence]int32{}
	}
	at := sequence{tp, p}
	switch expected, known := b.next[at]; {
	case !known: // any number will do, as on real brokers
	case base < expected && expected != lost:
		return -1, nil // a duplicate
	case base != expected:
		return -1, fmt.Errorf("%w: %d, not %d", kafka.ErrSequence, base, expected)
	}
	b.next[at] = kafka.NextSequence(base, len(records))
	offset := int64(len(b.logs[tp]))
	for i, r := range records {
		r.Offset = offset + int64(i)
		b.logs[tp] = append(b.logs[tp], r)
	}
	b.batches++
	return offset, nil
}

const lost = math.MaxInt32

// Forget loses what is known of every producer, as a broker that was killed does.
func (b *Broker) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.next)
}

// Confuse makes every producer's next sequence number a wrong one.
func (b *Broker) Confuse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at := range b.next {
		b.next[at] = lost
	}
}

// Offsets answers where the logs begin and end.
func (b *Broker) Offsets(_ context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[kafka.TopicPartition]kafka.Range{}
	for _, tp := range tps {
		out[tp] = kafka.Range{End: int64(len(b.logs[tp]))}
	}
	return out, nil
}

// Fetch answers at most 10 records of each partition.
func (b *Broker) Fetch(_ context.Context, positions []kafka.Position, _ kafka.FetchOptions) ([]kafka.Fetched, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []kafka.Fetched
	for _, at := range positions {
		log := b.logs[at.TopicPartition]
		end := min(at.Offset+10, int64(len(log)))
		out = append(out, kafka.Fetched{TopicPartition: at.TopicPartition, Records: slices.Clone(log[at.Offset:end]), Next: end, HighWatermark: int64(len(log))})
	}
	return out, nil
}

// Batches is how many batches were appended, and by how many identities.
func (b *Broker) Batches() (batches, identities int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.batches, b.identity
}

// Log returns one partition's records.
func (b *Broker) Log(topic schemas.Topic, partition int32) []kafka.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.logs[kafka.TopicPartition{Topic: "holdfast." + string(topic), Partition: partition}])
}

// All returns a topic's records, partition by partition.
func (b *Broker) All(topic schemas.Topic) []kafka.Record {
	var all []kafka.Record
	for i := range b.Lanes {
		all = append(all, b.Log(topic, int32(i))...)
	}
	return all
}

// Header returns a record's header, "" where there is none.
func Header(r *kafka.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Producer runs a producer on the broker until the test ends.
func Producer(tb testing.TB, b *Broker, cfg intake.Config) *intake.Producer {
	tb.Helper()
	p := intake.NewProducer(cfg, intake.Deps{Broker: b})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("the producer ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			tb.Error("the producer does not end")
		}
	})
	return p
}
