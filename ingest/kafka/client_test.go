package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
)

func newClient(t testing.TB, brokers []string, change ...func(*kafka.Config)) *kafka.Client {
	t.Helper()
	cfg := kafka.Config{Brokers: brokers, ClientID: "test"}
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := kafka.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func values(vs ...string) []kafka.Record {
	var records []kafka.Record
	for _, v := range vs {
		records = append(records, kafka.Record{Key: []byte("k"), Value: []byte(v)})
	}
	return records
}

// readAll fetches from the log's start to its end as it is now.
func readAll(t testing.TB, c *kafka.Client, tp kafka.TopicPartition, o kafka.FetchOptions) []kafka.Record {
	t.Helper()
	ctx := timeout(t)
	ends, err := c.Offsets(ctx, []kafka.TopicPartition{tp})
	if err != nil {
		t.Fatal(err)
	}
	var records []kafka.Record
	for next := ends[tp].Start; next < ends[tp].End; {
		got, err := c.Fetch(ctx, []kafka.Position{{TopicPartition: tp, Offset: next}}, o)
		if err != nil || got[0].Err != nil {
			t.Fatal(err, got)
		}
		records = append(records, got[0].Records...)
		next = got[0].Next
	}
	return records
}

func text(records []kafka.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return out
}

func TestRecordsComeBackAsWritten(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		for _, codec := range []compress.Compression{compress.None, kafka.Lz4, kafka.Zstd} {
			c := newClient(t, brokers, func(cfg *kafka.Config) { cfg.Compression, cfg.CompressFrom = codec, 1 })
			tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 2), Partition: 1}
			want := []kafka.Record{
				{Time: 1700000000123, Key: []byte("account:a"), Value: []byte("{}"), Headers: []kafka.Header{{Key: "kind", Value: []byte("event")}, {Key: "id", Value: []byte{}}}},
				{Offset: 1, Time: 1700000000124, Key: []byte{}, Headers: nil},
				{Offset: 2, Time: 1700000000120, Value: []byte{}, Headers: []kafka.Header{{Key: "kind", Value: nil}}},
			}
			if err := c.Write(timeout(t), tp, want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, readAll(t, c, tp, kafka.FetchOptions{})); diff != "" {
				t.Errorf("%s (-written +read)\n%s", codec, diff)
			}
			if s := c.Stats(); s.WrittenRecords != 3 || s.FetchedRecords != 3 || s.Batches != 1 || s.Fetches == 0 || s.FetchedBytes == 0 {
				t.Errorf("counted %+v", s)
			}
		}
	})
}

func TestFetchReadsManyPartitionsAtOnce(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c := newClient(t, brokers)
		a, b := kafkatest.Topic(t, brokers, 8), kafkatest.Topic(t, brokers, 8)
		var positions []kafka.Position
		for p := range int32(8) {
			for _, topic := range []string{a, b} {
				tp := kafka.TopicPartition{Topic: topic, Partition: p}
				positions = append(positions, kafka.Position{TopicPartition: tp})
				if err := c.Write(timeout(t), tp, values(fmt.Sprint(tp, " first"), fmt.Sprint(tp, " second"))); err != nil {
					t.Fatal(err)
				}
			}
		}
		positions[3].Offset = 1
		positions[4].Offset = 99
		// A budget of a few bytes still brings everybody forward in the end.
		scratch, refused := new(kafka.Scratch), false
		for done := 0; done < len(positions)-1 || !refused; {
			got, err := c.Fetch(timeout(t), positions, kafka.FetchOptions{MaxBytes: 200, Scratch: scratch})
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range got {
				if i == 4 {
					if f.Err != nil && !errors.Is(f.Err, kafka.ErrOffsetOutOfRange) || f.Next != 99 {
						t.Fatalf("a position beyond the end gave %v, next %d", f.Err, f.Next)
					}
					refused = refused || f.Err != nil
					continue
				}
				for j, r := range f.Records {
					if want := positions[i].Offset + int64(j); r.Offset != want {
						t.Fatalf("%s: offset %d, want %d", f.TopicPartition, r.Offset, want)
					}
				}
				if positions[i].Offset = f.Next; f.Next == 2 && len(f.Records) > 0 {
					done++
				}
			}
		}
	})
}

