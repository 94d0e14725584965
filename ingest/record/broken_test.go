package record

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

func TestBrokenPart(t *testing.T) {
	for text, want := range map[string][2]string{
		"sendQuery: [HTTP 500] code: 246, message: Empty marks file '/d/202611_1_11_1/data.cmrk4': 0, must be: 7656: (while reading from part /d/store/6c8/202611_1_11_1/ in table default.events (6c8) located on disk": {"events", "202611_1_11_1"},
		"Code: 228. DB::Exception: Bad size\nof file: (while reading from part /d/202611_4_9_2_12/ in table holdfast.rejected (6c8)":                                                                                     {"rejected", "202611_4_9_2_12"},
		"code: 241, message: memory limit exceeded while reading from part /d/202611_1_11_1/ in table default.events (6c8)":                                                                                              {},
		"code: 246, message: something else": {},
	} {
		var got [2]string
		if m := brokenPart.FindStringSubmatch(text); m != nil {
			got = [2]string{m[2], m[1]}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A part whose marks are empty, as a merge on a full disk leaves it, makes the whole
// table unreadable: it is set aside, and what it held is recorded again.
func TestEngineCannotReadAPart(t *testing.T) {
	for name, lanes := range map[string]int32{
		"found before anything is recorded": 1, // where nothing is committed of a lane, the store is asked what it has
		"found by the comparison":           testLanes,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, kafkatest.Embedded(t))
			if err := b.store.Exec(t.Context(), "SYSTEM STOP MERGES events"); err != nil {
				t.Fatal(err)
			}
			stop := b.record()
			for lane := range lanes {
				b.write(schemas.TopicEvents, lane, eventRecords(lane, 0, 3000))
			}
			// Nothing reads the parts before: their marks would be in memory.
			for lane := range lanes {
				b.committed(schemas.TopicEvents, lane, 3000)
			}
			stop()
			b.emptyMarks("events")
			b.record()
			b.countsWithin(30*time.Second, map[string]uint64{"events": 3000 * uint64(lanes), "gaps": 0})
		})
	}
}

// committed waits until the recorder is done with a partition up to an offset.
func (b *bed) committed(topic schemas.Topic, lane int32, offset int64) {
	b.t.Helper()
	tp := kafka.TopicPartition{Topic: b.prefix + string(topic), Partition: lane}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		at, err := b.client.Committed(b.t.Context(), b.prefix+"record", []kafka.TopicPartition{tp})
		if err == nil && at[tp].Offset == offset {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%+v is committed of %v (%v), want %d", at[tp], tp, err, offset)
		}
	}
}

// emptyMarks empties the marks of every part that a table has.
func (b *bed) emptyMarks(table string) {
	b.t.Helper()
	rows, err := b.store.Query(b.t.Context(), "SELECT path FROM system.parts WHERE database = currentDatabase() AND table = ? AND active", table)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	emptied := 0
	for rows.Next() {
		var part string
		if err := rows.Scan(&part); err != nil {
			b.t.Fatal(err)
		}
		marks, err := filepath.Glob(filepath.Join(part, "*mrk*"))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, m := range marks {
			if err := os.Truncate(m, 0); err != nil {
				b.t.Fatal(err)
			}
			emptied++
		}
	}
	var n uint64
	if err := b.store.QueryRow(b.t.Context(), "SELECT uniqExact(id) FROM "+table).Scan(&n); err == nil {
		b.t.Fatalf("%d rows can be read although %d files of marks are empty", n, emptied)
	}
}
