package record

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

const modelTopic = "holdfast.decisions"

func allTopics() []string {
	var out []string
	for _, t := range schemas.Tables() {
		out = append(out, "holdfast."+string(t.Topic))
	}
	return out
}

func decisionRecord(i int, at time.Time) kafka.Record {
	id := fmt.Sprint("d", i)
	return kafka.Record{
		Time: at.UnixMilli(), Key: []byte("account:a"), Value: fmt.Appendf(nil, `{"id":%q,"time":"2026-03-02T00:00:00Z","entity":{"kind":"account","id":"a"}}`, id),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindDecision)}, {Key: schemas.HeaderID, Value: []byte(id)}},
	}
}

// model plays one seed: 60 records, months that change, a fence here and there, a
// bounded memory of tokens with others pushing them out, and a group that hands the
// partition to processes that die, sleep and wake.
type model struct {
	window, pause, noise int
}

func (m model) run(t *testing.T, seed uint64) (lost, doubled int) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, 1, allTopics())
		w.window, w.faults = m.window, true
		rng := rand.New(rand.NewPCG(seed, 2))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 100)
		var nodes []*node
		launch := func() *node {
			n := &node{world: w}
			nodes = append(nodes, n)
			r, err := New(Config{Lanes: 1, LogID: "log", MaxRows: 7, MinAge: 50 * time.Millisecond, Memory: 64 << 20, Grace: 100 * time.Millisecond, CheckEvery: time.Second, CheckAfter: 100 * time.Millisecond}, Deps{Broker: n, Store: n})
			if err != nil {
				t.Fatal(err)
			}
			go func() { ended <- r.Run(ctx) }()
			return n
		}
		cur := launch()
		tp := kafka.TopicPartition{Topic: modelTopic}
		at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
		fences, written := map[int64]bool{}, 0
		for step := 0; step < 400; step++ {
			time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
			for range rng.IntN(4) {
				if written == 60 {
					break
				}
				r := decisionRecord(written, at)
				if rng.IntN(12) == 0 {
					r.Headers[0].Value = []byte(schemas.KindFence)
					fences[int64(written)] = true
				}
				if rng.IntN(15) == 0 {
					at = at.AddDate(0, 1, 0)
				}
				w.append(tp, r)
				written++
			}
			w.mu.Lock()
			if len(w.late) > 0 && rng.IntN(3) == 0 {
				k := rng.IntN(len(w.late))
				late := w.late[k]
				w.late = append(w.late[:k], w.late[k+1:]...)
				late()
			}
			if m.noise > 0 && rng.IntN(m.noise) == 0 {
				w.tokens["decisions"] = append(w.tokens["decisions"], fmt.Sprint("noise", step))
			}
			if step < 250 && rng.IntN(25) == 0 {
				switch rng.IntN(3) {
				case 0: // it dies
					cur.dead = true
				case 1: // it sleeps, and wakes when another owns the partition
					cur.sleep = time.Now().Add(time.Duration(rng.IntN(m.pause)) * time.Millisecond)
				case 2: // the group moves on and it knows
				}
				w.mu.Unlock()
				time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
				cur = launch()
				continue
			}
			w.mu.Unlock()
		}
		w.mu.Lock()
		w.faults = false
		for _, late := range w.late {
			late()
		}
		w.late = nil
		w.mu.Unlock()
		time.Sleep(5 * time.Minute)
		w.mu.Lock()
		for o := range int64(written) {
			switch n := w.rows["decisions"][position{"log", 0, o}]; {
			case n == 0 && !fences[o]:
				lost++
			case n > 1, n == 1 && fences[o]:
				doubled++
			}
		}
		if c := w.committed[tp]; c.Offset != int64(written) || c.Metadata != "@log" {
			t.Errorf("seed %d: the commit is %+v, want offset %d and nothing open", seed, c, written)
		}
		for _, n := range nodes {
			n.sleep = time.Time{}
		}
		w.mu.Unlock()
		cancel()
		for range nodes {
			if err := <-ended; err != nil {
				t.Errorf("seed %d: a recorder ended with %v", seed, err)
			}
		}
	})
	return lost, doubled
}

// Whatever happens to processes, messages and the group, every record is stored
// once, as long as the store remembers the tokens.
func TestExactlyOnceUnderFaults(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		if lost, doubled := (model{window: 1 << 30, pause: 3000, noise: 3}).run(t, seed); lost+doubled > 0 {
			t.Errorf("seed %d: lost %d, doubled %d", seed, lost, doubled)
		}
	}
}

// With a short memory of tokens a late insert can double a range, which the
// table's sort key undoes at the next merge; nothing may ever be lost.
func TestNothingLostBeyondTheWindow(t *testing.T) {
	doubled := 0
	for seed := range uint64(60) {
		lost, d := (model{window: 2, pause: 3000, noise: 1}).run(t, seed)
		if lost > 0 {
			t.Errorf("seed %d: lost %d", seed, lost)
		}
		doubled += d
	}
	t.Logf("rows doubled with a window of 2 tokens: %d", doubled)
}
