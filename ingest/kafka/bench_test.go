package kafka_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
)

// BenchmarkFetch reads event-like records (240 bytes, four headers) from eight
// partitions of each broker, which shares the machine.
func BenchmarkFetch(b *testing.B) {
	for name, brokers := range map[string]func(testing.TB) []string{"embedded": kafkatest.Embedded, "apache": kafkatest.Apache} {
		b.Run(name, func(b *testing.B) { benchFetch(b, brokers(b)) })
	}
}

func benchFetch(b *testing.B, brokers []string) {
	const partitions, batches, batch = 8, 100, 500
	c := newClient(b, brokers)
	topic := kafkatest.Topic(b, brokers, partitions)
	records := make([]kafka.Record, batch)
	for i := range records {
		records[i] = kafka.Record{
			Key: fmt.Appendf(nil, "account:acct-%06d", i), Value: bytes.Repeat([]byte("x"), 240),
			Headers: []kafka.Header{
				{Key: "kind", Value: []byte("event")}, {Key: "id", Value: fmt.Appendf(nil, "evt-%012d", i)},
				{Key: "source", Value: []byte("platform")}, {Key: "origin", Value: []byte("live")},
			},
		}
	}
	positions := make([]kafka.Position, partitions)
	start := time.Now()
	for p := range positions {
		positions[p].TopicPartition = kafka.TopicPartition{Topic: topic, Partition: int32(p)}
		for range batches {
			if err := c.Write(timeout(b), positions[p].TopicPartition, records); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(partitions*batches*batch/time.Since(start).Seconds(), "written/s")
	b.ReportAllocs()
	scratch := new(kafka.Scratch)
	read := 0
	for b.Loop() {
		for p := range positions {
			positions[p].Offset = 0
		}
		for left := partitions * batches * batch; left > 0; {
			got, err := c.Fetch(b.Context(), positions, kafka.FetchOptions{Scratch: scratch})
			if err != nil {
				b.Fatal(err)
			}
			for p, f := range got {
				positions[p].Offset = f.Next
				left -= len(f.Records)
				read += len(f.Records)
			}
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "records/s")
}
