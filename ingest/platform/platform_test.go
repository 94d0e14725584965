package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

func TestMain(m *testing.M) {
	// A poll that was given up leaves its connection to the client's pool, which
	// closes it when it has been idle for a minute.
	goleak.VerifyTestMain(m, kafkatest.IgnoreApache(), goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*conn).run"),
		goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*connPool).discover"))
}

// kept is a Writer that keeps what it is sent and acknowledges it, but for those
// that Refuse names.
type kept struct {
	mu     sync.Mutex
	ids    map[schemas.Topic][]string
	refuse func(id string) error
}

func (k *kept) Send(_ context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := intaketest.Header(&rec, schemas.HeaderID)
	r.Add()
	if k.refuse != nil {
		if err := k.refuse(id); err != nil {
			r.Settle(err)
			return nil
		}
	}
	if k.ids == nil {
		k.ids = map[schemas.Topic][]string{}
	}
	k.ids[topic] = append(k.ids[topic], id)
	r.Settle(nil)
	return nil
}

func (k *kept) count(topic schemas.Topic) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.ids[topic])
}

// start runs the consumers until the returned function is called.
func start(t *testing.T, brokers []string, cfg Config, w Writer) (stop func()) {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: brokers})
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	p := New(cfg, Deps{Source: client, Writer: w, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	go func() { done <- p.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		client.Close()
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 40 s", what)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}

func login(id int) string {
	return fmt.Sprintf(`{"uid":"e%d","acct":"a%d","user":"u","ip":"192.0.2.1","ok":"y","ts":%d}`, id, id%7, time.Now().Unix())
}

func mapped(topic string) Topic {
	return Topic{Topic: topic, Type: schemas.TypeLogin, Time: Unix,
		Fields: map[string]string{"uid": "id", "acct": "account", "ts": "time", "ok": "outcome"},
		Values: map[string]map[string]string{"outcome": {"y": "success", "n": "failure"}}}
}

// writeTransactions writes n logins in transactions; each second one is aborted,
// and its records must never be seen.
func writeTransactions(t *testing.T, brokers []string, topic string, from, n int) {
	t.Helper()
	w, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(kafkatest.Name(t)), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func(end kgo.TransactionEndTry, values ...string) {
		if err := w.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			w.Produce(t.Context(), kgo.StringRecord(v), nil)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	for i := from; i < from+n; i += 10 {
		var values, gone []string
		for j := i; j < i+10; j++ {
			values, gone = append(values, login(j)), append(gone, login(j+1_000_000))
		}
		write(kgo.TryAbort, gone...)
		write(kgo.TryCommit, values...)
	}
}

func TestConsumesTransactionsOnceAndGoesOn(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		topic := kafkatest.Topic(t, brokers, 3)
		cfg := Config{Group: kafkatest.Name(t), Topics: []Topic{mapped(topic)}}
		writeTransactions(t, brokers, topic, 0, 100)
		w := &kept{}
		stop := start(t, brokers, cfg, w)
		defer stop()
		eventually(t, "the first hundred", func() bool { return w.count(schemas.TopicEvents) >= 100 })
		stop()
		writeTransactions(t, brokers, topic, 100, 50)
		again := start(t, brokers, cfg, w)
		defer again()
		eventually(t, "what came while nobody read", func() bool { return w.count(schemas.TopicEvents) >= 150 })
		again()
		ids := w.ids[schemas.TopicEvents]
		slices.Sort(ids)
		if got := slices.Compact(slices.Clone(ids)); len(ids) != 150 || len(got) != 150 || slices.Contains(ids, "e1000000") {
			t.Errorf("%d events, %d of them different, want 150: %v", len(ids), len(got), ids)
		}
	})
}

func writePlain(t *testing.T, brokers []string, topic string, values ...string) {
	t.Helper()
	w, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, v := range values {
		rec := kgo.StringRecord(v)
		if v == "" {
			rec.Value = nil
		}
		if err := w.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPoisonIsKeptAndPassed(t *testing.T) {
	brokers := kafkatest.Embedded(t)
	topic := kafkatest.Topic(t, brokers, 1)
	writePlain(t, brokers, topic, login(1), "{", "", `{"uid":"x"}`, "\xff", login(2))
	w := &kept{}
	stop := start(t, brokers, Config{Group: kafkatest.Name(t), Topics: []Topic{mapped(topic)}}, w)
	defer stop()
	eventually(t, "both good records", func() bool { return w.count(schemas.TopicEvents) == 2 })
	stop()
	if n := w.count(schemas.TopicRejected); n != 3 {
		t.Errorf("%d records are rejected, want 3", n)
	}
}

// What was not acknowledged is not committed: it is read again, with the same id.
func TestUnacknowledgedIsReadAgain(t *testing.T) {
	brokers := kafkatest.Embedded(t)
	topic := kafkatest.Topic(t, brokers, 1)
	cfg := Config{Group: kafkatest.Name(t), Topics: []Topic{mapped(topic)}}
	cfg.Topics[0].Fields = map[string]string{"acct": "account", "ts": "time", "ok": "outcome"} // ids from the position
	writePlain(t, brokers, topic, login(1), login(2), login(3))
	var seen []string
	failures := 0
	w := &kept{}
	w.refuse = func(id string) error {
		if seen = append(seen, id); len(seen) <= 3 {
			failures++
			return errors.New("the broker is away")
		}
		return nil
	}
	stop := start(t, brokers, cfg, w)
	defer stop()
	eventually(t, "all three", func() bool { return w.count(schemas.TopicEvents) == 3 })
	stop()
	if failures == 0 || !slices.Equal(w.ids[schemas.TopicEvents], seen[:3]) {
		t.Errorf("after %d failures %v was written, first seen were %v", failures, w.ids[schemas.TopicEvents], seen[:3])
	}
}

// Records that the broker deleted before they were read are a gap.
func TestDeletedRecordsAreAGap(t *testing.T) {
	w := &kept{}
	tp := kafka.TopicPartition{Topic: "t"}
	c := New(Config{}, Deps{Source: &shortened{start: 2, end: 3}, Writer: w}).consumer(&Topic{Topic: "t"})
	var r intake.Receipt
	for _, from := range []struct{ offset, next int64 }{{0, 2}, {9, 2}, {3, 3}} {
		next, err := c.missed(t.Context(), &r, kafka.Position{TopicPartition: tp, Offset: from.offset})
		if err != nil || next != from.next {
			t.Errorf("from %d reading goes on at %d, want %d: %v", from.offset, next, from.next, err)
		}
	}
	if n := w.count(schemas.TopicGaps); n != 2 {
		t.Errorf("%d gaps, want 2", n)
	}
}

// shortened is a log whose beginning is gone.
type shortened struct {
	Source
	start, end int64
}

func (s *shortened) Offsets(_ context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error) {
	return map[kafka.TopicPartition]kafka.Range{tps[0]: {Start: s.start, End: s.end}}, nil
}
