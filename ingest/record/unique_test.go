package record

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// What was sent or written twice is counted once by every view, and a condition on
// the entity still reads the entity's stretch of the table alone.
func TestViewsCountOnce(t *testing.T) {
	b := newBed(t, kafkatest.Embedded(t))
	b.record()
	events := eventRecords(0, 0, 50)
	other := eventRecords(0, 0, 1)
	other[0].Headers[2].Value = []byte("other") // the same id by another source is another event
	b.write(schemas.TopicEvents, 0, events)
	b.write(schemas.TopicEvents, 0, events)
	b.write(schemas.TopicEvents, 0, other)
	decision := func(id, verdict string, at int) kafka.Record {
		r := decisionRecord(0, time.Now().Add(time.Duration(at)*time.Second))
		r.Value = fmt.Appendf(nil, `{"id":%q,"time":"2026-03-02T00:00:00Z","entity":{"kind":"account","id":"a"},"verdict":%q,"mode":"live"}`, id, verdict)
		r.Headers[1].Value = []byte(id)
		return r
	}
	b.write(schemas.TopicDecisions, 0, []kafka.Record{decision("d1", "throttle", 0), decision("d2", "review", 1), decision("d1", "suspend", 2), decision("d2", "review", 3)})
	signal := decisionRecord(9, time.Now())
	signal.Headers[0].Value = []byte(schemas.KindSignal)
	b.write(schemas.TopicInbox, 0, []kafka.Record{signal, signal})
	b.counts(map[string]uint64{"events": 101, "decisions": 4, "inbox": 2})
	for query, want := range map[string]string{
		"SELECT concat(toString(count()), ' ', toString(uniqExact(id)), ' ', toString(sum(length(recipients)))) FROM events_unique WHERE source = 'test'": "50 50 50",
		"SELECT concat(toString(count()), ' ', toString(max(copies)), ' ', toString(min(copies))) FROM events_unique":                                     "51 2 1",
		"SELECT concat(toString(count()), ' ', any(IPv6NumToString(assumeNotNull(ip)))) FROM events_unique WHERE account = 'acct-7'":                      "1 ::ffff:192.0.2.7",
		"SELECT arrayStringConcat(arraySort(groupArray(concat(id, verdict, toString(copies)))), ' ') FROM decisions_unique WHERE mode = 'live'":           "d1suspend2 d2review2",
		"SELECT toString(count()) FROM signals": "1",
	} {
		var got string
		if err := b.store.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s:\n%q (%v), want %q", query, got, err, want)
		}
	}
	for _, c := range []string{"entity = 'account:acct-7'", "account = 'acct-7'"} {
		rows, err := b.store.Query(t.Context(), "EXPLAIN indexes = 1 SELECT count() FROM events_unique WHERE "+c)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if name, _, _ := strings.Cut(c, " "); !strings.Contains(plan.String(), "in ['account:acct-7'") && !strings.Contains(plan.String(), "Name: by_"+name) {
			t.Errorf("%s is not looked up:\n%s", c, &plan)
		}
	}
}
