package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Recorder records journals. Run it once.
type Recorder struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	trouble *trouble
	tables  []schemas.Table
	again   chan struct{} // ranges that are read again
	// checkNow has something when the store is to be compared before its time.
	checkNow chan struct{}
}

// New prepares a recorder; it does nothing before Run.
func New(cfg Config, deps Deps) (*Recorder, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	log := deps.Logger.With("role", "record")
	r := &Recorder{
		cfg: cfg, deps: deps, log: log, trouble: newTrouble(log), metrics: newMetrics(deps.Metrics), tables: schemas.Tables(),
		again: make(chan struct{}, 2), checkNow: make(chan struct{}, 1),
	}
	r.trouble.ended = func(what string) {
		if what == inserting {
			r.check() // what failed may have cost rows that were there
		}
	}
	return r, nil
}

// check has the store compared with the log soon.
func (r *Recorder) check() {
	select {
	case r.checkNow <- struct{}{}:
	default:
	}
}

// ErrOtherLog says that the logs are not those that were recorded so far.
var ErrOtherLog = errors.New("the log is not the one that was recorded")

// Run records until the context ends, which is no error. It returns ErrOtherLog
// where it may not go on without being told.
func (r *Recorder) Run(ctx context.Context) error {
	var topics []string
	for _, t := range r.tables {
		topics = append(topics, r.cfg.Prefix+string(t.Topic))
	}
	err := r.member(ctx, topics)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// member records under one generation of the group after another.
func (r *Recorder) member(ctx context.Context, topics []string) error {
	group, err := r.deps.Broker.Join(ctx, kafka.GroupConfig{
		ID: r.cfg.Group, Topics: topics, Lanes: r.cfg.Lanes, SessionTimeout: r.cfg.SessionTimeout,
	})
	if err != nil {
		return err
	}
	defer group.Close()
	for {
		gen, err := group.Next(ctx)
		if err != nil {
			return err
		}
		r.log.Info("recording", "generation", gen.Generation, "lanes", len(gen.Lanes))
		err = r.own(ctx, gen)
		gen.Release()
		if err != nil {
			return err
		}
		// A member that was refused hears of it from its heartbeat a little later.
		select {
		case <-gen.Done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// own records what one generation gives, until it is over. What fails and may
// pass by itself is begun again from the committed offsets.
func (r *Recorder) own(ctx context.Context, gen Generation) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		started := time.Now()
		err := newReader(r, gen).run(ctx)
		switch {
		case err == nil, errors.Is(err, kafka.ErrStaleGeneration):
			return nil
		case errors.Is(err, ErrOtherLog):
			return err
		}
		if time.Since(started) > time.Minute {
			pause = 100 * time.Millisecond
		}
		r.log.Warn("recording stopped; it begins again", "error", err, "after", pause)
		if !wait(ctx, gen.Done, pause) {
			return nil
		}
	}
}

// wait pauses; false says that the context or the generation is over.
func wait(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-done:
		return false
	case <-t.C:
		return true
	}
}
