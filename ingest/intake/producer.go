package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// ErrClosed says that the producer has stopped and takes nothing more.
var ErrClosed = errors.New("intake: the producer has stopped")

// Broker is what a Producer needs of *kafka.Client. Give it a client of its own
// with a RetryFor of 1 ms: the Producer tries again itself, after it has looked
// whether the batch stands already, which a retry inside the client would skip.
type Broker interface {
	Partitions(ctx context.Context, topic string) (int, error)
	InitProducer(ctx context.Context, transactionalID string) (kafka.Producer, error)
	Produce(ctx context.Context, tp kafka.TopicPartition, p kafka.Producer, baseSequence int32, records []kafka.Record) (int64, error)
	Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error)
	Fetch(ctx context.Context, positions []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error)
}

// Config bounds a Producer. Zero values take the defaults.
type Config struct {
	Prefix       string        // of topic names on the broker; default "holdfast."
	Linger       time.Duration // how long a record waits for company; default 5 ms
	BatchBytes   int           // default 1 MiB: with one record beyond it, still below max.message.bytes
	BatchRecords int           // default 10,000
	MaxBytes     int64         // unacknowledged in all; default 64 MiB
	Grace        time.Duration // for what is unwritten when Run is told to stop; default 5 s
}

func (c *Config) setDefaults() {
	setDefault(&c.Prefix, "holdfast.")
	setDefault(&c.Linger, 5*time.Millisecond)
	setDefault(&c.BatchBytes, 1<<20)
	setDefault(&c.BatchRecords, 10_000)
	setDefault(&c.MaxBytes, 64<<20)
	setDefault(&c.Grace, 5*time.Second)
	c.MaxBytes = max(c.MaxBytes, schemas.MaxMessageBytes)
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Deps are a Producer's surroundings. Logger and Metrics may be nil.
type Deps struct {
	Broker  Broker
	Logger  *slog.Logger
	Metrics *Metrics
}

// Producer writes records in batches, one batch in flight for each partition, so
// that records of one key stay in the order in which they were sent.
type Producer struct {
	cfg  Config
	deps Deps
	room *semaphore.Weighted

	begun    chan struct{} // closed by Run
	stopping chan struct{} // closed when Run is told to stop

	mu      sync.Mutex
	topics  map[schemas.Topic][]*partition
	workers sync.WaitGroup
	hard    context.Context // ends when the grace period does
}

// NewProducer returns a producer that does nothing before Run.
func NewProducer(cfg Config, deps Deps) *Producer {
	cfg.setDefaults()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = NewMetrics(nil)
	}
	return &Producer{
		cfg: cfg, deps: deps, room: semaphore.NewWeighted(cfg.MaxBytes),
		begun: make(chan struct{}), stopping: make(chan struct{}),
		topics: make(map[schemas.Topic][]*partition),
	}
}

// Run writes what Send takes until ctx ends; then it takes nothing more, writes
// what it has within the grace period, and returns when every receipt is settled.
func (p *Producer) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	p.hard = hard
	close(p.begun)
	<-ctx.Done()
	p.mu.Lock()
	close(p.stopping)
	p.mu.Unlock()
	grace := time.AfterFunc(p.cfg.Grace, cancel)
	defer grace.Stop()
	p.workers.Wait()
	return nil
}

// Send hands one record over and returns; r is settled when it is acknowledged.
// It waits while the producer has no room, or does not run yet. An error means
// that the record was not taken and the receipt knows nothing of it.
func (p *Producer) Send(ctx context.Context, r *Receipt, topic schemas.Topic, rec kafka.Record) error {
	parts, err := p.partitions(ctx, topic)
	if err != nil {
		return err
	}
	size := sizeOf(&rec)
	if err := p.room.Acquire(ctx, size); err != nil {
		return fmt.Errorf("intake: waiting for room: the broker takes records slower than they come: %w", err)
	}
	p.deps.Metrics.buffered.Add(float64(size))
	r.Add()
	if !parts[kafka.Partition(rec.Key, len(parts))].add(item{rec, r, size}) {
		p.release(size)
		r.Settle(nil)
		return ErrClosed
	}
	return nil
}

func (p *Producer) release(size int64) {
	p.room.Release(size)
	p.deps.Metrics.buffered.Sub(float64(size))
}

// partitions returns the topic's writers, and starts them at the first call.
func (p *Producer) partitions(ctx context.Context, topic schemas.Topic) ([]*partition, error) {
	select {
	case <-p.begun:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	parts := p.topics[topic]
	p.mu.Unlock()
	if parts != nil {
		return parts, nil
	}
	name := p.cfg.Prefix + string(topic)
	for {
		n, err := p.deps.Broker.Partitions(ctx, name)
		if err == nil {
			return p.start(topic, name, n)
		}
		if !kafka.Retriable(err) || errors.Is(err, kafka.ErrUnknownTopic) || !wait(ctx, p.stopping, retryPause) {
			return nil, fmt.Errorf("intake: cannot learn the partitions of %s: %w", name, err)
		}
	}
}

const retryPause = 50 * time.Millisecond

// wait pauses and reports false when there is no point in trying again.
func wait(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-stop:
	}
	return false
}

func (p *Producer) start(topic schemas.Topic, name string, n int) ([]*partition, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stopping:
		return nil, ErrClosed
	default:
	}
	if parts := p.topics[topic]; parts != nil {
		return parts, nil
	}
	parts := make([]*partition, n)
	for i := range parts {
		parts[i] = &partition{
			producer: p, topic: topic, at: kafka.TopicPartition{Topic: name, Partition: int32(i)},
			id: nobody, end: -1, wake: make(chan struct{}, 1),
		}
		p.workers.Go(parts[i].run)
	}
	p.topics[topic] = parts
	return parts, nil
}

// sizeOf estimates what a record occupies until it is acknowledged.
func sizeOf(r *kafka.Record) int64 {
	n := 200 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}
