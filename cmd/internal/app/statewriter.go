package app

import (
	"context"
	"fmt"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// partitionOf is where an entity's state stands. A trial's values stand beside it.
func partitionOf(topic schemas.Topic, entity string, lanes int) int32 {
	if topic == schemas.TopicStateGate {
		return 0
	}
	return kafka.Partition([]byte(entity), lanes)
}

// stateWriter writes values of projections in batches, under the epochs of the lanes that
// own them: one that was paused and wakes cannot write over them.
type stateWriter struct {
	client  *kafka.Client
	prefix  string
	install schemas.Installation
	batches map[kafka.TopicPartition]*stateBatch
}

type stateBatch struct {
	producer kafka.Producer
	plain    bool // no lane's: status values of new topics
	sequence int32
	records  []kafka.Record
	size     int
}

// batchBytes is when a batch is sent, below the broker's largest message.
const batchBytes = 512 << 10

func newStateWriter(client *kafka.Client, prefix string, in schemas.Installation) *stateWriter {
	return &stateWriter{client: client, prefix: prefix, install: in, batches: map[kafka.TopicPartition]*stateBatch{}}
}

func (w *stateWriter) at(topic schemas.Topic, entity string) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: w.prefix + string(topic), Partition: partitionOf(topic, entity, w.install.Lanes)}
}

// put queues a value; nil deletes.
func (w *stateWriter) put(ctx context.Context, topic schemas.Topic, at kafka.TopicPartition, key string, value []byte) error {
	b := w.batches[at]
	if b == nil {
		b = &stateBatch{}
		w.batches[at] = b
		role, ok := stateRoles[topic]
		if b.plain = !ok; ok {
			var err error
			if b.producer, err = w.client.InitProducer(ctx, fmt.Sprintf("holdfast-%s-%s-%d", w.install.ID, role.Name, at.Partition)); err != nil {
				return err
			}
		}
	}
	rec := kafka.Record{Key: []byte(key), Value: value, Time: time.Now().UnixMilli()}
	if b.plain {
		rec.Headers = []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindStatus)}}
	}
	b.records = append(b.records, rec)
	if b.size += len(key) + len(value) + 64; b.size >= batchBytes {
		return w.send(ctx, at, b)
	}
	return nil
}

func (w *stateWriter) send(ctx context.Context, at kafka.TopicPartition, b *stateBatch) (err error) {
	if len(b.records) == 0 {
		return nil
	}
	if b.plain {
		err = w.client.Write(ctx, at, b.records)
	} else {
		_, err = w.client.Produce(ctx, at, b.producer, b.sequence, b.records)
		b.sequence = kafka.NextSequence(b.sequence, len(b.records))
	}
	b.records, b.size = b.records[:0], 0
	return err
}

// flush writes what is queued.
func (w *stateWriter) flush(ctx context.Context) error {
	for at, b := range w.batches {
		if err := w.send(ctx, at, b); err != nil {
			return err
		}
	}
	return nil
}
