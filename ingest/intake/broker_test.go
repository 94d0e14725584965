package intake_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// What the fake broker plays holds on real ones: a producer without a
// transactional id, its sequences, and where keys go.
func TestProducerOnRealBrokers(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		client, err := kafka.New(kafka.Config{Brokers: brokers})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		prefix := kafkatest.Name(t) + "."
		const lanes, keys, each = 3, 50, 100
		if err := client.CreateTopics(ctx, []kafka.TopicSpec{{Name: prefix + "events", Partitions: lanes, ReplicationFactor: 1}}); err != nil {
			t.Fatal(err)
		}
		p := intake.NewProducer(intake.Config{Prefix: prefix, BatchRecords: 64}, intake.Deps{Broker: client})
		running, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { _ = p.Run(running); close(done) }()
		var r intake.Receipt
		sendAll(t, p, &r, keys, each)
		if err := r.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
		<-done
		next := map[string]int{}
		for lane := range int32(lanes) {
			at := kafka.Position{TopicPartition: kafka.TopicPartition{Topic: prefix + string(schemas.TopicEvents), Partition: lane}}
			for {
				got, err := client.Fetch(ctx, []kafka.Position{at}, kafka.FetchOptions{})
				if err != nil || got[0].Err != nil {
					t.Fatal(err, got[0].Err)
				}
				for _, rec := range got[0].Records {
					key := string(rec.Key)
					if string(rec.Value) != fmt.Sprint(next[key]) || kafka.Partition(rec.Key, lanes) != lane {
						t.Fatalf("%s in lane %d has %s where %d should stand", key, lane, rec.Value, next[key])
					}
					next[key]++
				}
				if at.Offset = got[0].Next; at.Offset >= got[0].HighWatermark {
					break
				}
			}
		}
		for k := range keys {
			if n := next[fmt.Sprintf("account:%d", k)]; n != each {
				t.Errorf("key %d has %d records, want %d", k, n, each)
			}
		}
	})
}
