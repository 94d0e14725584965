package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// latency measures, under a load of rate events a second, the time from handing an
// event to intake until the account's suspension stands on the status topic. Each
// probe is a whole automatic stop: a key is used from an employee's address, which
// takes a fact between lanes, a signal, a proposal, the gate's answer and a decision.
func latency(ctx context.Context, cfg *config.Config, p *app.Player, c *kafka.Client, rate float64, accounts, probes int) error {
	now := time.Now().UTC()
	if err := teach(ctx, p, now, accounts, probes); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return load(ctx, p, rate, accounts) })
	w := &watcher{sent: map[string]time.Time{}, all: make(chan struct{}), want: probes}
	g.Go(func() error { return w.watch(ctx, c, cfg) })
	if err := sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	for i := range probes {
		a := accounts + i
		w.send(fmt.Sprintf("account:acct-%06d", a))
		e := send(fmt.Sprintf("probe-%d", i), time.Now().UTC(), a, probeAddress(i), "x@x.example")
		if _, err := p.PlayJSON(ctx, one(e), schemas.OriginLive); err != nil {
			return err
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	select {
	case <-w.all:
	case <-time.After(20 * time.Second):
	}
	cancel()
	_ = g.Wait()
	return w.print(rate)
}

func probeAddress(i int) string { return fmt.Sprintf("203.0.%d.%d", i/250, 1+i%250) }

func one(e event) func(func([]byte) bool) {
	return func(yield func([]byte) bool) { yield(e.json) }
}

// teach gives each probe's account three weeks of its own address, and an employee a
// login from the address that the probe will use.
func teach(ctx context.Context, p *app.Player, now time.Time, accounts, probes int) error {
	_, err := p.PlayJSON(ctx, func(yield func([]byte) bool) {
		for day := 21; day > 0; day-- {
			for i := range probes {
				a := accounts + i
				e := send(fmt.Sprintf("teach-%d-%d", i, day), now.AddDate(0, 0, -day), a, address(a), "c@mail.example")
				if !yield(e.json) {
					return
				}
			}
		}
		for i := range probes {
			login := fmt.Appendf(nil, `{"id":"staff-%d","time":%q,"type":"login","employee":"emp-%d","user":"emp-%d","ip":%q,"outcome":"success"}`,
				i, now.Format(time.RFC3339), i%20, i%20, probeAddress(i))
			if !yield(login) {
				return
			}
		}
	}, schemas.OriginLive)
	if err != nil {
		return err
	}
	return p.Settled(ctx)
}

// load sends rate events a second until ctx ends.
func load(ctx context.Context, p *app.Player, rate float64, accounts int) error {
	start := time.Now()
	for n := 0; ctx.Err() == nil; {
		due := int(time.Since(start).Seconds() * rate)
		_, err := p.PlayJSON(ctx, func(yield func([]byte) bool) {
			for ; n < due; n++ {
				a := n * 7919 % accounts
				if !yield(send(fmt.Sprintf("load-%d", n), time.Now().UTC(), a, address(a), "c1@mail.example").json) {
					return
				}
			}
		}, schemas.OriginLive)
		if err != nil {
			return err
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return nil //nolint:nilerr // the measurement is over
		}
	}
	return nil
}

// watcher notes when a suspension stands on the status topic.
type watcher struct {
	mu   sync.Mutex
	sent map[string]time.Time
	took []time.Duration
	want int
	all  chan struct{}
}

func (w *watcher) send(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[key] = time.Now()
}

func (w *watcher) watch(ctx context.Context, c *kafka.Client, cfg *config.Config) error {
	var tps []kafka.TopicPartition
	for i := range int32(cfg.Kafka.Lanes) {
		tps = append(tps, kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicStatus), Partition: i})
	}
	ranges, err := c.Offsets(ctx, tps)
	if err != nil {
		return err
	}
	var at []kafka.Position
	for _, tp := range tps {
		at = append(at, kafka.Position{TopicPartition: tp, Offset: ranges[tp].End})
	}
	for ctx.Err() == nil {
		got, err := c.Fetch(ctx, at, kafka.FetchOptions{MaxWait: 500 * time.Millisecond})
		if err != nil {
			continue
		}
		for i, f := range got {
			for _, r := range f.Records {
				var s schemas.Status
				if json.Unmarshal(r.Value, &s) == nil && s.Status == "suspended" {
					w.seen(s.Entity.Key())
				}
			}
			at[i].Offset = max(at[i].Offset, f.Next)
		}
	}
	return nil
}

func (w *watcher) seen(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t, ok := w.sent[key]; ok {
		delete(w.sent, key)
		if w.took = append(w.took, time.Since(t)); len(w.took) == w.want {
			close(w.all)
		}
	}
}

func (w *watcher) print(rate float64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.took) == 0 {
		return fmt.Errorf("latency: none of %d probes was stopped", w.want)
	}
	slices.Sort(w.took)
	at := func(q float64) time.Duration {
		return w.took[min(len(w.took)-1, int(q*float64(len(w.took))))].Round(100 * time.Microsecond)
	}
	fmt.Printf("produced → status suspended at %.0f events/s: median %v, p99 %v, worst %v (%d of %d probes)\n", rate, at(.5), at(.99), at(1), len(w.took), w.want)
	return nil
}
