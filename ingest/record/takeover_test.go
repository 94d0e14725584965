package record

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

var march = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

var decisions = kafka.TopicPartition{Topic: modelTopic}

// play runs a recorder on a world for a while of the bubble's time.
func play(t *testing.T, w *world, change func(*Config), during func(*node)) error {
	t.Helper()
	cfg := Config{Lanes: 1, LogID: "log", MinAge: 50 * time.Millisecond, Grace: 100 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	n := &node{world: w}
	r, err := New(cfg, Deps{Broker: n, Store: n, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	time.Sleep(time.Minute)
	if during != nil {
		during(n)
		if held := testutil.ToFloat64(r.metrics.memory); held > float64(r.cfg.Memory)*1.5 {
			t.Errorf("%.0f bytes are held, the memory is %d", held, r.cfg.Memory)
		}
	}
	cancel()
	return <-ended
}

func (w *world) fill(n int) {
	for i := range n {
		w.append(decisions, decisionRecord(i, march))
	}
}

// has tells how often the offsets of a log stand in the table.
func (w *world) has(logID string, from, to int64) string {
	var b strings.Builder
	for o := from; o < to; o++ {
		fmt.Fprint(&b, w.rows["decisions"][position{logID, 0, o}])
	}
	return b.String()
}

// places are the positions of a stretch of decisions.
func (w *world) places(logID string, from, to int64) (out []position) {
	for o := from; o < to; o++ {
		out = append(out, position{logID, 0, o})
	}
	return out
}

func (w *world) gaps(t *testing.T) (out []string) {
	for _, r := range w.logs[kafka.TopicPartition{Topic: "holdfast.gaps"}].records {
		var g schemas.Gap
		if err := json.Unmarshal(r.Value, &g); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %d-%d", g.Topic, g.From, g.To))
	}
	return out
}

func bubble(t *testing.T, name string, test func(t *testing.T, w *world)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newWorld(1, 1, allTopics())) })
	})
}

func TestWhereRecordingGoesOn(t *testing.T) {
	bubble(t, "a new log from its beginning", func(t *testing.T, w *world) {
		w.fill(5)
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 6) != "111110" || len(w.gaps(t)) > 0 {
			t.Errorf("%v, rows %s, gaps %v", err, w.has("log", 0, 6), w.gaps(t))
		}
	})
	bubble(t, "an open range again, under its own token", func(t *testing.T, w *world) {
		w.fill(9)
		w.committed[decisions] = kafka.Committed{Offset: 2, Metadata: "5@log"}
		w.insert("decisions", "log/decisions/0/0/2", w.places("log", 0, 2))
		w.insert("decisions", "log/decisions/0/2/5", w.places("log", 2, 5))
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 9) != "111111111" {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 9))
		}
	})
	bubble(t, "an open range without a log id", func(t *testing.T, w *world) {
		w.fill(4)
		w.committed[decisions] = kafka.Committed{Offset: 1, Metadata: "3"}
		w.insert("decisions", "log/decisions/0/0/1", w.places("log", 0, 1))
		if err := play(t, w, nil, nil); err != nil || w.tokens["decisions"][1] != "log/decisions/0/1/3" {
			t.Errorf("%v, tokens %v", err, w.tokens["decisions"])
		}
	})
	bubble(t, "an open range whose rows the engine lost", func(t *testing.T, w *world) {
		w.fill(5)
		w.committed[decisions] = kafka.Committed{Offset: 0, Metadata: "5@log"}
		w.insert("decisions", "log/decisions/0/0/5", nil) // the token without the rows
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 5) != "11111" {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 5))
		}
	})
	bubble(t, "what was deleted is a gap", func(t *testing.T, w *world) {
		w.fill(9)
		w.logs[decisions].start, w.logs[decisions].records = 4, w.logs[decisions].records[4:]
		w.committed[decisions] = kafka.Committed{Offset: 1, Metadata: "@log"}
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 9) != "000011111" || fmt.Sprint(w.gaps(t)) != "[decisions 1-4]" {
			t.Errorf("%v, rows %s, gaps %v", err, w.has("log", 0, 9), w.gaps(t))
		}
		if n := len(w.rows["gaps"]); n != 1 {
			t.Errorf("%d gaps are recorded, want 1", n)
		}
	})
	bubble(t, "what was deleted but stored is none", func(t *testing.T, w *world) {
		w.fill(9)
		w.logs[decisions].start, w.logs[decisions].records = 4, w.logs[decisions].records[4:]
		w.committed[decisions] = kafka.Committed{Offset: 0, Metadata: "4@log"}
		w.insert("decisions", "log/decisions/0/0/4", []position{{"log", 0, 0}, {"log", 0, 1}, {"log", 0, 2}, {"log", 0, 3}})
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 9) != "111111111" || len(w.gaps(t)) > 0 {
			t.Errorf("%v, rows %s, gaps %v", err, w.has("log", 0, 9), w.gaps(t))
		}
	})
	bubble(t, "deleted while it was being read", func(t *testing.T, w *world) {
		w.fill(3)
		for tp := range w.logs { // what has no commit would ask the store first
			w.committed[tp] = kafka.Committed{Offset: 0, Metadata: "@log"}
		}
		w.down = true
		err := play(t, w, func(c *Config) { c.MaxRows = 3 }, func(*node) {
			w.mu.Lock()
			l := w.logs[decisions]
			l.start, l.records = 20, nil
			w.down = false
			w.mu.Unlock()
			w.fill(2)
			time.Sleep(time.Minute)
		})
		if err != nil || w.has("log", 0, 3) != "111" || w.has("log", 20, 22) != "11" || fmt.Sprint(w.gaps(t)) != "[decisions 3-20]" {
			t.Errorf("%v, rows %s %s, gaps %v", err, w.has("log", 0, 3), w.has("log", 20, 22), w.gaps(t))
		}
	})
}

