package record

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// lose takes rows away as an engine does that drops a part.
func (w *world) lose(from, to int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.rows["decisions"] {
		if p.offset >= from && p.offset < to {
			delete(w.rows["decisions"], p)
		}
	}
}

func hourly(c *Config) { c.CheckEvery = time.Hour }

func TestLostRowsAreRecordedAgain(t *testing.T) {
	bubble(t, "found at the start", func(t *testing.T, w *world) {
		w.fill(20)
		w.committed[decisions] = kafka.Committed{Offset: 12, Metadata: "@log"}
		w.insert("decisions", "t", append(w.places("log", 0, 3), w.places("log", 9, 12)...))
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 20) != strings.Repeat("1", 20) || len(w.gaps(t)) > 0 {
			t.Errorf("%v, rows %s, gaps %v", err, w.has("log", 0, 20), w.gaps(t))
		}
	})
	bubble(t, "found while it runs", func(t *testing.T, w *world) {
		w.fill(20)
		err := play(t, w, hourly, func(*node) {
			for range 3 { // rows recorded again are lost again
				w.lose(5, 15)
				time.Sleep(61 * time.Minute)
			}
		})
		if err != nil || w.has("log", 0, 20) != strings.Repeat("1", 20) {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 20))
		}
		if c := w.committed[decisions]; c.Offset != 20 || c.Metadata != "@log" {
			t.Errorf("the commit is %+v, want that of before", c)
		}
	})
	bubble(t, "found after inserts failed", func(t *testing.T, w *world) {
		w.fill(20)
		err := play(t, w, hourly, func(*node) {
			w.mu.Lock()
			w.down = true
			w.mu.Unlock()
			w.fill(1)
			time.Sleep(time.Minute)
			w.lose(5, 15)
			w.mu.Lock()
			w.down = false
			w.mu.Unlock()
			time.Sleep(time.Minute)
		})
		if err != nil || w.has("log", 0, 21) != strings.Repeat("1", 21) {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 21))
		}
	})
	bubble(t, "what the log no longer has is a gap, once", func(t *testing.T, w *world) {
		w.fill(20)
		err := play(t, w, hourly, func(*node) {
			time.Sleep(2 * time.Hour)
			w.lose(2, 5)
			w.mu.Lock()
			l := w.logs[decisions]
			l.start, l.records = 8, l.records[8:]
			w.mu.Unlock()
			w.lose(9, 11)
			time.Sleep(5 * time.Hour)
		})
		if err != nil || w.has("log", 0, 20) != "11000111111111111111" || fmt.Sprint(w.gaps(t)) != "[decisions 0-8]" {
			t.Errorf("%v, rows %s, gaps %v", err, w.has("log", 0, 20), w.gaps(t))
		}
	})
	bubble(t, "a log that has gone on is a gap as well", func(t *testing.T, w *world) {
		w.fill(20)
		err := play(t, w, hourly, func(*node) {
			time.Sleep(2 * time.Hour)
			w.lose(2, 5)
			w.mu.Lock()
			l := w.logs[decisions]
			l.start, l.records = 20, nil
			w.mu.Unlock()
			time.Sleep(5 * time.Hour)
		})
		if err != nil || fmt.Sprint(w.gaps(t)) != "[decisions 0-20]" {
			t.Errorf("%v, gaps %v", err, w.gaps(t))
		}
	})
}

// Fences and rows that were rejected for their values are not missing; what another
// release rejected because a disk was full is.
func TestWhatGivesNoRowIsNotMissing(t *testing.T) {
	bubble(t, "", func(t *testing.T, w *world) {
		fence := decisionRecord(0, march)
		fence.Headers[0].Value = []byte(schemas.KindFence)
		w.append(decisions, fence)
		w.fill(9)
		w.committed[decisions] = kafka.Committed{Offset: 10, Metadata: "@log"}
		w.insert("decisions", "t", w.places("log", 1, 7))
		for o, code := range map[int64]int{7: violated, 8: 243} {
			w.append(kafka.TopicPartition{Topic: "holdfast.rejected"}, kafka.Record{Time: march.UnixMilli(),
				Value: fmt.Appendf(nil, `{"id":"r%d","time":"2026-03-02T00:00:00Z","topic":"decisions","partition":0,"offset":%d,"reason":"refused_by_store","detail":"Code: %d. x"}`, o, o, code)})
		}
		err := play(t, w, hourly, func(n *node) { time.Sleep(3 * time.Hour) })
		if err != nil || w.has("log", 0, 10) != "0111111011" {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 10))
		}
		again := 0
		for _, token := range w.tokens["decisions"] {
			if strings.Contains(token, "/lost/") {
				again++
			}
		}
		if again != 1 {
			t.Errorf("tokens %v, want one for what was lost", w.tokens["decisions"])
		}
	})
}

// A real engine that has lost part of what it had: at the next start the rows are
// there again, each once.
func TestEngineLosesRows(t *testing.T) {
	b := newBed(t, kafkatest.Embedded(t))
	stop := b.record()
	for lane := range int32(testLanes) {
		b.write(schemas.TopicEvents, lane, eventRecords(lane, 0, 3000))
	}
	fence := kafka.Record{Time: time.Now().UnixMilli(), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindFence)}}}
	b.write(schemas.TopicEvents, 1, []kafka.Record{fence, {Time: time.Now().UnixMilli(), Value: []byte("{broken")}})
	b.write(schemas.TopicDecisions, 2, []kafka.Record{decisionRecord(1, time.Now())})
	b.counts(map[string]uint64{"events": 3000 * testLanes, "decisions": 1})
	stop()
	for _, sql := range []string{
		"ALTER TABLE events DELETE WHERE partition = 1 AND offset BETWEEN 100 AND 1999 OR partition = 3 SETTINGS mutations_sync = 2",
		"TRUNCATE TABLE decisions",
	} {
		if err := b.store.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	b.record()
	b.counts(map[string]uint64{"events": 3000 * testLanes, "decisions": 1, "gaps": 0})
}

// On a file system that holds what is synced to it in memory alone, an engine that
// had no room can forget what it had acknowledged, when it merges or starts again.
func TestEngineStartsAgainAfterAFullDisk(t *testing.T) {
	dir := clickhousetest.SmallDisk(t, "96")
	b := newBedOn(t, kafkatest.Embedded(t), dir)
	b.record()
	n := 0
	for range 12 {
		for lane := range int32(testLanes) {
			b.write(schemas.TopicEvents, lane, eventRecords(lane, n, 200))
		}
		n += 200
		time.Sleep(150 * time.Millisecond) // so that there are parts to merge
	}
	empty := clickhousetest.Fill(t, dir)
	_ = b.store.Exec(t.Context(), "OPTIMIZE TABLE events FINAL") // which fails, or does harm
	for lane := range int32(testLanes) {
		b.write(schemas.TopicEvents, lane, eventRecords(lane, n, 200))
	}
	n += 200
	time.Sleep(time.Second)
	empty()
	b.counts(map[string]uint64{"events": uint64(n) * testLanes, "rejected": 0})
}
