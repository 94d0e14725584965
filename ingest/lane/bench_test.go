package lane_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// BenchmarkLane folds events (240 bytes, 100,000 accounts, eight lanes) that stand on a
// broker sharing the machine, with a fold that costs little, and saves what it
// changes. One iteration is the whole log.
func BenchmarkLane(b *testing.B) {
	for _, kind := range []struct {
		name    string
		brokers func(testing.TB) []string
	}{{"embedded", kafkatest.Embedded}, {"apache", kafkatest.Apache}} {
		b.Run(kind.name, func(b *testing.B) { benchLane(b, kind.brokers(b)) })
	}
}

const benchEvents = 1_000_000

func benchLane(b *testing.B, brokers []string) {
	const lanes = 8
	i := install(b, brokers, lanes, nil)
	fill(b, i, benchEvents)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		cfg := laneConfig(i.prefix, lanes)
		cfg.Commit, cfg.SaveTick, cfg.SaveAfter = 0, 0, 0
		// Another group and another state, so that each iteration begins at the beginning.
		n++
		cfg.Role.Name = fmt.Sprintf("detect%d", n)
		r, err := lane.New(cfg, lane.Deps{Broker: lane.OnKafka(clientOf(b, brokers)), NewFold: func(int32) lane.Fold { return &cheapFold{all: map[string]*cheap{}} }})
		must(err)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		for r.Working() < lanes {
			time.Sleep(time.Millisecond)
		}
		begun := time.Now()
		for r.Folded() < benchEvents {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(benchEvents/time.Since(begun).Seconds(), "events/s")
		stop()
		must(<-ended)
	}
}

func fill(b *testing.B, i *installation, n int) {
	batches := make([][]kafka.Record, i.lanes)
	flush := func(p int) {
		must(i.client.Write(within(b), i.at(schemas.TopicEvents, p), batches[p]))
		batches[p] = batches[p][:0]
	}
	value := bytes.Repeat([]byte("x"), 240)
	for e := range n {
		rec := kafka.Record{Key: fmt.Appendf(nil, "account:acct-%06d", e*7919%100_000), Value: value, Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}, {Key: schemas.HeaderID, Value: fmt.Appendf(nil, "evt-%012d", e)},
			{Key: schemas.HeaderSource, Value: []byte("platform")}, {Key: schemas.HeaderOrigin, Value: []byte("live")},
		}}
		p := kafka.Partition(rec.Key, i.lanes)
		if batches[p] = append(batches[p], rec); len(batches[p]) == 1000 {
			flush(int(p))
		}
	}
	for p := range batches {
		if len(batches[p]) > 0 {
			flush(p)
		}
	}
}

// BenchmarkRestore restores lanes with 800 bytes an account, and tells how many
// accounts a second come back.
func BenchmarkRestore(b *testing.B) {
	const lanes, accounts = 4, 200_000
	i := install(b, kafkatest.Apache(b), lanes, nil)
	batches := make([][]kafka.Record, lanes)
	frame := schemas.StateFrame{Version: 1, Payload: make([]byte, 800)}
	for n := range accounts {
		key := fmt.Appendf(nil, "account:acct-%06d", n)
		p := kafka.Partition(key, lanes)
		batches[p] = append(batches[p], kafka.Record{Key: key, Value: schemas.AppendStateFrame(nil, frame)})
		if len(batches[p]) == 500 {
			must(i.client.Write(within(b), i.at(schemas.TopicStateDetect, int(p)), batches[p]))
			batches[p] = batches[p][:0]
		}
	}
	for b.Loop() {
		begun := time.Now()
		r, stop := i.begin()
		for r.Working() < lanes {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(accounts/time.Since(begun).Seconds(), "accounts/s")
		stop()
	}
}

// BenchmarkLatency writes one event at a time and waits for the signal it gives: from
// the write's begin to the reader's having it.
func BenchmarkLatency(b *testing.B) {
	for _, kind := range []struct {
		name    string
		brokers func(testing.TB) []string
	}{{"embedded", kafkatest.Embedded}, {"apache", kafkatest.Apache}} {
		b.Run(kind.name, func(b *testing.B) {
			i := install(b, kind.brokers(b), 4, nil)
			r, _ := i.begin()
			i.until("lanes work", func() bool { return r.Working() == 4 })
			key := []byte("account:1")
			p := int(kafka.Partition(key, 4))
			at := kafka.Position{TopicPartition: i.at(schemas.TopicInbox, p)}
			at.Offset = i.end(at.TopicPartition)
			n := 0
			for b.Loop() {
				n++
				must(i.client.Write(context.Background(), i.at(schemas.TopicEvents, p), []kafka.Record{{Key: key, Value: []byte("x"), Headers: []kafka.Header{
					{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}, {Key: schemas.HeaderID, Value: fmt.Appendf(nil, "l%d", n)}}}}))
				for end := at.Offset + 1; at.Offset < end; {
					got, err := i.client.Fetch(context.Background(), []kafka.Position{at}, kafka.FetchOptions{})
					must(err)
					at.Offset = got[0].Next
				}
			}
		})
	}
}

func (i *installation) end(tp kafka.TopicPartition) int64 {
	ends, err := i.client.Offsets(within(i.t), []kafka.TopicPartition{tp})
	must(err)
	return ends[tp].End
}
