package detectors

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"holdfast/schemas"
)

// BenchmarkMillionAccounts reports what a million accounts under a Zipf load take
// in memory, and how long it takes to save all of them and to restore them.
//
//	go test -run '^$' -bench MillionAccounts -benchtime 1x ./detectors
func BenchmarkMillionAccounts(b *testing.B) {
	const accounts, sends = 1_000_000, 3_000_000
	drop := func(schemas.Output) {}
	for b.Loop() {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e := New(Config{Lanes: 1, HashSecret: secret})
		fill(b, e, accounts, sends, drop)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/accounts, "bytes/account")

		values := make([][]byte, 0, accounts)
		start := time.Now()
		for i := range accounts {
			if err := e.Save(accountKey(i), func(_ string, v []byte) { values = append(values, v) }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/save")
		again := New(Config{Lanes: 1, HashSecret: secret})
		start = time.Now()
		for i := range accounts {
			if err := again.Restore(accountKey(i), values[i]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/restore")
		runtime.KeepAlive(e)
		runtime.KeepAlive(again)
	}
}

func accountKey(i int) string { return fmt.Sprintf("account:acct-%07d", i) }

// fill applies one send of every account and then sends of a few, decoded already.
func fill(b *testing.B, e *Engine, accounts, sends int, drop func(schemas.Output)) {
	rng := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(rng, 1.1, 8, uint64(accounts-1))
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	var d schemas.Decoder
	var ev schemas.Event
	for i := range accounts + sends {
		a := uint64(i)
		if i >= accounts {
			a = zipf.Uint64()
		}
		ms := start + int64(i)*20*msDay/int64(accounts+sends)
		data := fmt.Appendf(nil, `{"id":"e%08d","time":%q,"type":"send","account":"acct-%07d","credential":"key-%d","channel":"api","ip":"10.%d.%d.%d","sender":"hello@shop%d.example","recipients":["u%d@x%d.example"],"message_id":"m%d@shop.example","size":4711}`,
			i, time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"), a, a, a>>16&255, a>>8&255, rng.IntN(3), a, rng.IntN(200)+int(a)*200, a, i)
		if err := d.Decode(data, &ev); err != nil {
			b.Fatal(err)
		}
		in := schemas.Input{Topic: schemas.TopicEvents, Offset: int64(i), Arrival: ms, Kind: schemas.KindEvent, ID: ev.ID, Origin: schemas.OriginLive, Key: accountKey(int(a)), Value: data, Event: &ev}
		if _, err := e.Apply(&in, drop); err != nil {
			b.Fatal(err)
		}
	}
}
