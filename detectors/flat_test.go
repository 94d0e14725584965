package detectors

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"holdfast/schemas"
)

var unique = flag.Int("unique", 120_000, "how many unique values the memory has to stand")

// An attacker who never uses a value twice makes nothing grow: neither subdomains,
// addresses, user names nor recipients aimed at one account, nor made-up accounts.
func TestMemoryIsFlatUnderUniqueValues(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	each := *unique / 2
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for name, event := range map[string]func(i int) string{
		"subdomains": func(i int) string {
			return fmt.Sprintf(`"type":"send","account":"a","credential":"k","ip":"192.0.2.1","sender":"x@s%d.spam.example","recipients":["r@x.example"],"message_id":"m%d"`, i, i)
		},
		"addresses": func(i int) string {
			return fmt.Sprintf(`"type":"send","account":"a","credential":"k","ip":"10.%d.%d.%d","recipients":["r%d@x.example"],"message_id":"m%d"`, i>>16, i>>8&255, i&255, i, i)
		},
		"users": func(i int) string {
			return fmt.Sprintf(`"type":"login","account":"a","user":"u%d","ip":"10.%d.%d.%d","outcome":"failure"`, i, i>>16, i>>8&255, i&255)
		},
		"accounts that nothing was heard of": func(i int) string {
			return fmt.Sprintf(`"type":"login","account":"u%d","user":"u%d","ip":"192.0.2.9","outcome":"failure"`, i, i)
		},
		"accounts that do not exist": func(i int) string {
			return fmt.Sprintf(`"type":"login","account":"u%d","user":"u%d","ip":"192.0.2.9","outcome":"failure","reason":"unknown_user"`, i, i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Config{Lanes: 1, HashSecret: secret})
			offset := [2]int64{}
			var facts []schemas.Output
			apply := func(topic schemas.Topic, kind schemas.Kind, id, key string, arrival int64, value []byte) {
				in := schemas.Input{Topic: topic, Offset: offset[topicIndex(topic)], Arrival: arrival, Kind: kind, ID: id, Origin: schemas.OriginLive, Key: key, Value: value}
				offset[topicIndex(topic)]++
				if _, err := e.Apply(&in, func(o schemas.Output) {
					if o.Topic == schemas.TopicFacts {
						facts = append(facts, o)
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
			play := func(from, to int) uint64 {
				for i := from; i < to; i++ {
					at := start.Add(10*24*time.Hour + time.Duration(i)*100*time.Millisecond)
					id := fmt.Sprintf("e%d", i)
					data := fmt.Sprintf(`{"id":%q,"time":%q,%s}`, id, at.Format("2006-01-02T15:04:05.000Z"), event(i))
					var ev schemas.Event
					if err := schemas.Decode([]byte(data), &ev); err != nil {
						t.Fatal(err)
					}
					apply(schemas.TopicEvents, schemas.KindEvent, id, ev.Entity().Key(), at.UnixMilli(), []byte(data))
					for _, f := range facts {
						apply(schemas.TopicFacts, f.Kind, f.ID, f.Key, at.UnixMilli(), f.Value)
					}
					facts = facts[:0]
				}
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			// The account has a past, so that its sources are judged and told.
			old := `{"id":"old","time":"2026-03-02T00:00:00Z","type":"send","account":"a","credential":"k","ip":"192.0.2.1","recipients":["r@x.example"]}`
			apply(schemas.TopicEvents, schemas.KindEvent, "old", "account:a", start.UnixMilli(), []byte(old))
			first := play(0, each)
			second := play(each, 2*each)
			if grown := int64(second) - int64(first); grown > 2<<20 {
				t.Errorf("another %d unique %s took %d KB more", each, name, grown>>10)
			}
			days := 2 + 2*each/(10*60*60*24)
			if n := e.addresses.Len(); n > days*maxToldUse {
				t.Errorf("%d addresses are known after unique %s", n, name)
			}
			t.Logf("after %d: %d KB, after %d: %d KB, %v", each, first>>10, 2*each, second>>10, e.Entities())
			runtime.KeepAlive(e)
		})
	}
}
