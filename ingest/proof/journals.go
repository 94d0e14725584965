package proof

import (
	"context"
	"errors"
	"strings"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/ingest/record"
	"holdfast/schemas"
)

// OnKafka tells verify what the journals on a broker still hold. group is the
// recorder's.
func OnKafka(c *kafka.Client, prefix, group string) Journals {
	return &journals{c: c, prefix: prefix, group: group, enc: record.NewEncoder()}
}

type journals struct {
	c             *kafka.Client
	prefix, group string
	enc           *record.Encoder
}

func (j *journals) partition(t schemas.Topic, partition int32) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: j.prefix + string(t), Partition: partition}
}

// Recorded asks the broker; an end of -1 says that there is no such partition.
func (j *journals) Recorded(ctx context.Context, t schemas.Topic, partition int32) (stored, end int64, ok bool) {
	n, err := j.c.Partitions(ctx, j.prefix+string(t))
	if err != nil {
		return 0, 0, false
	}
	if partition < 0 || int(partition) >= n {
		return 0, -1, true
	}
	tp := j.partition(t, partition)
	committed, err := j.c.Committed(ctx, j.group, []kafka.TopicPartition{tp})
	if err != nil {
		return 0, 0, false
	}
	logs, err := j.c.Offsets(ctx, []kafka.TopicPartition{tp})
	if err != nil {
		return 0, 0, false
	}
	stored = max(committed[tp].Offset, 0)
	if to, _, open := strings.Cut(committed[tp].Metadata, "@"); open && to != "" {
		stored = committed[tp].Offset // a range behind it is being inserted
	}
	return stored, logs[tp].End, true
}

// Row reads one record.
func (j *journals) Row(ctx context.Context, t schemas.Topic, partition int32, offset int64) (map[string]string, error) {
	tp := j.partition(t, partition)
	got, err := j.c.Fetch(ctx, []kafka.Position{{TopicPartition: tp, Offset: offset}}, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 1 << 20, PartitionMaxBytes: 1 << 20})
	if err == nil {
		err = got[0].Err
	}
	if err != nil {
		if errors.Is(err, kafka.ErrOffsetOutOfRange) || kafka.Retriable(err) || errors.Is(err, kafka.ErrUnknownTopic) {
			return nil, nil // it cannot tell
		}
		return nil, err
	}
	table, _ := schemas.TableOf(t)
	for i := range got[0].Records {
		if r := &got[0].Records[i]; r.Offset == offset {
			return valuesOf(table, j.enc, partition, r)
		}
	}
	return nil, nil
}

// valuesOf are the columns of a record's row; nil where it has none.
func valuesOf(table schemas.Table, enc *record.Encoder, partition int32, r *kafka.Record) (map[string]string, error) {
	block := clickhouse.NewBlock(table)
	if !enc.Append(block, table.Topic, partition, r) {
		return nil, nil
	}
	return clickhouse.NewCanonical(table).BlockValues(block)
}