func TestFetchWaitsForRecords(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c := newClient(t, brokers)
		tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 1)}
		start := time.Now()
		got, err := c.Fetch(timeout(t), []kafka.Position{{TopicPartition: tp}}, kafka.FetchOptions{MaxWait: 200 * time.Millisecond})
		if waited := time.Since(start); err != nil || got[0].Err != nil || waited < 150*time.Millisecond {
			t.Fatalf("an empty partition answered after %s: %v, %v", waited, got, err)
		}
		if got[0].HighWatermark != 0 || got[0].LogStart != 0 {
			t.Errorf("an empty log runs from %d to %d", got[0].LogStart, got[0].HighWatermark)
		}
		written := make(chan error, 1)
		go func() {
			time.Sleep(100 * time.Millisecond) // let the fetch wait first; a late one only makes the test weaker
			written <- c.Write(context.WithoutCancel(t.Context()), tp, values("x"))
		}()
		start = time.Now()
		got, err = c.Fetch(timeout(t), []kafka.Position{{TopicPartition: tp}}, kafka.FetchOptions{MaxWait: 20 * time.Second})
		if waited := time.Since(start); err != nil || len(got[0].Records) != 1 || waited > 5*time.Second {
			t.Errorf("after %s: %v, %v", waited, got, err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := c.Fetch(ctx, []kafka.Position{{TopicPartition: tp, Offset: 1}}, kafka.FetchOptions{MaxWait: 5 * time.Second}); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled fetch gave %v", err)
		}
	})
}

func TestFetchLeavesOutAbortedRecords(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c := newClient(t, brokers)
		tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 1)}
		writer, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(kafkatest.Name(t)), kgo.DefaultProduceTopic(tp.Topic))
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		ctx := timeout(t)
		transaction := func(end kgo.TransactionEndTry, vs ...string) {
			if err := writer.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, v := range vs {
				if err := writer.ProduceSync(ctx, &kgo.Record{Value: []byte(v)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := writer.EndTransaction(ctx, end); err != nil {
				t.Fatal(err)
			}
		}
		transaction(kgo.TryCommit, "a", "b")
		transaction(kgo.TryAbort, "gone1", "gone2")
		if err := c.Write(ctx, tp, values("plain")); err != nil {
			t.Fatal(err)
		}
		transaction(kgo.TryAbort, "gone3")
		transaction(kgo.TryCommit, "c")
		transaction(kgo.TryAbort, "gone4")
		want := []string{"a", "b", "plain", "c"}
		if diff := cmp.Diff(want, text(readAll(t, c, tp, kafka.FetchOptions{ReadCommitted: true}))); diff != "" {
			t.Errorf("committed (-want +got)\n%s", diff)
		}
		want = []string{"a", "b", "gone1", "gone2", "plain", "gone3", "c", "gone4"}
		if diff := cmp.Diff(want, text(readAll(t, c, tp, kafka.FetchOptions{}))); diff != "" {
			t.Errorf("all (-want +got)\n%s", diff)
		}
		// From within an aborted transaction on.
		got, err := c.Fetch(ctx, []kafka.Position{{TopicPartition: tp, Offset: 4}}, kafka.FetchOptions{ReadCommitted: true})
		if err != nil || got[0].Err != nil || len(got[0].Records) == 0 || string(got[0].Records[0].Value) != "plain" {
			t.Errorf("from offset 4: %+v, %v", got, err)
		}
	})
}

