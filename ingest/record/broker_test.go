package record

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"holdfast/ingest/clickhouse"
	embedded "holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/history"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

const testLanes = 4

// bed is a broker with the journals made, and a store.
type bed struct {
	t       *testing.T
	brokers []string
	prefix  string
	engine  *embedded.Supervisor
	store   *clickhouse.Client
	client  *kafka.Client
}

func newBed(t *testing.T, brokers []string) *bed { return newBedOn(t, brokers, t.TempDir()) }

// newBedOn keeps the engine's data in a folder.
func newBedOn(t *testing.T, brokers []string, dir string) *bed {
	b := &bed{t: t, brokers: brokers, prefix: kafkatest.Name(t) + "."}
	b.engine = clickhousetest.Supervise(t, embedded.Config{Dir: dir})
	b.store = connect(t, b.engine.Addr())
	b.client = b.connect()
	var specs []kafka.TopicSpec
	for _, table := range schemas.Tables() {
		specs = append(specs, kafka.TopicSpec{Name: b.prefix + string(table.Topic), Partitions: testLanes, ReplicationFactor: 1,
			Config: map[string]string{"retention.ms": "-1"}})
	}
	if err := b.client.CreateTopics(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) connect() *kafka.Client {
	c, err := kafka.New(kafka.Config{Brokers: b.brokers})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// record starts a recorder and returns what ends it.
func (b *bed) record() (stop func()) {
	b.t.Helper()
	r, err := New(Config{Prefix: b.prefix, Lanes: testLanes, LogID: "log1", MinAge: 100 * time.Millisecond, MaxRows: 2000, Grace: time.Second},
		Deps{Broker: OnKafka(b.connect()), Store: OnClickHouse(b.store)})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	ended := false
	stop = func() {
		if !ended {
			ended = true
			cancel()
			if err := <-done; err != nil {
				b.t.Error(err)
			}
		}
	}
	b.t.Cleanup(stop)
	return stop
}

func (b *bed) write(topic schemas.Topic, partition int32, records []kafka.Record) {
	b.t.Helper()
	if err := b.client.Write(b.t.Context(), kafka.TopicPartition{Topic: b.prefix + string(topic), Partition: partition}, records); err != nil {
		b.t.Fatal(err)
	}
}

func eventRecords(lane int32, from, n int) []kafka.Record {
	var out []kafka.Record
	for i := from; i < from+n; i++ {
		id := fmt.Sprintf("e%d-%d", lane, i)
		account := fmt.Sprint("acct-", i%50)
		out = append(out, kafka.Record{
			Time: time.Now().UnixMilli(), Key: []byte("account:" + account),
			Value:   fmt.Appendf(nil, `{"id":%q,"type":"send","time":"2026-03-02T00:00:08.350Z","account":%q,"ip":"192.0.2.%d","recipients":["u%d@example.net"]}`, id, account, i%200, i),
			Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderID, Value: []byte(id)}, {Key: schemas.HeaderSource, Value: []byte("test")}, {Key: schemas.HeaderOrigin, Value: []byte("live")}},
		})
	}
	return out
}

// counts waits until the store has what is wanted and looks once more later.
func (b *bed) counts(want map[string]uint64) {
	b.t.Helper()
	b.countsWithin(90*time.Second, want)
}

func (b *bed) countsWithin(patience time.Duration, want map[string]uint64) {
	b.t.Helper()
	h := history.New(b.store)
	deadline := time.Now().Add(patience)
	for {
		got := map[string]history.Count{}
		counts, err := h.Counts(b.t.Context())
		whole := err == nil
		for _, c := range counts {
			got[c.Table] = c
			whole = whole && c.Positions >= want[c.Table]
		}
		if whole {
			for name, n := range want {
				if c := got[name]; c.Rows != n || c.Positions != n {
					b.t.Errorf("%s: %d rows, %d positions, want %d", name, c.Rows, c.Positions, n)
				}
			}
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("after %v the store has %+v (%v), want %v", patience, counts, err, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// The recorder on real brokers and a real engine: two members, one of which
// leaves, while the engine is killed again and again.
func TestRecordsEveryJournalOnce(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		b := newBed(t, brokers)
		stop := b.record()
		want := map[string]uint64{}
		for i, v := range []string{"inbox", "decisions", "actions", "notices", "cases", "operator", "gaps", "rejected"} {
			for kind := range findingValues()[schemas.Topic(v)] {
				r := decisionRecord(i, time.Now())
				r.Headers[0].Value = []byte(kind)
				b.write(schemas.Topic(v), int32(i%testLanes), []kafka.Record{r})
				want[v]++
			}
		}
		const rounds, each = 12, 500
		for round := range rounds {
			for lane := range int32(testLanes) {
				b.write(schemas.TopicEvents, lane, eventRecords(lane, round*each, each))
			}
			switch round % 4 {
			case 1:
				if pid := b.engine.PID(); pid > 0 {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			case 2:
				fence := kafka.Record{Time: time.Now().UnixMilli(), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindFence)}}}
				b.write(schemas.TopicEvents, 0, []kafka.Record{fence, {Time: time.Now().UnixMilli(), Value: []byte("{broken")}})
			}
			switch round {
			case 4:
				stopFirst := stop
				stop = b.record()
				defer stopFirst()
			case 8:
				stop()
			}
			time.Sleep(300 * time.Millisecond)
		}
		want["events"] = rounds * each * testLanes
		b.counts(want)
	})
}

// A row that the engine itself refuses, with the twin that has the same rule.
func TestEngineRefusesARow(t *testing.T) {
	b := newBed(t, kafkatest.Embedded(t))
	for _, sql := range []string{
		"ALTER TABLE events ADD CONSTRAINT not7 CHECK id != 'e0-7'",
		"DROP TABLE events_twin", "CREATE TABLE events_twin AS events ENGINE = Null",
	} {
		if err := b.store.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	b.write(schemas.TopicEvents, 0, eventRecords(0, 0, 100))
	b.record()
	b.counts(map[string]uint64{"events": 99, "rejected": 1})
	var detail string
	if err := b.store.QueryRow(t.Context(), "SELECT detail FROM rejected WHERE rejected_topic = 'events' AND rejected_offset = 7 AND reason = 'refused_by_store'").Scan(&detail); err != nil {
		t.Error(err)
	}
	t.Log(detail)
}
