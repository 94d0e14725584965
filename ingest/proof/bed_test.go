package proof

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/ingest/record"
	"holdfast/schemas"
)

const testLanes = 2

// bed is a broker with the journals made, a store with its tables, a recorder and a
// prover whose rounds the test runs.
type bed struct {
	t      *testing.T
	prefix string
	store  *clickhouse.Client
	client *kafka.Client
	keys   *Keys
	dir    string
	kept   string // where checkpoints are sent
	prover *Prover
	want   map[string]uint64 // rows
	ends   map[string]uint64 // offsets
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t, prefix: kafkatest.Name(t) + ".", dir: t.TempDir(), kept: t.TempDir(), want: map[string]uint64{}, ends: map[string]uint64{}}
	var err error
	if b.store, err = clickhouse.Open(clickhouse.Config{Addrs: []string{clickhousetest.Start(t)}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	if _, err := clickhouse.Migrate(t.Context(), b.store, clickhouse.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	if b.client, err = kafka.New(kafka.Config{Brokers: kafkatest.Embedded(t)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	specs := []kafka.TopicSpec{{Name: b.prefix + string(schemas.TopicProof), Partitions: 1, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "-1"}}}
	for _, table := range schemas.Tables() {
		specs = append(specs, kafka.TopicSpec{Name: b.prefix + string(table.Topic), Partitions: testLanes, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "-1"}})
	}
	if err := b.client.CreateTopics(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	if b.keys, err = EnsureKeys(filepath.Join(t.TempDir(), "key"), "holdfast/test"); err != nil {
		t.Fatal(err)
	}
	b.prover = b.newProver("log1")
	return b
}

func (b *bed) newProver(logID string) *Prover {
	b.t.Helper()
	p, err := New(Config{Prefix: b.prefix, Lanes: testLanes, LogID: logID, Dir: b.dir, Every: time.Second, Slack: time.Millisecond},
		Deps{Broker: b.client, Store: b.store, Keys: b.keys, Targets: []Target{Folder{b.kept}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// recordUntil records until the function that it returns is called.
func (b *bed) recordUntil() (stop func()) {
	b.t.Helper()
	r, err := record.New(record.Config{Prefix: b.prefix, Lanes: testLanes, LogID: "log1", MinAge: 50 * time.Millisecond, Grace: time.Second, CheckAfter: 50 * time.Millisecond, CheckEvery: 200 * time.Millisecond},
		record.Deps{Broker: record.OnKafka(b.client), Store: record.OnClickHouse(b.store)})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

func (b *bed) write(topic schemas.Topic, partition int32, records ...kafka.Record) {
	b.t.Helper()
	if err := b.client.Write(b.t.Context(), kafka.TopicPartition{Topic: b.prefix + string(topic), Partition: partition}, records); err != nil {
		b.t.Fatal(err)
	}
	b.ends[string(topic)] += uint64(len(records))
	for _, r := range records {
		if len(r.Value) > 0 { // a fence has no row
			b.want[string(topic)]++
		}
	}
}

// recorded waits until the store has every record that was written.
func (b *bed) recorded() {
	b.t.Helper()
	for table, want := range b.want {
		b.until(fmt.Sprintf("%s has not %d rows", table, want), func() bool {
			var n uint64
			return b.store.QueryRow(b.t.Context(), "SELECT count() FROM "+table).Scan(&n) == nil && n >= want
		})
	}
}

func (b *bed) until(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal(what)
		}
	}
}

// prove runs rounds until all that was written is covered.
func (b *bed) prove() {
	b.t.Helper()
	b.until("the log of proof does not cover what was written", func() bool {
		if err := b.prover.Round(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		for topic, want := range b.ends {
			var n uint64
			for lane := range int32(testLanes) {
				n += uint64(b.prover.tree.Fold().Of(schemas.Topic(topic), lane).To)
			}
			if n < want {
				return false
			}
		}
		return true
	})
}

func eventOf(id, account string, i int) kafka.Record {
	return kafka.Record{
		Time: time.Now().UnixMilli(), Key: []byte("account:" + account),
		Value: fmt.Appendf(nil, `{"id":%q,"type":"send","time":"2026-03-02T00:00:08.350Z","account":%q,"ip":"192.0.2.%d","recipients":["u%d@example.net"],"size":%d,"test":%v}`, id, account, i%200, i, i*100, i%2 == 0),
		Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderID, Value: []byte(id)}, {Key: schemas.HeaderSource, Value: []byte("test")},
			{Key: schemas.HeaderOrigin, Value: []byte("live")}, {Key: schemas.HeaderNetwork, Value: []byte("c=DE;a=3320")},
		},
	}
}

func findingOf(kind schemas.Kind, id, account, more string) kafka.Record {
	return kafka.Record{
		Time: time.Now().UnixMilli(), Key: []byte("account:" + account),
		Value:   fmt.Appendf(nil, `{"id":%q,"time":"2026-03-02T00:00:00Z","entity":{"kind":"account","id":%q},"account":%q%s}`, id, account, account, more),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(kind)}, {Key: schemas.HeaderID, Value: []byte(id)}},
	}
}

var fence = kafka.Record{Time: time.Now().UnixMilli(), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindFence)}}}

// story writes some records to every journal.
func (b *bed) story(events int) {
	b.t.Helper()
	for i := range events {
		account := fmt.Sprint("acct-", i%7)
		b.write(schemas.TopicEvents, int32(i%testLanes), eventOf(fmt.Sprint("ev", i), account, i))
	}
	for i, x := range []struct {
		topic schemas.Topic
		kind  schemas.Kind
		more  string
	}{
		{schemas.TopicInbox, schemas.KindSignal, `,"detector":"volume","score":0.5,"level":2`},
		{schemas.TopicDecisions, schemas.KindDecision, `,"verdict":"suspend","score":0.9,"shares":[0.25,0.75],"signals":["s1"]`},
		{schemas.TopicActions, schemas.KindAction, `,"outcome":"done","attempts":1`},
		{schemas.TopicNotices, schemas.KindNotice, `,"channel":"smtp","to":"a@example.net"`},
		{schemas.TopicCases, schemas.KindCase, `,"state":"open","episode":1`},
		{schemas.TopicOperator, schemas.KindOperator, `,"actor":"ada","act":"suspend","why":"phish"`},
		{schemas.TopicGaps, schemas.KindGap, `,"topic":"events","partition":1,"from":1,"to":2`},
		{schemas.TopicRejected, schemas.KindRejected, `,"topic":"http","offset":3`},
	} {
		for k := range 4 {
			b.write(x.topic, int32(k%testLanes), findingOf(x.kind, fmt.Sprintf("%s-%d-%d", x.kind, i, k), fmt.Sprint("acct-", k), x.more))
		}
	}
}