// TestFetchPassesCompactedBatches needs the real broker's cleaner.
func TestFetchPassesCompactedBatches(t *testing.T) {
	brokers := kafkatest.Apache(t)
	c := newClient(t, brokers)
	tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 1, "cleanup.policy", "compact", "segment.ms", "1500", "min.cleanable.dirty.ratio", "0.001")}
	ctx := timeout(t)
	// Many producers with one batch each: the cleaner keeps a producer's last
	// batch, without records, where these were replaced.
	for i := range 12 {
		p, err := c.InitProducer(ctx, kafkatest.Name(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Produce(ctx, tp, p, 0, values(fmt.Sprint("old ", i))); err != nil {
			t.Fatal(err)
		}
	}
	for i, deadline := 0, time.Now().Add(45*time.Second); ; i++ {
		// A write now and then rolls the segment, so that the rest may be cleaned.
		if err := c.Write(ctx, tp, values(fmt.Sprint("new ", i))); err != nil {
			t.Fatal(err)
		}
		records := readAll(t, c, tp, kafka.FetchOptions{MaxWait: time.Second})
		if len(records) <= 3 && records[len(records)-1].Offset >= 12 {
			t.Logf("%d records left behind 12 emptied batches", len(records))
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the broker has not compacted: %q", text(records))
		}
		time.Sleep(700 * time.Millisecond) // the broker's cleaner has no sign to wait on
	}
}

func TestOldEpochsAreFenced(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, ctx := newClient(t, brokers), timeout(t)
		tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 1)}
		id := kafkatest.Name(t)
		before, err := c.InitProducer(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Produce(ctx, tp, before, 0, values("before")); err != nil {
			t.Fatal(err)
		}
		after, err := c.InitProducer(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if after.ID != before.ID || after.Epoch <= before.Epoch {
			t.Fatalf("%+v was followed by %+v", before, after)
		}
		offset, err := c.Produce(ctx, tp, after, 0, values("fence"))
		if err != nil || offset != 1 {
			t.Fatal(offset, err)
		}
		if _, err := c.Produce(ctx, tp, before, 1, values("stale")); !errors.Is(err, kafka.ErrFenced) || kafka.Retriable(err) {
			t.Errorf("a stale write gave %v, want ErrFenced", err)
		}
		if diff := cmp.Diff([]string{"before", "fence"}, text(readAll(t, c, tp, kafka.FetchOptions{}))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestRepeatedBatchesStandOnce(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, ctx := newClient(t, brokers), timeout(t)
		tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 1)}
		p, err := c.InitProducer(ctx, kafkatest.Name(t))
		if err != nil {
			t.Fatal(err)
		}
		sequence := int32(0)
		for i := range 8 {
			for range 2 {
				if _, err := c.Produce(ctx, tp, p, sequence, values(fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))); err != nil {
					t.Fatal(err)
				}
			}
			sequence = kafka.NextSequence(sequence, 2)
		}
		// One that the broker has no place for any more in its list of five.
		if offset, err := c.Produce(ctx, tp, p, 0, values("0a", "0b")); err == nil {
			t.Logf("an old batch again: offset %d", offset)
		} else if !errors.Is(err, kafka.ErrSequence) {
			t.Errorf("an old batch again gave %v", err)
		}
		if _, err := c.Produce(ctx, tp, p, sequence+5, values("gap")); !errors.Is(err, kafka.ErrSequence) || kafka.Retriable(err) {
			t.Errorf("a gap in the sequence gave %v, want ErrSequence", err)
		}
		if got := readAll(t, c, tp, kafka.FetchOptions{}); len(got) != 16 {
			t.Errorf("%d records stand in the log: %q", len(got), text(got))
		}
	})
}

func TestTopics(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, ctx := newClient(t, brokers), timeout(t)
		name, missing := kafkatest.Name(t), kafkatest.Name(t)
		if _, err := c.Partitions(ctx, missing); !errors.Is(err, kafka.ErrUnknownTopic) {
			t.Errorf("the partitions of a missing topic gave %v", err)
		}
		spec := kafka.TopicSpec{Name: name, Partitions: 5, Config: map[string]string{"retention.ms": "-1", "cleanup.policy": "compact"}}
		for range 2 { // creating twice is safe
			if err := c.CreateTopics(ctx, []kafka.TopicSpec{spec}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := c.Partitions(ctx, name); n != 5 || err != nil {
			t.Errorf("%d partitions, %v", n, err)
		}
		found, err := c.DescribeTopics(ctx, []string{name, missing})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		got := found[name]
		if got.Partitions != 5 || got.ReplicationFactor != 1 || got.Config["retention.ms"] != "-1" || got.Config["cleanup.policy"] != "compact" || got.Config["max.message.bytes"] == "" {
			t.Errorf("found %+v", got)
		}
		spec.Name, spec.ReplicationFactor = missing, 99
		if err := c.CreateTopics(ctx, []kafka.TopicSpec{spec}); err == nil || kafka.Retriable(err) {
			t.Errorf("more replicas than brokers gave %v", err)
		}
	})
}

func TestOffsetsOfManyPartitions(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, ctx := newClient(t, brokers), timeout(t)
		topic := kafkatest.Topic(t, brokers, 6)
		want := map[kafka.TopicPartition]kafka.Range{}
		var tps []kafka.TopicPartition
		for p := range int32(6) {
			tp := kafka.TopicPartition{Topic: topic, Partition: p}
			tps, want[tp] = append(tps, tp), kafka.Range{End: int64(p)}
			for range p {
				if err := c.Write(ctx, tp, values("x")); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := c.Offsets(ctx, tps)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	})
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		tp := kafka.TopicPartition{Topic: kafkatest.Topic(t, brokers, 1)}
		before := goleak.IgnoreCurrent()
		c, err := kafka.New(kafka.Config{Brokers: brokers})
		if err != nil {
			t.Fatal(err)
		}
		g, err := c.Join(timeout(t), kafka.GroupConfig{ID: kafkatest.Name(t), Topics: []string{tp.Topic}, Lanes: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Next(timeout(t)); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(timeout(t), tp, values("x")); err != nil {
			t.Fatal(err)
		}
		g.Close()
		c.Close()
		goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"))
	})
}
