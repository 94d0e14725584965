package enforce_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// world is everything around an Enforcer.
type world struct {
	cfg       enforce.Config
	log       []enforce.Item
	platform  *receiver
	notifiers []enforce.Notifier
	known     []string
	reg       *prometheus.Registry

	mu        sync.Mutex
	next      int
	committed map[int32]int64
	actions   []schemas.Action
	notices   []schemas.Notice
	sinkFails int
}

func newWorld(items ...*decision.Record) *world {
	w := &world{cfg: enforce.DefaultConfig(), committed: map[int32]int64{}, reg: prometheus.NewRegistry()}
	w.platform = &receiver{name: "platform"}
	for i, r := range items {
		w.log = append(w.log, enforce.Item{Partition: 3, Offset: int64(10 + i), Record: r})
	}
	return w
}

func (w *world) Next(ctx context.Context) ([]enforce.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next < len(w.log) {
		w.next++
		return w.log[w.next-1 : w.next], nil
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	return nil, ctx.Err()
}

func (w *world) Commit(_ context.Context, partition int32, offset int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if offset < w.committed[partition] {
		return errors.New("went back")
	}
	w.committed[partition] = offset
	return nil
}

func (w *world) Action(_ context.Context, a schemas.Action) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sinkFails > 0 {
		w.sinkFails--
		return errors.New("broker is away")
	}
	w.actions = append(w.actions, a)
	return nil
}

func (w *world) Notice(_ context.Context, n schemas.Notice) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notices = append(w.notices, n)
	return nil
}

func (w *world) Known(_ context.Context, add func(string)) error {
	for _, id := range w.known {
		add(id)
	}
	return nil
}

// run runs an Enforcer inside a bubble for d.
func (w *world) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	deps := enforce.Deps{Source: w, Sink: w, Ledger: w, Notifiers: w.notifiers, Metrics: enforce.NewMetrics(w.reg)}
	if w.platform != nil {
		deps.Platform = w.platform
	}
	e := enforce.New(w.cfg, deps)
	go func() { done <- e.Run(ctx) }()
	time.Sleep(d) // a bubble's time: it passes when all else waits
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

func (w *world) outcomes() []string {
	var out []string
	for _, a := range w.actions {
		out = append(out, fmt.Sprintf("%s %s %s×%d", a.Entity.ID, a.Verdict, a.Outcome, a.Attempts))
	}
	return out
}

// receiver is a platform or a notifier that fails as it is told.
type receiver struct {
	name      string
	operators []string
	customers bool
	fail      func(entity string, try int) (bool, error)
	took      time.Duration

	mu    sync.Mutex
	tries map[string]int
	calls []string
	most  int
	now   int
}

func (r *receiver) Name() string    { return r.name }
func (r *receiver) Customers() bool { return r.customers }
func (r *receiver) Audiences() []notify.Address {
	var out []notify.Address
	for _, o := range r.operators {
		out = append(out, notify.Address{Audience: notify.AudienceOperator, To: o})
	}
	return out
}

func (r *receiver) call(ctx context.Context, id, entity, what string) (bool, error) {
	r.mu.Lock()
	if r.tries == nil {
		r.tries = map[string]int{}
	}
	r.tries[id]++
	try := r.tries[id]
	r.calls = append(r.calls, entity+" "+what)
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.now--; r.mu.Unlock() }()
	if r.took > 0 {
		select {
		case <-time.After(r.took):
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	if r.fail != nil {
		return r.fail(entity, try)
	}
	return false, nil
}

func (r *receiver) Change(ctx context.Context, c notify.Change) (bool, error) {
	return r.call(ctx, c.ID, c.Entity.ID, c.Status)
}

func (r *receiver) Send(ctx context.Context, m notify.Message) (bool, error) {
	return r.call(ctx, m.ID, m.Decision.Entity.ID, m.Address.Audience+" "+m.Address.To)
}

func record(id, account string, v schemas.Verdict) *decision.Record {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: account}
	status := map[schemas.Verdict]string{"suspend": "suspended", "throttle": "throttled", "release": "active"}[v]
	return &decision.Record{
		Decision: schemas.Decision{
			ID: id, Time: time.Now(), Entity: e, Account: account, Verdict: v, Proposed: v, Policy: "two", Mode: schemas.ModeLive,
			Reason: "4312 recipients", NoticeReason: "odd mail", Arrival: time.Now(),
		},
		Status:   &schemas.Status{Entity: e, Status: status, Episode: 1, Step: 1},
		Contacts: []schemas.Contact{{Email: "owner@" + account, Role: "owner"}},
	}
}
