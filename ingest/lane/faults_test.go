package lane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/ingest/lane/memlog"
	"holdfast/schemas"
)

const (
	laneCount = 2
	reach     = 16
	block     = 8
	prefix    = "h."
)

func at(t schemas.Topic, p int32) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: prefix + string(t), Partition: p}
}

func newCluster() *memlog.Cluster {
	c := memlog.New()
	for _, t := range schemas.Topics() {
		n := laneCount
		if t.Single {
			n = 1
		}
		c.CreateTopic(prefix+string(t.Topic), n)
	}
	return c
}

// ablation is what a world lacks of the design, by name.
type ablation struct {
	rules      []string
	forgetSeen bool
}

// process is one runner: a seat that crashes, pauses and comes back.
type process struct {
	name    string
	role    lane.Role
	client  *memlog.Client
	runner  *lane.Runner
	stop    context.CancelFunc
	ended   chan error
	paused  bool
	wake    int // the step at which a pause ends
	expel   int // the step at which the group loses patience, or -1
	restart int // the step at which it begins, while it does not run
}

// world is one play of the log with or without faults.
type world struct {
	t       *testing.T
	c       *memlog.Cluster
	rnd     *rand.Rand
	without ablation
	seats   []*process
	starts  int
	step    int
	script  []scripted
	floors  []floorFrom
	asks    map[string]int // requests of people, by the suspension that they undo: the step
	asked   map[string]bool
	slow    string // requests of which this is part are let go late
	faults  bool
}

func newWorld(t *testing.T, seed uint64, faults bool, without ablation) *world {
	w := &world{
		t: t, c: newCluster(), rnd: rand.New(rand.NewPCG(seed, 1)), without: without, faults: faults,
		script: script(seed), floors: []floorFrom{{-1 << 30, 3}}, asks: map[string]int{}, asked: map[string]bool{},
	}
	w.slow = []string{"", "", "rejected", "facts", "inbox", "state", "status", "commit", "fetch"}[w.rnd.IntN(9)]
	roles := []lane.Role{lane.Detect(), lane.Respond()}
	for _, role := range roles {
		for i := range 2 {
			if i == 1 && !faults {
				continue
			}
			w.seats = append(w.seats, &process{name: fmt.Sprintf("%s%d", role.Name, i), role: role, expel: -1})
		}
	}
	return w
}

func (w *world) start(p *process) {
	w.starts++
	p.client = w.c.Client(fmt.Sprintf("%s.%d", p.name, w.starts))
	p.paused, p.expel = false, -1
	cfg := lane.Config{
		Role: p.role, Lanes: laneCount, Prefix: prefix, FetchWait: 20 * time.Millisecond,
		SaveTick: 4 * time.Millisecond, SaveAfter: 8 * time.Millisecond, SaveLimit: 40 * time.Millisecond,
		Commit: 6 * time.Millisecond, RenewEpoch: 400 * time.Millisecond, Grace: time.Second,
	}
	cfg.Reach(reach, block)
	cfg.Without(w.without.rules...)
	fold := func(n int32) lane.Fold { return newDetectFold(n, block) }
	if p.role.Name == "respond" {
		fold = func(int32) lane.Fold {
			f := newRespondFold()
			f.forgetSeen = w.without.forgetSeen
			return f
		}
	}
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("LANE_TRACE") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", p.name, "start", w.starts)
	}
	r, err := lane.New(cfg, lane.Deps{Broker: p.client, NewFold: fold, Logger: logger})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.runner, p.stop, p.ended = r, stop, make(chan error, 1)
	go func() { p.ended <- r.Run(ctx) }()
}

// people release what was suspended, mostly, some time later.
func (w *world) people() {
	for p := range int32(laneCount) {
		recs := w.c.Records(at(schemas.TopicDecisions, p))
		for _, r := range recs[max(0, len(recs)-3):] {
			if kindOf(&r) == schemas.KindFence {
				continue
			}
			var v verdict
			must(json.Unmarshal(r.Value, &v))
			if v.Verdict == "suspend" && !w.asked[v.ID] {
				w.asked[v.ID] = true
				if w.rnd.Float64() < .7 {
					w.asks[v.ID+"\x00"+v.Key] = w.step + 1 + w.rnd.IntN(400)
				}
			}
		}
	}
	for _, ask := range sortedKeys(w.asks) {
		if w.asks[ask] <= w.step {
			delete(w.asks, ask)
			id, key := cut(ask)
			w.c.Append(at(schemas.TopicInbox, kafka.Partition([]byte(key), laneCount)), record(schemas.KindRequest, "release "+id, key, signal{ID: "release " + id, Key: key}))
		}
	}
}

// play runs the world until everything written is folded, saved and committed.
func (w *world) play() (stuck bool) {
	if w.faults {
		w.c.Schedule()
	}
	defer w.stopAll()
	for _, p := range w.seats {
		w.start(p)
	}
	idle := time.Millisecond
	for w.step = 0; ; w.step++ {
		if w.step > 80000 {
			w.tell()
			return true
		}
		synctest.Wait()
		done := len(w.script) == 0
		if !done && (!w.faults && w.settled() || w.faults && w.rnd.Float64() < .05) {
			w.write()
		}
		w.people()
		if w.faults {
			w.harm(done)
		}
		if w.advance() {
			idle = time.Millisecond
			continue
		}
		if done && len(w.asks) == 0 && w.c.Late() == 0 && w.settled() && w.allUp() {
			return false
		}
		time.Sleep(time.Duration(1 + w.rnd.Int64N(int64(idle))))
		if idle = idle * 3 / 2; idle > 200*time.Millisecond {
			idle = 200 * time.Millisecond
		}
	}
}

