package lane_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// installation is a set of topics on a real broker and what was written to them.
type installation struct {
	t       testing.TB
	brokers []string
	prefix  string
	client  *kafka.Client
	lanes   int
	counts  map[string]uint64
	written int
}

func install(t testing.TB, brokers []string, lanes int, settings map[string]string) *installation {
	t.Helper()
	client := clientOf(t, brokers)
	i := &installation{t: t, brokers: brokers, prefix: kafkatest.Name(t) + ".", client: client, lanes: lanes, counts: map[string]uint64{}}
	var specs []kafka.TopicSpec
	for _, topic := range schemas.Topics() {
		s := kafka.TopicSpec{Name: i.prefix + string(topic.Topic), Partitions: lanes, ReplicationFactor: 1, Config: map[string]string{}}
		if topic.Single {
			s.Partitions = 1
		}
		if topic.Compacted {
			s.Config["cleanup.policy"] = "compact"
			for k, v := range settings {
				s.Config[k] = v
			}
		}
		specs = append(specs, s)
	}
	if err := client.CreateTopics(within(t), specs); err != nil {
		t.Fatal(err)
	}
	return i
}

func clientOf(t testing.TB, brokers []string) *kafka.Client {
	client, err := kafka.New(kafka.Config{Brokers: brokers, ClientID: "lane-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (i *installation) at(t schemas.Topic, p int) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: i.prefix + string(t), Partition: int32(p)}
}

func laneConfig(prefix string, lanes int) lane.Config {
	return lane.Config{
		Role: lane.Detect(), Lanes: lanes, Prefix: prefix, Producer: strings.TrimSuffix(prefix, "."),
		Commit: 200 * time.Millisecond, SaveTick: 50 * time.Millisecond, SaveAfter: time.Second,
		SessionTimeout: 6 * time.Second, Heartbeat: 200 * time.Millisecond,
	}
}

// begin starts a runner and gives what stops it.
func (i *installation) begin(change ...func(*lane.Config)) (r *lane.Runner, stop func()) {
	i.t.Helper()
	cfg := laneConfig(i.prefix, i.lanes)
	for _, f := range change {
		f(&cfg)
	}
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("LANE_TRACE") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	r, err := lane.New(cfg, lane.Deps{
		Broker: lane.OnKafka(clientOf(i.t, i.brokers)), NewFold: func(int32) lane.Fold { return newCountFold() }, Logger: logger,
	})
	if err != nil {
		i.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			i.t.Errorf("the runner ended with: %v", err)
		}
	}
	i.t.Cleanup(stop)
	return r, stop
}

// write lets events of some entities happen, n in all, and every tenth of them twice.
func (i *installation) write(n int) {
	i.t.Helper()
	batches := make([][]kafka.Record, i.lanes)
	for range n {
		i.written++
		key := fmt.Sprintf("account:%d", i.written*i.written%37)
		rec := kafka.Record{Key: []byte(key), Value: []byte("x"), Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}, {Key: schemas.HeaderID, Value: fmt.Appendf(nil, "e%d", i.written)},
		}}
		p := kafka.Partition(rec.Key, i.lanes)
		batches[p] = append(batches[p], rec)
		if i.written%10 == 0 {
			batches[p] = append(batches[p], rec)
		}
		i.counts[key]++
	}
	for p, records := range batches {
		if len(records) > 0 {
			if err := i.client.Write(within(i.t), i.at(schemas.TopicEvents, p), records); err != nil {
				i.t.Fatal(err)
			}
		}
	}
}

// settle waits until all that is written is folded, saved and committed.
func (i *installation) settle() {
	i.t.Helper()
	i.until("all is committed", func() bool {
		var tps []kafka.TopicPartition
		for p := range i.lanes {
			tps = append(tps, i.at(schemas.TopicEvents, p), i.at(schemas.TopicFacts, p))
		}
		ends, err := i.client.Offsets(within(i.t), tps)
		if err != nil {
			i.t.Fatal(err)
		}
		done, err := i.client.Committed(within(i.t), i.prefix+"detect", tps)
		if err != nil {
			// The embedded broker knows no group that nobody has joined yet.
			i.t.Log(err)
			return false
		}
		for _, tp := range tps {
			if ends[tp].End != max(done[tp].Offset, 0) {
				return false
			}
		}
		return true
	})
}

func (i *installation) until(what string, done func() bool) {
	i.t.Helper()
	for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			i.t.Fatalf("after a minute still not: %s", what)
		}
	}
}

// read reads a partition whole.
func (i *installation) read(tp kafka.TopicPartition) (out []kafka.Record) {
	i.t.Helper()
	ends, err := i.client.Offsets(within(i.t), []kafka.TopicPartition{tp})
	if err != nil {
		i.t.Fatal(err)
	}
	for from := ends[tp].Start; from < ends[tp].End; {
		got, err := i.client.Fetch(within(i.t), []kafka.Position{{TopicPartition: tp, Offset: from}}, kafka.FetchOptions{})
		if err == nil {
			err = got[0].Err
		}
		if err != nil {
			i.t.Fatal(err)
		}
		out = append(out, got[0].Records...)
		from = got[0].Next
	}
	return out
}

// check compares signals and saved state with what the events must give.
func (i *installation) check() {
	i.t.Helper()
	want, tellers := map[string]bool{}, map[string][]string{}
	for key, n := range i.counts {
		for k := uint64(1); k <= n; k++ {
			want[signalID(key, k)] = true
			if k%4 == 0 {
				a := address(key, k)
				tellers[a] = append(tellers[a], fmt.Sprintf("%s %d", key, k))
			}
		}
	}
	got, last := map[string]bool{}, newCountFold()
	for p := range i.lanes {
		for _, r := range i.read(i.at(schemas.TopicInbox, p)) {
			if kindOf(&r) == schemas.KindSignal {
				got[header(&r, schemas.HeaderID)] = true
			}
		}
		for _, r := range i.read(i.at(schemas.TopicStateDetect, p)) {
			if kindOf(&r) != schemas.KindFence {
				must(last.Restore(string(r.Key), r.Value))
			}
		}
	}
	if d := cmp.Diff(sortedKeys(want), sortedKeys(got)); d != "" {
		i.t.Errorf("signals (- must, + are):\n%s", d)
	}
	for key, n := range i.counts {
		if c := last.all[key]; c == nil || c.n != n {
			i.t.Errorf("the saved state of %s is %+v: it had %d events", key, c, n)
		}
	}
	for key, who := range tellers {
		if c := last.all[key]; c == nil || len(c.tellers) != len(who) {
			i.t.Errorf("the saved state of %s is %+v: %d told it", key, c, len(who))
		}
	}
}
