package lane

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Runner runs the lanes of one role that the group gives to this process.
type Runner struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	topics  map[schemas.Topic]topic
	control controlLog

	urgent, bulk, saves, restores chan struct{} // slots
	scratches                     scratches

	fatal      chan error        // why no lane of this process can go on
	handles    map[int32]*handle // Run's goroutine's
	quietUntil time.Time         // no warning of a failing partition before; the fetcher's

	mu        sync.Mutex
	working   []*lane // by number; nil: not restored here
	stuck     map[*lane]Stuck
	joined    bool               // the group has assigned lanes, none perhaps
	idle      map[int32]*Idle    // of every assigned lane; counts while it does not work
	interrupt context.CancelFunc // ends the fetch that is on the way
	changed   chan struct{}
}

// topic is a topic's name on the broker and its number of partitions.
type topic struct {
	name       string
	partitions int
}

// New returns a runner that does nothing before Run.
func New(cfg Config, deps Deps) (*Runner, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if err := deps.setDefaults(); err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Registerer, cfg.Role.Name)
	if err != nil {
		return nil, fmt.Errorf("lane: registering the metrics of role %s: %w", cfg.Role.Name, err)
	}
	r := &Runner{
		cfg: cfg, deps: deps, log: deps.Logger.With("role", cfg.Role.Name), metrics: m,
		topics: map[schemas.Topic]topic{},
		urgent: make(chan struct{}, cfg.InFlight), bulk: make(chan struct{}, cfg.InFlight),
		saves: make(chan struct{}, cfg.InFlight), restores: make(chan struct{}, cfg.Restores),
		scratches: scratches{left: 8}, fatal: make(chan error, 1),
		handles: map[int32]*handle{}, working: make([]*lane, cfg.lanes()), stuck: map[*lane]Stuck{}, changed: make(chan struct{}, 1),
	}
	r.control.broker, r.control.reading = deps.Broker, make(chan struct{}, 1)
	r.control.at = kafka.TopicPartition{Topic: cfg.topic(schemas.TopicControl)}
	for _, t := range schemas.Topics() {
		n := cfg.Lanes
		if t.Single {
			n = 1
		}
		r.topics[t.Topic] = topic{cfg.topic(t.Topic), n}
	}
	return r, nil
}

// partitions is how many partitions a topic has.
func (r *Runner) partitions(t schemas.Topic) int { return r.topics[t].partitions }

// Run joins the role's group and works until ctx ends; then it flushes, saves all
// that is unsaved, commits and leaves, within Config.Grace. It returns an error only
// where no lane can work: the topics are not what the configuration says, another version
// of the program wrote the state, or the group refuses this member.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.checkTopics(ctx); ctx.Err() != nil {
		return nil
	} else if err != nil {
		return err
	}
	if err := r.checkState(ctx); ctx.Err() != nil {
		return nil
	} else if err != nil {
		return err
	}
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	group, err := r.deps.Broker.Join(ctx, r.group())
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("lane: role %s: %w", r.cfg.Role.Name, err)
	}
	defer group.Close()
	var fetching errgroup.Group
	fetch, stopFetch := context.WithCancel(hard)
	fetching.Go(func() error { r.fetchLoop(fetch); return nil })
	fetching.Go(func() error { r.watch(fetch); return nil })
	err = r.generations(ctx, hard, group)
	stopFetch()
	_ = fetching.Wait() // never fails
	r.finish(cancel)
	return err
}

func (r *Runner) group() kafka.GroupConfig {
	g := kafka.GroupConfig{
		ID: r.cfg.Prefix + r.cfg.Role.Name, Lanes: r.cfg.lanes(),
		SessionTimeout: r.cfg.SessionTimeout, Heartbeat: r.cfg.Heartbeat,
		ClientID: schemas.LevelNewest.Member(),
	}
	for _, in := range r.cfg.Role.Inputs {
		g.Topics = append(g.Topics, r.cfg.topic(in.Topic))
	}
	return g
}

