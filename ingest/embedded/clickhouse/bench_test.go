package clickhouse_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

const eventsTable = `CREATE TABLE events (
	at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), account String, kind LowCardinality(String), ip String, credential String,
	recipients UInt32, raw String CODEC(ZSTD(1)), topic LowCardinality(String), partition UInt16, offset UInt64
) ENGINE = ReplacingMergeTree ORDER BY (account, at, topic, partition, offset)`

// BenchmarkInsert appends whole columns and sends batches of 100,000 rows that
// look like events.
func BenchmarkInsert(b *testing.B) {
	addr := clickhousetest.Start(b)
	for _, method := range []chgo.CompressionMethod{chgo.CompressionNone, chgo.CompressionLZ4} {
		b.Run(method.String(), func(b *testing.B) {
			conn, err := chgo.Open(&chgo.Options{Addr: []string{addr}, Protocol: chgo.HTTP, Compression: &chgo.Compression{Method: method}})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			benchInsert(b, conn)
		})
	}
}

func benchInsert(b *testing.B, conn chgo.Conn) {
	ctx := context.Background()
	for _, ddl := range []string{"DROP TABLE IF EXISTS events", eventsTable} {
		if err := conn.Exec(ctx, ddl); err != nil {
			b.Fatal(err)
		}
	}
	const n = 100_000
	columns := eventColumns(n)
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		ctx := chgo.Context(ctx, chgo.WithSettings(chgo.Settings{"insert_deduplication_token": fmt.Sprint("t", sent), "async_insert": 0}))
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO events")
		if err != nil {
			b.Fatal(err)
		}
		for i, c := range columns {
			if err := batch.Column(i).Append(c); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	b.ReportMetric(float64(sent*n)/b.Elapsed().Seconds(), "rows/s")
}

func eventColumns(n int) []any {
	at, account, kind := make([]time.Time, n), make([]string, n), make([]string, n)
	ip, credential, raw, topic := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	recipients, partition, offset := make([]uint32, n), make([]uint16, n), make([]uint64, n)
	start := time.UnixMilli(1_700_000_000_000)
	for i := range n {
		at[i] = start.Add(time.Duration(i) * time.Millisecond)
		account[i] = fmt.Sprintf("acct-%05d", i*7919%20000)
		kind[i] = []string{"send", "delivery", "login"}[i%3]
		ip[i] = fmt.Sprintf("192.0.%d.%d", i%250, i*31%250)
		credential[i] = "key-" + account[i]
		raw[i] = fmt.Sprintf(`{"id":"ev-%d","type":"%s","time":"%s","account":"%s","ip":"%s","recipient_count":%d}`, i*104729, kind[i], at[i].Format(time.RFC3339Nano), account[i], ip[i], i%100)
		topic[i], partition[i], offset[i] = "holdfast.events", uint16(i%8), uint64(i)
		recipients[i] = uint32(i % 100)
	}
	return []any{at, account, kind, ip, credential, recipients, raw, topic, partition, offset}
}

// BenchmarkStart measures how long an engine takes until it answers.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		clickhousetest.Start(b)
	}
}

// TestOneInsertOnePart checks what exactly-once recording stands on: an insert of
// half a million rows is one part.
func TestOneInsertOnePart(t *testing.T) {
	conn := clickhousetest.Open(t, clickhousetest.Start(t))
	ctx := context.Background()
	// A ReplacingMergeTree would drop rows of one key at the insert already.
	if err := conn.Exec(ctx, strings.Replace(eventsTable, "ReplacingMergeTree", "MergeTree", 1)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(ctx, "SYSTEM STOP MERGES events"); err != nil {
		t.Fatal(err)
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO events")
	if err != nil {
		t.Fatal(err)
	}
	columns := eventColumns(100_000)
	for range 5 {
		for i, c := range columns {
			if err := batch.Column(i).Append(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var parts, rows uint64
	if err := conn.QueryRow(ctx, "SELECT count(), sum(rows) FROM system.parts WHERE table = 'events' AND active").Scan(&parts, &rows); err != nil {
		t.Fatal(err)
	}
	if parts != 1 || rows != 500_000 {
		t.Errorf("%d rows in %d parts, want 500000 in 1", rows, parts)
	}
}
