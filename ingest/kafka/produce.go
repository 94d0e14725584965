package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// InitProducer takes the producer identity that belongs to a transactional id
// under a new epoch. The broker refuses batches of the older epochs from a
// partition's first batch of the new one on: write a fence record to each
// partition where a stale write would do harm.
func (c *Client) InitProducer(ctx context.Context, transactionalID string) (Producer, error) {
	req := &kafkago.InitProducerIDRequest{
		TransactionalID: transactionalID, TransactionTimeoutMs: int(time.Minute / time.Millisecond),
		ProducerID: -1, ProducerEpoch: -1,
	}
	p := nobody
	err := c.retry(ctx, func(ctx context.Context) error {
		res, err := c.api.InitProducerID(ctx, req)
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return fmt.Errorf("kafka: taking a new epoch of producer %s: %w", transactionalID, known(err))
		}
		p = Producer{ID: int64(res.Producer.ProducerID), Epoch: int16(res.Producer.ProducerEpoch)}
		return nil
	})
	return p, err
}

// NextSequence is the sequence number after n records from the given one on;
// it goes back to zero behind the greatest.
func NextSequence(base int32, n int) int32 { return int32((int64(base) + int64(n)) & math.MaxInt32) }

// Produce writes records as one batch under a producer's epoch and waits until
// all replicas in sync have it. It returns the first record's offset, or -1 if
// the broker only says that it has the batch already. The sequence counts
// records within a partition and epoch, from 0; a batch written again under the
// same numbers, here or by a repeated call, stands in the log once.
//
// ErrFenced: a newer epoch has written. ErrSequence: a batch before this one is
// missing. Errors that pass by themselves are tried again for Config.RetryFor;
// after such an error (Retriable) the batch may or may not be written: call
// again with the same arguments.
func (c *Client) Produce(ctx context.Context, tp TopicPartition, p Producer, baseSequence int32, records []Record) (int64, error) {
	offset, err := c.write(ctx, tp, p, baseSequence, records)
	if errors.Is(err, kafkago.DuplicateSequenceNumber) {
		return -1, nil
	}
	return offset, err
}

// Write writes records as one batch without a producer identity and waits until
// all replicas in sync have it. A retry inside may double the batch: readers
// know duplicates by their ids.
func (c *Client) Write(ctx context.Context, tp TopicPartition, records []Record) error {
	_, err := c.write(ctx, tp, nobody, -1, records)
	return err
}

func (c *Client) write(ctx context.Context, tp TopicPartition, p Producer, baseSequence int32, records []Record) (int64, error) {
	buf := buffers.Get().(*[]byte)
	batch, err := appendBatch((*buf)[:0], p, baseSequence, records, time.Now().UnixMilli(), c.cfg.Compression, c.cfg.CompressFrom)
	if err != nil {
		return -1, fmt.Errorf("%w (to %s)", err, tp)
	}
	offset := int64(-1)
	clean := true // no request is left that may still read the batch
	err = c.retry(ctx, func(ctx context.Context) error {
		res, err := c.api.RawProduce(ctx, &kafkago.RawProduceRequest{
			Topic: tp.Topic, Partition: int(tp.Partition), RequiredAcks: kafkago.RequireAll,
			RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(batch)},
		})
		clean = clean && err == nil
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return fmt.Errorf("kafka: writing %d records to %s: %w", len(records), tp, known(err))
		}
		offset = res.BaseOffset
		c.stats.batches.Add(1)
		c.stats.writtenBytes.Add(uint64(len(batch)))
		c.stats.writtenRecords.Add(uint64(len(records)))
		return nil
	})
	if clean {
		*buf = batch
		buffers.Put(buf)
	}
	return offset, err
}
