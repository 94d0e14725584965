package intake

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

var nobody = kafka.Producer{ID: -1, Epoch: -1}

// item is one record in the queue, what it occupies, and who waits for it.
type item struct {
	rec     kafka.Record
	receipt *Receipt
	size    int64
}

// partition writes one partition's records in order. It has a producer identity
// of its own, so that a lost one is replaced without asking the others.
type partition struct {
	producer *Producer
	topic    schemas.Topic
	at       kafka.TopicPartition
	id       kafka.Producer
	sequence int32

	end   int64     // the log's, as it was last seen; what is written from now on stands behind it
	ended time.Time // when that was

	wake   chan struct{} // something is queued, or a batch is full
	mu     sync.Mutex
	queue  []item
	bytes  int64
	closed bool
}

// add queues an item, or tells that the writer has ended.
func (w *partition) add(it item) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.queue = append(w.queue, it)
	w.bytes += it.size
	if len(w.queue) == 1 || w.full() {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return true
}

func (w *partition) full() bool {
	return w.bytes >= int64(w.producer.cfg.BatchBytes) || len(w.queue) >= w.producer.cfg.BatchRecords
}

func (w *partition) run() {
	var batch []item
	var records []kafka.Record
	for w.waitFor() {
		batch = w.cut(batch[:0])
		records = records[:0]
		for i := range batch {
			records = append(records, batch[i].rec)
		}
		err := w.write(records)
		for i := range batch {
			w.producer.release(batch[i].size)
			batch[i].receipt.Settle(err)
		}
		clear(batch)
		clear(records)
	}
}

// waitFor returns true when there is a batch to write: full, or lingered over,
// or all there is at the end. It returns false when nothing more will come.
func (w *partition) waitFor() bool {
	var linger <-chan time.Time
	stopping := w.producer.stopping
	for {
		w.mu.Lock()
		n, full := len(w.queue), w.full()
		if stopping == nil && n == 0 {
			w.closed = true
		}
		closed := w.closed
		w.mu.Unlock()
		switch {
		case closed:
			return false
		case full, n > 0 && stopping == nil:
			return true
		case n > 0 && linger == nil:
			linger = time.After(w.producer.cfg.Linger)
		}
		select {
		case <-w.wake:
		case <-linger:
			return true
		case <-stopping:
			stopping = nil
		}
	}
}

// cut takes the first batch off the queue.
func (w *partition) cut(batch []item) []item {
	w.mu.Lock()
	defer w.mu.Unlock()
	var bytes int64
	n := 0
	for n < len(w.queue) && n < w.producer.cfg.BatchRecords {
		if n > 0 && bytes+w.queue[n].size > int64(w.producer.cfg.BatchBytes) {
			break
		}
		bytes += w.queue[n].size
		n++
	}
	batch = append(batch, w.queue[:n]...)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	w.bytes -= bytes
	return batch
}

// write tries one batch until the broker has it, refuses it for good, or the
// grace period is over.
func (w *partition) write(records []kafka.Record) error {
	ctx := w.producer.hard
	doubt := false
	for pause := retryPause; ; pause = min(2*pause, 5*time.Second) {
		err := w.try(records, doubt)
		if err == nil {
			return nil
		}
		lost := errors.Is(err, kafka.ErrFenced) || errors.Is(err, kafka.ErrSequence)
		passing := lost || kafka.Retriable(err)
		if lost || !passing {
			w.id = nobody
		}
		if !passing || ctx.Err() != nil {
			return fmt.Errorf("intake: writing %d records to %s/%d: %w", len(records), w.at.Topic, w.at.Partition, err)
		}
		doubt = true
		w.producer.deps.Metrics.retries.WithLabelValues(string(w.topic)).Inc()
		w.producer.deps.Logger.Warn("writing again", "topic", w.at.Topic, "partition", w.at.Partition, "records", len(records), "error", err)
		wait(ctx, nil, pause)
	}
}

// try writes the batch, unless an earlier try did. The sequence numbers tell that
// to a broker that remembers its producers; one that was killed may not.
func (w *partition) try(records []kafka.Record, doubt bool) error {
	ctx, broker := w.producer.hard, w.producer.deps.Broker
	if err := w.findEnd(doubt); err != nil {
		return err
	}
	if doubt {
		if stands, err := w.stands(records); stands || err != nil {
			return err
		}
	}
	if w.id == nobody {
		id, err := broker.InitProducer(ctx, "")
		if err != nil {
			return err
		}
		w.id, w.sequence = id, 0
	}
	since := time.Now()
	offset, err := broker.Produce(ctx, w.at, w.id, w.sequence, records)
	if err != nil {
		return err
	}
	w.wrote(offset, len(records))
	w.producer.deps.Metrics.wrote(w.topic, since)
	return nil
}

func (w *partition) wrote(offset int64, n int) {
	w.sequence = kafka.NextSequence(w.sequence, n)
	w.ended = time.Now()
	if offset >= 0 {
		w.end = offset + int64(n)
	}
}