func TestOtherLogs(t *testing.T) {
	bubble(t, "a commit beyond the end", func(t *testing.T, w *world) {
		w.fill(3)
		w.committed[decisions] = kafka.Committed{Offset: 7, Metadata: "@log"}
		if err := play(t, w, nil, nil); !errors.Is(err, ErrOtherLog) || !strings.Contains(err.Error(), "--new-log") {
			t.Errorf("%v, want ErrOtherLog", err)
		}
	})
	bubble(t, "an open range beyond the end", func(t *testing.T, w *world) {
		w.fill(3)
		w.committed[decisions] = kafka.Committed{Offset: 2, Metadata: "7@log"}
		if err := play(t, w, nil, nil); !errors.Is(err, ErrOtherLog) {
			t.Errorf("%v, want ErrOtherLog", err)
		}
	})
	bubble(t, "no commit while rows exist", func(t *testing.T, w *world) {
		w.fill(3)
		w.insert("decisions", "t", []position{{"log", 0, 0}})
		if err := play(t, w, nil, nil); !errors.Is(err, ErrOtherLog) {
			t.Errorf("%v, want ErrOtherLog", err)
		}
	})
	bubble(t, "a new log by its own id", func(t *testing.T, w *world) {
		w.fill(8)
		w.committed[decisions] = kafka.Committed{Offset: 4, Metadata: "6@old"}
		err := play(t, w, func(c *Config) { c.NewLog = true }, nil)
		if err != nil || w.has("log", 0, 8) != "11111111" || w.has("old", 0, 8) != "00000000" || fmt.Sprint(w.gaps(t)) != "[decisions 4-6]" {
			t.Errorf("%v, rows %s, gaps %v", err, w.has("log", 0, 8), w.gaps(t))
		}
		// Started again without being told, it goes on.
		if err := play(t, w, nil, nil); err != nil || w.has("log", 0, 8) != "11111111" {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 8))
		}
	})
	bubble(t, "another id of the same log", func(t *testing.T, w *world) {
		w.fill(8)
		w.committed[decisions] = kafka.Committed{Offset: 4, Metadata: "6@old"}
		w.insert("decisions", "old/decisions/0/0/4", w.places("old", 0, 4))
		if err := play(t, w, nil, nil); err != nil || w.has("old", 0, 8) != "11111100" || w.has("log", 0, 8) != "00000011" {
			t.Errorf("%v, rows %s and %s", err, w.has("old", 0, 8), w.has("log", 0, 8))
		}
	})
	bubble(t, "another id of a log that lost its tail", func(t *testing.T, w *world) {
		w.fill(5)
		w.committed[decisions] = kafka.Committed{Offset: 4, Metadata: "9@old"}
		w.insert("decisions", "old/decisions/0/0/4", w.places("old", 0, 4))
		err := play(t, w, nil, func(*node) {
			w.fill(2)
			time.Sleep(time.Minute)
		})
		if err != nil || w.has("old", 0, 9) != "111110000" || w.has("log", 0, 7) != "0000011" {
			t.Errorf("%v, rows %s and %s", err, w.has("old", 0, 9), w.has("log", 0, 7))
		}
	})
}

// A store that is away for long must cost no memory, and nothing may be missing
// when it is back.
func TestStoreAwayForMinutes(t *testing.T) {
	bubble(t, "", func(t *testing.T, w *world) {
		w.down = true
		body := strings.Repeat("x", 60_000)
		big := func(n int) {
			for i := range n {
				r := decisionRecord(i, march)
				r.Value = append(r.Value[:len(r.Value)-1:len(r.Value)-1], `,"reason":"`+body+`"}`...)
				w.append(decisions, r)
			}
		}
		big(500)
		err := play(t, w, func(c *Config) { c.Memory = 16 << 20; c.MaxBytes = 4 << 20 }, func(n *node) {
			time.Sleep(10 * time.Minute)
			w.mu.Lock()
			w.down = false
			w.mu.Unlock()
			time.Sleep(2 * time.Minute)
		})
		if err != nil || strings.Trim(w.has("log", 0, 500), "1") != "" {
			t.Errorf("%v, rows %s", err, w.has("log", 0, 500))
		}
	})
}
