package intake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, kafkatest.IgnoreApache(), goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*conn).run"),
		goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*connPool).discover"))
}

func record(key, value string) kafka.Record {
	return kafka.Record{Key: []byte(key), Value: []byte(value)}
}

func sendAll(t testing.TB, p *intake.Producer, r *intake.Receipt, keys, n int) {
	t.Helper()
	for i := range n {
		for k := range keys {
			if err := p.Send(t.Context(), r, schemas.TopicEvents, record(fmt.Sprintf("account:%d", k), fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkLogs wants each key's records in order, each once, in its own partition.
func checkLogs(t testing.TB, b *intaketest.Broker, keys, n int) {
	t.Helper()
	next := map[string]int{}
	for lane := range b.Lanes {
		for _, r := range b.Log(schemas.TopicEvents, int32(lane)) {
			key := string(r.Key)
			if want := kafka.Partition(r.Key, b.Lanes); want != int32(lane) {
				t.Fatalf("%s stands in partition %d, not %d", key, lane, want)
			}
			if want := fmt.Sprint(next[key]); string(r.Value) != want {
				t.Fatalf("%s: %s stands where %s should", key, r.Value, want)
			}
			next[key]++
		}
	}
	for k := range keys {
		if got := next[fmt.Sprintf("account:%d", k)]; got != n {
			t.Errorf("key %d has %d records, want %d", k, got, n)
		}
	}
}

func TestProducerKeepsOrderAndWritesOnce(t *testing.T) {
	for _, forgetful := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgetful %v", forgetful), func(t *testing.T) { faults(t, forgetful) })
	}
}

// faults writes through a broker of which a third of all requests and a third of
// all answers are lost; a forgetful one loses its memory of producers with them.
func faults(t *testing.T, forgetful bool) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	fault := func() error {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(3) == 0 {
			return fmt.Errorf("the network: %w", io.ErrUnexpectedEOF)
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		b := &intaketest.Broker{Lanes: 5,
			Before: func(kafka.TopicPartition, []kafka.Record) error { return fault() },
			After:  func(kafka.TopicPartition) error { return fault() }}
		if forgetful {
			b.After = func(kafka.TopicPartition) error {
				err := fault()
				if err != nil {
					b.Forget()
				}
				return err
			}
		}
		p := intaketest.Producer(t, b, intake.Config{BatchRecords: 7})
		var r intake.Receipt
		sendAll(t, p, &r, 20, 50)
		if err := r.Wait(t.Context()); err != nil || r.Failed() != 0 {
			t.Fatalf("%d failed: %v", r.Failed(), err)
		}
		checkLogs(t, b, 20, 50)
	})
}

// A broker that knows the producer no longer is answered by a new identity.
func TestProducerTakesANewIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &intaketest.Broker{Lanes: 1}
		p := intaketest.Producer(t, b, intake.Config{})
		var first, second intake.Receipt
		sendAll(t, p, &first, 1, 10)
		if err := first.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Confuse()
		sendAll(t, p, &second, 1, 10)
		if err := second.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, identities := b.Batches(); identities != 2 || len(b.All(schemas.TopicEvents)) != 20 {
			t.Errorf("%d identities wrote %d records, want 2 and 20", identities, len(b.All(schemas.TopicEvents)))
		}
	})
}

func TestProducerTellsWhatIsRefusedForGood(t *testing.T) {
	refused := errors.New("message too large")
	synctest.Test(t, func(t *testing.T) {
		bad := true
		b := &intaketest.Broker{Lanes: 1, Before: func(kafka.TopicPartition, []kafka.Record) error {
			if bad {
				return refused
			}
			return nil
		}}
		p := intaketest.Producer(t, b, intake.Config{})
		var r, after intake.Receipt
		sendAll(t, p, &r, 1, 3)
		if err := r.Wait(t.Context()); !errors.Is(err, refused) || r.Failed() != 3 {
			t.Errorf("%d failed: %v", r.Failed(), err)
		}
		bad = false
		sendAll(t, p, &after, 1, 3)
		if err := after.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &intaketest.Broker{Lanes: 1}
		p := intaketest.Producer(t, b, intake.Config{Linger: 5 * time.Millisecond, BatchRecords: 100})
		began := time.Now()
		var r intake.Receipt
		sendAll(t, p, &r, 1, 99)
		if err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := b.Batches(); n != 1 || time.Since(began) != 5*time.Millisecond {
			t.Errorf("%d batches after %s, want one after 5ms", n, time.Since(began))
		}
		began = time.Now()
		sendAll(t, p, &r, 1, 100)
		if err := r.Wait(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("a full batch waited %s: %v", time.Since(began), err)
		}
	})
}

// While the broker answers nothing, Send takes MaxBytes and then waits.
func TestProducerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		b := &intaketest.Broker{Lanes: 2, Before: func(kafka.TopicPartition, []kafka.Record) error { <-hold; return nil }}
		p := intaketest.Producer(t, b, intake.Config{MaxBytes: 4 << 20})
		var r intake.Receipt
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		big := string(make([]byte, 64<<10))
		taken := 0
		for ; ; taken++ {
			if err := p.Send(ctx, &r, schemas.TopicEvents, record(fmt.Sprint(taken), big)); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				break
			}
		}
		if taken < 60 || taken > 64 {
			t.Errorf("%d records of 64 KiB were taken, want 4 MiB of them", taken)
		}
		if err := r.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("unacknowledged records gave %v", err)
		}
		close(hold)
		if err := r.Wait(t.Context()); err != nil || len(b.All(schemas.TopicEvents)) != taken {
			t.Errorf("%d of %d records stand: %v", len(b.All(schemas.TopicEvents)), taken, err)
		}
	})
}

// Run's end writes what was taken; what cannot be written within the grace
// period is told, and nothing more is taken.
func TestProducerEnds(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("broker away %v", away), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &intaketest.Broker{Lanes: 3, Before: func(kafka.TopicPartition, []kafka.Record) error {
					if away {
						return io.ErrUnexpectedEOF
					}
					return nil
				}}
				p := intake.NewProducer(intake.Config{Grace: 3 * time.Second}, intake.Deps{Broker: b})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { _ = p.Run(ctx); close(done) }()
				var r intake.Receipt
				sendAll(t, p, &r, 10, 10)
				began := time.Now()
				cancel()
				<-done
				if err := r.Wait(t.Context()); (err != nil) != away {
					t.Errorf("the receipt says %v", err)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("ending took %s", took)
				}
				if err := p.Send(t.Context(), &r, schemas.TopicEvents, record("k", "v")); !errors.Is(err, intake.ErrClosed) {
					t.Errorf("after the end, Send gives %v", err)
				}
				if n := len(b.All(schemas.TopicEvents)); !away && n != 100 {
					t.Errorf("%d records stand, want 100", n)
				}
			})
		})
	}
}

func BenchmarkSend(b *testing.B) {
	broker := &intaketest.Broker{Lanes: 8}
	broker.Before = func(kafka.TopicPartition, []kafka.Record) error { return errDropped }
	p := intaketest.Producer(b, broker, intake.Config{})
	records := make([]kafka.Record, 64)
	for i := range records {
		records[i] = record(fmt.Sprintf("account:%d", i), string(make([]byte, 300)))
	}
	var r intake.Receipt
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := p.Send(b.Context(), &r, schemas.TopicEvents, records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
	}
	_ = r.Wait(b.Context())
}

var errDropped = errors.New("dropped by the benchmark")
