package enforce_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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

// world is everything around an Enforcer and the Senders of its channels: logs that only
// grow, a compacted topic, and what was committed. It outlives each run, as a broker does.
type world struct {
	cfg       enforce.Config
	platforms []enforce.Platform
	platform  *receiver // the first of them
	notifiers []enforce.Notifier
	reg       *prometheus.Registry
	logs      *lines

	mu        sync.Mutex
	log       []enforce.Item // decisions and acts, of one partition
	committed int64
	kept      [][]byte // states, oldest first
	actions   []schemas.Action
	outbox    []*notify.Letter
	sent      map[string]int64 // committed, by channel
	notices   []schemas.Notice // outcomes
	journal   []schemas.Notice // all that was written
	desk      notify.Desk      // without its directories
	sinkFails int
	fenced    bool
	dead      bool              // notices are written down no more
	cut       func(what string) // called before each write
	grown     chan struct{}
}

func newWorld(items ...*decision.Record) *world {
	w := &world{cfg: enforce.DefaultConfig(), sent: map[string]int64{}, reg: prometheus.NewRegistry(), grown: make(chan struct{}), logs: new(lines)}
	w.platform = &receiver{name: "platform"}
	w.platforms = []enforce.Platform{w.platform}
	w.add(items...)
	return w
}

func (w *world) add(items ...*decision.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range items {
		w.log = append(w.log, enforce.Item{Topic: schemas.TopicDecisions, Partition: 3, Offset: int64(len(w.log)), Record: r})
	}
	w.grow()
}

func (w *world) retry(entity string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, enforce.Item{Topic: schemas.TopicDecisions, Partition: 3, Offset: int64(len(w.log)), Retry: schemas.Entity{Kind: schemas.KindAccount, ID: entity}})
	w.grow()
}

func (w *world) grow() {
	close(w.grown)
	w.grown = make(chan struct{})
}

func (w *world) writes(what string) {
	if w.cut != nil {
		w.cut(what)
	}
}

// source reads the log from what was committed.
type source struct {
	*world
	next int64
}

func (s *source) Next(ctx context.Context) ([]enforce.Item, error) {
	for {
		s.mu.Lock()
		n, grown := int64(len(s.log)), s.grown
		if s.next < n {
			items := s.log[s.next:n]
			s.next = n
			s.mu.Unlock()
			return items, nil
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

func (s *source) Commit(_ context.Context, _ schemas.Topic, _ int32, offset int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if offset < s.committed {
		return errors.New("went back")
	}
	s.committed = offset
	return nil
}

func (w *world) Load(_ context.Context, each func(int32, *enforce.State)) error {
	for _, b := range w.kept {
		s, err := enforce.Decode(b)
		if err != nil {
			return err
		}
		each(3, s)
	}
	return nil
}

func (w *world) Save(ctx context.Context, _ int32, states []enforce.Saved) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fenced {
		return enforce.ErrLost
	}
	if w.writes("state"); ctx.Err() != nil {
		return ctx.Err()
	}
	for _, s := range states {
		w.kept = append(w.kept, s.Value)
	}
	return nil
}

func (w *world) Actions(ctx context.Context, as []schemas.Action) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sinkFails > 0 {
		w.sinkFails--
		return errors.New("broker is away")
	}
	if w.writes("actions"); ctx.Err() != nil {
		return ctx.Err()
	}
	w.actions = append(w.actions, as...)
	return nil
}

func (w *world) Letters(ctx context.Context, ls []notify.Letter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writes("letters"); ctx.Err() != nil {
		return ctx.Err()
	}
	for _, l := range ls {
		w.outbox = append(w.outbox, &l)
	}
	w.grow()
	return nil
}

// post is the outbox and the journal of one channel.
type post struct {
	*world
	name string
	next int64
}

func (p *post) Next(ctx context.Context) ([]enforce.LetterItem, error) {
	for {
		p.mu.Lock()
		n, grown := int64(len(p.outbox)), p.grown
		var items []enforce.LetterItem
		for ; p.next < n; p.next++ {
			items = append(items, enforce.LetterItem{Partition: 3, Offset: p.next, Letter: p.outbox[p.next]})
		}
		p.mu.Unlock()
		if len(items) > 0 {
			return items, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

func (p *post) Commit(_ context.Context, _ int32, offset int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[p.name] = offset
	return nil
}

func (p *post) Known(_ context.Context, add func(*schemas.Notice)) error {
	for _, n := range p.journal {
		add(&n)
	}
	return nil
}

func (p *post) Notices(ctx context.Context, told []enforce.Told) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writes("notice"); ctx.Err() != nil {
		return ctx.Err()
	}
	if p.dead {
		return errors.New("nobody is there to write it")
	}
	for _, x := range told {
		p.journal = append(p.journal, x.Notice)
		if x.Notice.Outcome != enforce.OutcomeSending {
			p.notices = append(p.notices, x.Notice)
		}
	}
	return nil
}

// run runs an Enforcer and its Senders inside a bubble until do returns.
func (w *world) run(t *testing.T, do func()) {
	t.Helper()
	w.during(t, t.Context(), do)
}

// runUntil runs until ctx ends, at most so long.
func (w *world) runUntil(t *testing.T, ctx context.Context, d time.Duration) {
	t.Helper()
	w.during(t, ctx, func() {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	})
}

func (w *world) during(t *testing.T, ctx context.Context, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	log := slog.New(slog.NewTextHandler(w.logs, nil))
	metrics := enforce.NewMetrics(prometheus.WrapRegistererWith(nil, w.reg))
	defer func() { w.reg = prometheus.NewRegistry() }()
	deps := enforce.Deps{Source: &source{w, w.committed}, Store: w, Sink: w, Platforms: w.platforms, Metrics: metrics, Logger: log}
	desk := w.desk
	deps.Desk = &desk
	var g sync.WaitGroup
	for _, n := range w.notifiers {
		desk.Directories = append(desk.Directories, n)
		p := &post{w, n.Name(), w.sent[n.Name()]}
		s := enforce.NewSender(w.cfg, enforce.SenderDeps{Notifier: n, Outbox: p, Journal: p, Metrics: metrics, Logger: log})
		g.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("sender: %v", err)
			}
		})
	}
	e := enforce.New(w.cfg, deps)
	g.Go(func() {
		if err := e.Run(ctx); err != nil && !errors.Is(err, enforce.ErrLost) {
			t.Errorf("run: %v", err)
		}
	})
	do()
	synctest.Wait()
	cancel()
	g.Wait()
}

