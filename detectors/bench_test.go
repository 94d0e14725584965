package detectors

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"holdfast/schemas"
)

// zipfEvents makes sends of many accounts, few of which send most, over some days.
func zipfEvents(accounts, n, days int) []schemas.Input {
	rng := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(rng, 1.1, 8, uint64(accounts-1))
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	out := make([]schemas.Input, 0, n+accounts)
	for i := range accounts + n {
		ms := start + int64(i)*int64(days)*msDay/int64(accounts+n)
		a := uint64(i)
		if i >= accounts {
			a = zipf.Uint64()
		}
		at := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		data := fmt.Sprintf(`{"id":"e%08d","time":%q,"type":"send","account":"acct-%07d","credential":"key-%d","channel":"api","ip":"10.%d.%d.%d","sender":"hello@shop%d.example","recipients":["u%d@x%d.example"],"message_id":"m%d@shop.example","size":4711}`,
			i, at, a, a, a>>16&255, a>>8&255, rng.IntN(3), a, rng.IntN(200)+int(a)*200, a, i)
		out = append(out, schemas.Input{Topic: schemas.TopicEvents, Offset: int64(i), Arrival: ms, Kind: schemas.KindEvent, ID: fmt.Sprintf("e%08d", i),
			Origin: schemas.OriginLive, Key: fmt.Sprintf("account:acct-%07d", a), Value: []byte(data)})
	}
	return out
}

var secret = []byte("a secret of the tests' own, yes.")

func BenchmarkApply(b *testing.B) {
	events := zipfEvents(1000, 200_000, 20)
	e := New(Config{Lanes: 1, HashSecret: secret})
	drop := func(schemas.Output) {}
	offset := int64(0)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		in := events[i%len(events)]
		if i%len(events) == 0 {
			e = New(Config{Lanes: 1, HashSecret: secret})
		}
		in.Offset = offset
		offset++
		if _, err := e.Apply(&in, drop); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkDecodeOnly is BenchmarkApply's share that is not detection.
func BenchmarkDecodeOnly(b *testing.B) {
	events := zipfEvents(1000, 200_000, 20)
	var d schemas.Decoder
	var ev schemas.Event
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := d.Decode(events[i%len(events)].Value, &ev); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// The hot path, an event that raises nothing in an hour already open, allocates
// nothing beyond what decoding does.
func TestHotPathDoesNotAllocate(t *testing.T) {
	e := New(Config{Lanes: 1, HashSecret: secret})
	events := zipfEvents(1, 4000, 1)
	drop := func(schemas.Output) {}
	for i := range events[:3000] {
		if _, err := e.Apply(&events[i], drop); err != nil {
			t.Fatal(err)
		}
	}
	in := events[3000]
	in.Offset = 10_000
	got := testing.AllocsPerRun(500, func() {
		in.Offset++
		if _, err := e.Apply(&in, drop); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%g allocations an event", got)
	}
}

// A hundred thousand accounts under a Zipf load stay within a kilobyte each.
func TestBytesAnAccount(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const accounts = 100_000
	events := zipfEvents(accounts, 900_000, 20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e := New(Config{Lanes: 1, HashSecret: secret})
	start := time.Now()
	for i := range events {
		if _, err := e.Apply(&events[i], func(schemas.Output) {}); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / accounts
	saved := 0
	saving := time.Now()
	for i := range accounts {
		if err := e.Save(events[i].Key, func(_ string, v []byte) { saved += len(v) }); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("watches", e.store.watches.Len(), "pasts", e.store.pasts.Len(), "bases", e.store.bases.Len(), "addresses", e.addresses.Len())
	t.Logf("%.0f bytes an account in memory (%d in blocks, %d sketches), %d saved, %.0f events/s, saving %.0f accounts/s", each,
		e.store.InUse()/accounts, e.store.Large(), saved/accounts, float64(len(events))/took.Seconds(), accounts/time.Since(saving).Seconds())
	if each > 1024 {
		t.Errorf("%.0f bytes an account are more than 1,024", each)
	}
	runtime.KeepAlive(events)
}