// tell logs why a world does not come to rest.
func (w *world) tell() {
	w.t.Logf("left to write %d, to ask %d, late %d", len(w.script), len(w.asks), w.c.Late())
	for _, p := range w.seats {
		w.t.Logf("%s runs: %t, paused: %t\n%s", p.name, p.client != nil, p.paused, p.runner)
		for _, in := range p.role.Inputs {
			for n := range int32(laneCount) {
				tp := at(in.Topic, n)
				w.t.Logf("  %s ends at %d, committed %d", tp, w.c.End(tp), w.c.Committed(prefix+p.role.Name, tp))
			}
		}
	}
	for _, call := range w.c.Waiting() {
		w.t.Logf("waits: %s %s %s", call.Client, call.Step, call.What)
	}
}

func (w *world) allUp() bool {
	for _, p := range w.seats {
		if p.client == nil || p.paused {
			return false
		}
	}
	return true
}

// settled tells whether the groups have committed all there is.
func (w *world) settled() bool {
	for _, p := range w.seats {
		for _, in := range p.role.Inputs {
			for n := range int32(laneCount) {
				tp := at(in.Topic, n)
				if end := w.c.End(tp); w.c.Reached(prefix+p.role.Name, tp) != end {
					return false
				}
			}
		}
	}
	return true
}

func (w *world) stopAll() {
	for _, p := range w.seats {
		if p.client == nil {
			continue
		}
		p.client.Kill(func() bool { return false })
		p.stop()
		<-p.ended
	}
}

// harm is what befalls processes and logs at this step.
func (w *world) harm(done bool) {
	if n := w.c.Late(); n > 0 && (done || w.rnd.Float64() < .05) {
		w.c.Deliver(w.rnd.IntN(n))
	}
	if w.rnd.Float64() < .02 {
		t := []schemas.Topic{schemas.TopicStateDetect, schemas.TopicStateRespond, schemas.TopicStatus}[w.rnd.IntN(3)]
		tp := at(t, int32(w.rnd.IntN(laneCount)))
		if end := w.c.End(tp); end > 2 {
			w.c.Compact(tp, w.rnd.Int64N(end-1))
		}
		if end := w.c.End(at(schemas.TopicControl, 0)); end > 1 && w.rnd.Float64() < .3 {
			w.c.Compact(at(schemas.TopicControl, 0), w.rnd.Int64N(end-1))
		}
	}
	for _, p := range w.seats {
		switch {
		case p.client == nil:
			if w.step >= p.restart || done {
				w.start(p)
			}
			continue
		case p.paused && (w.step >= p.wake || done):
			p.paused = false
		}
		if p.expel >= 0 && (w.step >= p.expel || done) {
			p.expel = -1
			w.c.Expel(prefix+p.role.Name, p.client.Name())
		}
		if done || p.paused || w.rnd.Float64() > .003 {
			continue
		}
		switch x := w.rnd.Float64(); {
		case x < .45: // a crash
			w.end(p, func() { p.client.Kill(func() bool { return w.rnd.Float64() < .5 }) })
			w.c.Expel(prefix+p.role.Name, p.client.Name())
			p.client = nil
		case x < .55: // a stop in good order, which may not get far
			p.stop()
			p.paused, p.wake = false, 0
			w.finishing(p)
		default: // a pause, mostly past the group's patience
			p.paused, p.wake = true, w.step+[]int{5, 30, 100, 300}[w.rnd.IntN(4)]
			if w.rnd.Float64() < .9 {
				p.expel = w.step + w.rnd.IntN(30)
			}
		}
	}
}

func (w *world) end(p *process, kill func()) {
	kill()
	p.stop()
	<-p.ended
	p.restart = w.step + w.rnd.IntN(150)
}

// finishing lets a process stop while the rest of the world goes on, and kills it
// when it takes too long.
func (w *world) finishing(p *process) {
	for range 200 {
		synctest.Wait()
		select {
		case err := <-p.ended:
			if err != nil {
				w.t.Errorf("stopping in good order: %v", err)
			}
			w.c.Expel(prefix+p.role.Name, p.client.Name())
			p.client, p.restart = nil, w.step+w.rnd.IntN(150)
			return
		default:
		}
		if !w.advance() {
			time.Sleep(time.Millisecond)
		}
	}
	w.end(p, func() { p.client.Kill(func() bool { return w.rnd.Float64() < .5 }) })
	w.c.Expel(prefix+p.role.Name, p.client.Name())
	p.client = nil
}

// advance lets one of the waiting requests go on, and tells whether there was one.
func (w *world) advance() bool {
	var can []*memlog.Call
	for _, call := range w.c.Waiting() {
		if !w.isPaused(call.Client) {
			can = append(can, call)
		}
	}
	if len(can) == 0 || w.faults && w.rnd.Float64() < .1 {
		return false
	}
	call := can[w.rnd.IntN(len(can))]
	for try := 0; try < 4 && w.slow != "" && strings.Contains(call.Step+" "+call.What, w.slow); try++ {
		call = can[w.rnd.IntN(len(can))]
	}
	v := memlog.Verdict{Limit: 1 + w.rnd.IntN(6)}
	if w.faults && len(w.script) > 0 {
		switch x := w.rnd.Float64(); {
		case x < .1:
			v.Twice = true
		case x < .12:
			v.Late = true
		case x < .14:
			v.Lost = true
		}
	}
	w.c.Go(call, v)
	return true
}

func (w *world) isPaused(client string) bool {
	for _, p := range w.seats {
		if p.client != nil && p.paused && p.client.Name() == client {
			return true
		}
	}
	return false
}