// pass runs and lets so much of a bubble's time pass.
func (w *world) pass(t *testing.T, d time.Duration) {
	t.Helper()
	w.run(t, func() { time.Sleep(d) }) // a bubble's time: it passes when all else waits
}

func (w *world) outcomes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, a := range w.actions {
		out = append(out, fmt.Sprintf("%s %s %s×%d", a.Entity.ID, a.Verdict, a.Outcome, a.Attempts))
	}
	return out
}

// told are the notices that were sent, in no order.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, n := range w.notices {
		out = append(out, n.Channel+" "+n.Entity.ID+" "+n.To+" "+n.Outcome)
	}
	slices.Sort(out)
	return out
}

// state is what is kept of an account.
func (w *world) state(t *testing.T, account string) *enforce.State {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range slices.Backward(w.kept) {
		s, err := enforce.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if s.Entity.ID == account {
			return s
		}
	}
	t.Fatalf("nothing is kept of %s", account)
	return nil
}

// receiver is a platform or a notifier that fails as it is told.
type receiver struct {
	name      string
	operators []string
	customers bool
	fail      func(entity, what string, try int) (bool, error)
	took      time.Duration
	reports   func(entity string) (string, error)

	mu      sync.Mutex
	tries   map[string]int
	good    map[string]int // ids that were taken, and how often
	calls   []string
	ids     []string
	changes []notify.Change
	most    int
	now     int
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

func (r *receiver) Reports() bool { return r.reports != nil }
func (r *receiver) Status(_ context.Context, e schemas.Entity) (notify.Report, error) {
	status, err := r.reports(e.ID)
	return notify.Report{Status: status}, err
}

func (r *receiver) call(ctx context.Context, id, entity, what string) (bool, error) {
	r.mu.Lock()
	if r.tries == nil {
		r.tries, r.good = map[string]int{}, map[string]int{}
	}
	r.tries[id]++
	try, took, fail := r.tries[id], r.took, r.fail
	r.calls, r.ids = append(r.calls, entity+" "+what), append(r.ids, id)
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.now--; r.mu.Unlock() }()
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	if fail != nil {
		if retry, err := fail(entity, what, try); err != nil {
			return retry, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good[id]++
	return false, nil
}

func (r *receiver) set(fail func(entity, what string, try int) (bool, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func (r *receiver) Change(ctx context.Context, c notify.Change) (bool, error) {
	r.mu.Lock()
	r.changes = append(r.changes, c)
	r.mu.Unlock()
	return r.call(ctx, c.ID, c.Entity.ID, c.Status)
}

func (r *receiver) Send(ctx context.Context, m notify.Message) (bool, error) {
	return r.call(ctx, m.ID, m.Decision.Entity.ID, m.Address.Audience+" "+m.Address.To)
}

// away fails every call in a way that passes.
func away(string, string, int) (bool, error) { return true, errors.New("away") }

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// record is a decision about an account, the next step of its episode.
func record(id, account string, v schemas.Verdict) *decision.Record {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: account}
	status := map[schemas.Verdict]string{"suspend": "suspended", "throttle": "throttled", "release": "active"}[v]
	var step int
	_, _ = fmt.Sscanf(id, "dec_%d", &step)
	return &decision.Record{
		Decision: schemas.Decision{
			ID: id, Time: time.Now(), Entity: e, Account: account, Verdict: v, Proposed: v, Policy: "two", Mode: schemas.ModeLive,
			Reason: "4312 recipients", NoticeReason: "odd mail", Arrival: time.Now(),
		},
		Status:   &schemas.Status{Entity: e, Status: status, Episode: 1, Step: step, Verdict: v, Decision: id},
		Contacts: []schemas.Contact{{Email: "owner@" + account, Role: "owner"}},
	}
}
