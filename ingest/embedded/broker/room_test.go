package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/kafka"
)

// On a full file system nothing is written: records and commits are refused with
// errors that pass, and what was acknowledged before and after stands at the next
// start.
func TestFullDiskWritesNothing(t *testing.T) {
	dir := clickhousetest.SmallDisk(t, "64")
	topic := kafka.TopicPartition{Topic: "journal"}
	record := []kafka.Record{{Time: time.Now().UnixMilli(), Key: []byte("k"), Value: make([]byte, 1000)}}
	open := func() (*broker.Broker, *kafka.Client) {
		b := broker.New(broker.Config{Dir: dir})
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		c, err := kafka.New(kafka.Config{Brokers: []string{b.Addr()}, RetryFor: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return b, c
	}
	write := func(c *kafka.Client) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return c.Write(ctx, topic, record)
	}
	commit := func(c *kafka.Client, group kafka.Assignment, offset int64) error {
		return c.Commit(t.Context(), group, map[kafka.TopicPartition]kafka.Committed{topic: {Offset: offset, Metadata: fmt.Sprint("at ", offset)}})
	}
	b, c := open()
	if err := c.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: topic.Topic, Partitions: 1, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "-1"}}}); err != nil {
		t.Fatal(err)
	}
	if err := write(c); err != nil {
		t.Fatal(err)
	}
	free := kafka.Assignment{Group: "g", Generation: -1}
	if err := commit(c, free, 1); err != nil {
		t.Fatal(err)
	}
	empty := clickhousetest.Fill(t, dir)
	if err := write(c); !errors.Is(err, kafkago.KafkaStorageError) {
		t.Errorf("a record on a full disk: %v, want KafkaStorageError", err)
	}
	if err := commit(c, free, 2); !kafka.Retriable(err) {
		t.Errorf("a commit on a full disk: %v, want an error that passes", err)
	}
	empty()
	if err := write(c); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := commit(c, free, 3); err != nil {
		t.Errorf("with room again: %v", err)
	}
	c.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, c = open()
	defer func() { c.Close(); _ = b.Close() }()
	at, err := c.Committed(t.Context(), "g", []kafka.TopicPartition{topic})
	if err != nil || at[topic].Offset != 3 {
		t.Errorf("after a restart %+v is committed (%v), want 3", at[topic], err)
	}
	log, err := c.Offsets(t.Context(), []kafka.TopicPartition{topic})
	if err != nil || log[topic].End != 2 {
		t.Errorf("after a restart the log is %+v (%v), want 2 records", log[topic], err)
	}
}
