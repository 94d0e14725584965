package platform

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Source is what the consumers need of *kafka.Client, connected to the
// platform's brokers; they need not be Holdfast's own.
type Source interface {
	Partitions(ctx context.Context, topic string) (int, error)
	Join(ctx context.Context, cfg kafka.GroupConfig) (*kafka.Group, error)
	Fetch(ctx context.Context, positions []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error)
	Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error)
	Committed(ctx context.Context, group string, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Committed, error)
	Commit(ctx context.Context, a kafka.Assignment, offsets map[kafka.TopicPartition]kafka.Committed) error
}

// Writer is what the consumers need of *intake.Producer, which must be running.
type Writer interface {
	Send(ctx context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error
}

// Deps are the consumers' surroundings. All but Source and Writer may be nil.
type Deps struct {
	Source   Source
	Writer   Writer
	Networks intake.Networks
	Logger   *slog.Logger
	Metrics  *intake.Metrics
	Now      func() time.Time
}

// Platform consumes every topic of its configuration.
type Platform struct {
	cfg  Config
	deps Deps
}

// New returns consumers that do nothing before Run. The configuration must have
// been validated.
func New(cfg Config, deps Deps) *Platform {
	cfg.setDefaults()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = intake.NewMetrics(nil)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Platform{cfg: cfg, deps: deps}
}

// Run consumes until ctx ends; it returns nil then. Each topic has a group of its
// own, so that topics may have different numbers of partitions, and one that is
// missing delays no other.
func (p *Platform) Run(ctx context.Context) error {
	var consumers sync.WaitGroup
	for i := range p.cfg.Topics {
		consumers.Go(func() { p.consumer(&p.cfg.Topics[i]).run(ctx) })
	}
	consumers.Wait()
	return nil
}

func (p *Platform) consumer(t *Topic) *consumer {
	src := &intake.Source{Name: "topic:" + t.Topic, Types: t.Allow, Origin: t.Origin}
	src.Bind(t.Limits)
	if src.Origin == "" {
		src.Origin = schemas.OriginLive
	}
	return &consumer{
		platform: p, topic: t, group: p.cfg.Group + "." + t.Topic, src: src, mapping: newMapping(t),
		checker: intake.Checker{Networks: p.deps.Networks, Metrics: p.deps.Metrics},
		log:     p.deps.Logger.With("topic", t.Topic),
	}
}
