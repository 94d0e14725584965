package detectors

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/schemas"
)

// Whatever the times of records are, and in whatever order they come, each takes a
// bounded time and leaves state that can be read again. Those out of range are refused,
// and where somebody hands on an event that nobody checked, days do not run round.
func TestExtremeTimes(t *testing.T) {
	edges := []time.Time{
		time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), time.Date(2179, 6, 6, 0, 0, 0, 0, time.UTC), time.Date(2180, 3, 2, 0, 0, 0, 0, time.UTC),
		time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	records := []string{
		`"type":"login","account":"a","user":"u","outcome":"failure","ip":"192.0.2.1"`,
		`"type":"login","account":"a","user":"u","outcome":"success","ip":"192.0.2.1"`,
		`"type":"login","employee":"e","user":"e","outcome":"success","ip":"192.0.2.1"`,
		`"type":"access","employee":"e","action":"view_secret","account":"a"`,
		`"type":"connection","ip":"192.0.2.1","state":"open"`,
		`"type":"send","account":"a","credential":"k","ip":"198.51.100.7","recipient_count":500,"message_id":"m"`,
		`"type":"delivery","account":"a","message_id":"m","outcome":"hard_bounce"`,
		`"type":"credential","account":"a","credential":"k2","kind":"api_key","change":"created","ip":"198.51.100.7"`,
		`"type":"account","account":"a","created":"9999-01-01T00:00:00Z"`,
	}
	for seed := range uint64(60) {
		checked := seed%2 == 0
		rng := rand.New(rand.NewPCG(seed, 1))
		e := New(Config{Lanes: 1, HashSecret: secret})
		next := [2]int64{}
		var dec schemas.Decoder
		for range 80 {
			n := rng.IntN(len(edges))
			at := edges[n].Add(time.Duration(rng.Int64N(int64(72*time.Hour))) - 36*time.Hour)
			if n == 0 && !checked {
				at = edges[n].Add(time.Duration(rng.Int64N(int64(36 * time.Hour))))
			}
			data := fmt.Sprintf(`{"id":"e%d","time":%q,`, rng.IntN(1000), "2026-03-02T00:00:00Z") + records[rng.IntN(len(records))] + "}"
			if checked {
				data = fmt.Sprintf(`{"id":"e%d","time":%q,`, rng.IntN(1000), at.Format(time.RFC3339)) + records[rng.IntN(len(records))] + "}"
			}
			var ev schemas.Event
			if err := dec.Decode([]byte(data), &ev); err != nil {
				if !checked || schemas.TimeInRange(at.UnixMilli()) || err.Reason != schemas.ReasonTooOld {
					t.Fatalf("%s: %v", data, err)
				}
				continue
			}
			if !checked {
				ev.Time = at.UnixMilli()
			}
			facts := []schemas.Output{}
			in := schemas.Input{Topic: schemas.TopicEvents, Kind: schemas.KindEvent, Origin: schemas.OriginLive, Offset: next[0], Arrival: ev.Time,
				Key: ev.Entity().Key(), ID: ev.ID, Value: []byte(data), Event: &ev}
			next[0]++
			soon(t, data, func() {
				if _, err := e.Apply(&in, func(o schemas.Output) { facts = append(facts, o) }); err != nil {
					t.Errorf("%s: %v", data, err)
				}
			})
			for i := 0; i < len(facts); i++ {
				if o := facts[i]; o.Topic == schemas.TopicFacts {
					f := schemas.Input{Topic: o.Topic, Kind: o.Kind, Origin: o.Origin, Offset: next[1], Arrival: ev.Time, Key: o.Key, ID: o.ID, Value: o.Value}
					next[1]++
					soon(t, string(o.Value), func() {
						if _, err := e.Apply(&f, func(o schemas.Output) { facts = append(facts, o) }); err != nil {
							t.Errorf("%s: %v", o.Value, err)
						}
					})
				}
			}
		}
		again := New(Config{Lanes: 1, HashSecret: secret})
		for _, key := range []string{"account:a", "employee:e", "ip:192.0.2.1"} {
			if !e.knows(key) {
				continue
			}
			if err := e.Save(key, func(key string, value []byte) {
				if err := again.Restore(key, value); err != nil {
					t.Errorf("seed %d: %s cannot be read again: %v", seed, key, err)
				}
			}); err != nil {
				t.Error(err)
			}
		}
	}
}

// soon fails where f takes long.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { panic(what + " takes no end") })
	defer late.Stop()
	f()
}