// checkTopics refuses topics whose number of partitions is not the number of lanes:
// keys would map elsewhere than everybody else thinks.
func (r *Runner) checkTopics(ctx context.Context) error {
	names := []schemas.Topic{r.cfg.Role.State}
	for _, in := range r.cfg.Role.Inputs {
		names = append(names, in.Topic)
	}
	for _, f := range r.cfg.Role.Fences {
		names = append(names, f.Topic)
	}
	for _, t := range append(names, r.cfg.Role.Bulk...) {
		want, ok := r.topics[t]
		if !ok {
			return fmt.Errorf("lane: role %s: topic %s is not one of Holdfast's", r.cfg.Role.Name, t)
		}
		n, err := r.deps.Broker.Partitions(ctx, want.name)
		if err != nil {
			return fmt.Errorf("lane: role %s: %w: create the topics first", r.cfg.Role.Name, err)
		}
		if n != want.partitions {
			return fmt.Errorf("lane: role %s: topic %s has %d partitions where %d are expected: the number of lanes is fixed when the topics are created; "+
				"set it to that, or rebuild", r.cfg.Role.Name, want.name, n, want.partitions)
		}
	}
	return nil
}

// generations follows the group until ctx ends.
func (r *Runner) generations(ctx, hard context.Context, group Group) error {
	for {
		gen, err := group.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // told to stop, which is no failure
			}
			return fmt.Errorf("lane: role %s: %w", r.cfg.Role.Name, err)
		}
		r.adopt(hard, gen)
		select {
		case err := <-r.fatal:
			return fmt.Errorf("lane: role %s leaves its group: %w", r.cfg.Role.Name, err)
		case <-ctx.Done():
			return nil
		case <-gen.Done:
			// The lanes go on: their epochs, not the group, keep a lost one from harm.
			gen.Release()
		}
	}
}

// adopt makes the lanes be those of a new generation.
func (r *Runner) adopt(hard context.Context, gen *Generation) {
	own := gen.Assignment
	r.log.Info("new generation", "generation", own.Generation, "lanes", own.Lanes, "kept", gen.Kept)
	r.assign(own.Lanes)
	var lost []*handle
	for n, h := range r.handles {
		if !slices.Contains(own.Lanes, n) || !slices.Contains(gen.Kept, n) {
			h.drop()
			lost = append(lost, h)
			delete(r.handles, n)
		}
	}
	patience := time.After(giveUp)
	for _, h := range lost {
		r.outlast(h, patience)
		if !slices.Contains(own.Lanes, h.n) {
			r.metrics.gone(h.n)
		}
	}
	for _, n := range own.Lanes {
		if h := r.handles[n]; h != nil {
			h.renew(&own)
		} else if int(n) < len(r.working) {
			r.handles[n] = r.begin(hard, n, &own)
		}
	}
}

// finish stops the lanes in good order, or hard when the grace period is over.
func (r *Runner) finish(cancel context.CancelFunc) {
	for _, h := range r.handles {
		h.halt()
	}
	grace := time.AfterFunc(r.cfg.Grace, cancel)
	defer grace.Stop()
	patience := time.After(r.cfg.Grace + giveUp)
	for _, h := range r.handles {
		r.outlast(h, patience)
		r.metrics.gone(h.n)
	}
}

// giveUp is how long a lane that was told to stop at once is waited for. One whose fold
// takes no end never stops; its epoch keeps what it might still write from harm.
const giveUp = 5 * time.Second

func (r *Runner) outlast(h *handle, patience <-chan time.Time) {
	select {
	case <-h.ended:
		return
	default:
	}
	select {
	case <-h.ended:
	case <-patience:
		r.log.Error("a lane does not stop; it is left behind", "lane", h.n, "busy_with", r.Stuck())
	}
}

// Working tells how many lanes of this process are restored and work.
func (r *Runner) Working() (working int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.working {
		if l != nil {
			working++
		}
	}
	return working
}
