package record

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// platformEvents reads events as a platform sends them: from the file that
// HOLDFAST_EVENTS names, or else made up.
func platformEvents(tb testing.TB, n int) []kafka.Record {
	tb.Helper()
	path := os.Getenv("HOLDFAST_EVENTS")
	if path == "" {
		return eventRecords(0, 0, n)
	}
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var out []kafka.Record
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, schemas.MaxRecord)
	var e schemas.Event
	for lines.Scan() && len(out) < n {
		value := bytes.Clone(lines.Bytes())
		if err := schemas.Decode(value, &e); err != nil {
			tb.Fatal(err)
		}
		out = append(out, kafka.Record{Time: e.Time, Key: []byte(e.Entity().Key()), Value: value, Offset: int64(len(out)),
			Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderID, Value: []byte(e.ID)}, {Key: schemas.HeaderSource, Value: []byte("bench")}, {Key: schemas.HeaderOrigin, Value: []byte("live")}}})
	}
	return out
}

func encodeAll(records []kafka.Record) *clickhouse.Block {
	table, _ := schemas.TableOf(schemas.TopicEvents)
	b, enc := clickhouse.NewBlock(table), newEncoder()
	for i := range records {
		enc.append(b, place{"log", schemas.TopicEvents, 0}, &records[i])
	}
	return b
}

// BenchmarkInsert sends blocks to the embedded engine, on the same cores.
func BenchmarkInsert(b *testing.B) {
	c := openStore(b)
	for _, n := range []int{10_000, 100_000, 500_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			block := encodeAll(platformEvents(b, n))
			sent := 0
			for b.Loop() {
				if err := c.Insert(b.Context(), "events", fmt.Sprint(n, "/", sent), block); err != nil {
					b.Fatal(err)
				}
				sent++
			}
			b.ReportMetric(float64(sent*block.Rows())/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(block.Size())/float64(block.Rows()), "B/row")
			if err := c.Exec(context.Background(), "TRUNCATE TABLE events"); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRecord runs broker, recorder and engine on the same cores.
func BenchmarkRecord(b *testing.B) {
	const each, lanes = 200_000, 8
	const n = each * lanes
	records := platformEvents(b, each)
	for b.Loop() {
		b.StopTimer()
		brokers := kafkatest.Embedded(b)
		store := openStore(b)
		client, err := kafka.New(kafka.Config{Brokers: brokers})
		if err != nil {
			b.Fatal(err)
		}
		var specs []kafka.TopicSpec
		for _, t := range schemas.Tables() {
			specs = append(specs, kafka.TopicSpec{Name: "holdfast." + string(t.Topic), Partitions: lanes, ReplicationFactor: 1})
		}
		if err := client.CreateTopics(b.Context(), specs); err != nil {
			b.Fatal(err)
		}
		for i := range records {
			records[i].Time = time.Now().UnixMilli()
		}
		for lane := range lanes {
			for mine := records; len(mine) > 0; {
				k := min(len(mine), 2000)
				if err := client.Write(b.Context(), kafka.TopicPartition{Topic: "holdfast.events", Partition: int32(lane)}, mine[:k]); err != nil {
					b.Fatal(err)
				}
				mine = mine[k:]
			}
		}
		r, err := New(Config{Lanes: lanes, LogID: "log"}, Deps{Broker: OnKafka(client), Store: OnClickHouse(store)})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		b.StartTimer()
		started := time.Now()
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		for rows := uint64(0); rows < n; time.Sleep(20 * time.Millisecond) {
			if err := store.QueryRow(ctx, "SELECT count() FROM events").Scan(&rows); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n/time.Since(started).Seconds(), "events/s")
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		client.Close()
	}
}
