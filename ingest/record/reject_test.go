package record

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// violated is ClickHouse's code for a row that breaks a constraint.
const violated = 469

// Rows that the store refuses go to the rejected topic; the others are stored
// under the range's own token.
func TestRefusedRows(t *testing.T) {
	bubble(t, "", func(t *testing.T, w *world) {
		bad := map[int64]bool{3: true, 7: true, 8: true}
		w.refuse = func(table string, offsets []int64) int {
			for _, o := range offsets {
				if bad[o] && strings.HasPrefix(table, "decisions") {
					return violated
				}
			}
			return 0
		}
		w.fill(10)
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 10) != "1110111001" || fmt.Sprint(w.tokens["decisions"]) != "[log/decisions/0/0/10]" {
			t.Errorf("%v, rows %s, tokens %v", err, w.has("log", 0, 10), w.tokens["decisions"])
		}
		rejected := w.logs[kafka.TopicPartition{Topic: "holdfast.rejected"}].records
		if len(rejected) != 3 || len(w.rows["rejected"]) != 3 {
			t.Fatalf("%d rejected records, %d of them stored; want 3", len(rejected), len(w.rows["rejected"]))
		}
		var r schemas.Rejected
		if err := json.Unmarshal(rejected[0].Value, &r); err != nil || r.Offset != 3 || r.Reason != schemas.ReasonStore || r.Size == 0 || !strings.Contains(r.Detail, "constraint") {
			t.Errorf("rejected %+v (%v)", r, err)
		}
	})
}

// Whatever fails at the store's machine says nothing of the rows: none is rejected,
// and all are stored once the machine can.
func TestFaultsOfTheStoreRejectNothing(t *testing.T) {
	for _, c := range []struct {
		name         string
		insert, twin int // the codes of the refusals, for a minute
	}{
		{"no space", 243, 243},
		{"what cannot be read from the connection", 23, 23},
		{"a file that cannot be written", 75, 75},
		{"a file that cannot be opened", 76, 76},
		{"a library's exception", 1001, 1001},
		{"memory", 241, 241},
		{"a code that nobody knows", 4711, 4711},
		{"the twin's own trouble", violated, 243},
		{"the twin's other refusal of values", 27, violated},
		{"a twin that takes the rows", violated, 0},
	} {
		bubble(t, c.name, func(t *testing.T, w *world) {
			full := time.Now().Add(time.Minute)
			w.refuse = func(table string, _ []int64) int {
				switch {
				case time.Now().After(full):
				case table == "decisions":
					return c.insert
				case table == "decisions_twin":
					return c.twin
				}
				return 0
			}
			w.fill(10)
			err := play(t, w, nil, func(*node) { time.Sleep(time.Minute) })
			if err != nil || w.has("log", 0, 10) != "1111111111" || len(w.rows["decisions"]) != 10 {
				t.Errorf("%v, rows %s", err, w.has("log", 0, 10))
			}
			if n := len(w.logs[kafka.TopicPartition{Topic: "holdfast.rejected"}].records); n > 0 {
				t.Errorf("%d records are rejected, want none", n)
			}
		})
	}
}

// A twin that fails in between leaves what was found before, and the rest is found
// at the next try.
func TestTwinFailsInBetween(t *testing.T) {
	bubble(t, "", func(t *testing.T, w *world) {
		asked := 0
		w.refuse = func(table string, offsets []int64) int {
			if table == "decisions_twin" {
				if asked++; asked > 6 && asked < 12 {
					return 243
				}
			}
			for _, o := range offsets {
				if (o == 3 || o == 8) && strings.HasPrefix(table, "decisions") {
					return violated
				}
			}
			return 0
		}
		w.fill(10)
		err := play(t, w, nil, nil)
		if n := len(w.logs[kafka.TopicPartition{Topic: "holdfast.rejected"}].records); err != nil || n != 2 || w.has("log", 0, 10) != "1110111101" {
			t.Errorf("%v, %d records rejected, rows %s; want 2", err, n, w.has("log", 0, 10))
		}
	})
}

// The engine's disk runs full while records come in: when there is room again, every
// record is a row and none is rejected.
func TestEngineDiskFull(t *testing.T) {
	dir := clickhousetest.SmallDisk(t, "96")
	b := newBedOn(t, kafkatest.Embedded(t), dir)
	b.record()
	b.write(schemas.TopicEvents, 0, eventRecords(0, 0, 500))
	b.counts(map[string]uint64{"events": 500})
	empty := clickhousetest.Fill(t, dir)
	for round := range 4 {
		for lane := range int32(testLanes) {
			b.write(schemas.TopicEvents, lane, eventRecords(lane, 500+round*500, 500))
		}
		time.Sleep(500 * time.Millisecond) // the recorder tries with some of them
	}
	empty()
	b.counts(map[string]uint64{"events": 500 + 4*500*testLanes, "rejected": 0})
}
