package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"holdfast/alerting/gate"
	"holdfast/alerting/respond"
	"holdfast/detectors"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/ingest/record"
	"holdfast/schemas"
)

func (a *App) lanes(ctx context.Context, g *errgroup.Group, role lane.Role, fold func(i int32) lane.Fold) error {
	cfg := lane.Config{Role: role, Lanes: a.install.Lanes, Prefix: a.cfg.Kafka.Prefix, Producer: "holdfast-" + a.install.ID}
	if role.Name == "detect" {
		cfg.SaveAfter = a.cfg.Detect.SaveEvery
	}
	r, err := lane.New(cfg, lane.Deps{Broker: lane.OnKafka(a.client), NewFold: fold, Logger: a.log, Registerer: a.reg})
	if err != nil {
		return err
	}
	a.health.watch(r)
	g.Go(func() error {
		if err := r.Run(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("role %s: %w", role.Name, err)
		}
		return nil
	})
	return nil
}

func (a *App) startDetect(ctx context.Context, g *errgroup.Group) error {
	if !a.has(RoleDetect) {
		return nil
	}
	_, params, _, err := configured(&a.cfg)
	if err != nil {
		return err
	}
	meter, found := newTrialMeter(a.reg), detectors.NewMeter()
	a.reg.MustRegister(detectMeter{found})
	return a.lanes(ctx, g, lane.Detect(), func(i int32) lane.Fold {
		f := detectors.NewFold(detectors.Config{Lane: int(i), Lanes: a.install.Lanes, HashSecret: a.install.HashSecret, Parameters: params, Meter: found})
		meter.add(i, f)
		return f
	})
}

func (a *App) startRespond(ctx context.Context, g *errgroup.Group) error {
	if !a.has(RoleRespond) {
		return nil
	}
	err := a.lanes(ctx, g, lane.Respond(), func(int32) lane.Fold {
		return respond.New(respond.Config{AgeLimit: a.cfg.Respond.AgeLimit.Duration(), SnoozeMax: a.cfg.Respond.SnoozeMax})
	})
	if err != nil {
		return err
	}
	meter := &gateMeter{meter: new(gate.Meter)}
	a.reg.MustRegister(meter)
	a.gate = meter
	err = a.lanes(ctx, g, lane.Gate(), func(int32) lane.Fold {
		meter.here.Store(true)
		return gate.New(gate.Config{BrakeOff: !a.cfg.Respond.Brake, Meter: meter.meter})
	})
	if err != nil {
		return err
	}
	return a.startEnforcement(ctx, g)
}

func (a *App) startEnforcement(ctx context.Context, g *errgroup.Group) error {
	cfg := enforceConfig(&a.cfg)
	if err := cfg.Validate(); err != nil {
		return err
	}
	platforms, notifiers, err := receivers(&a.cfg)
	if err != nil {
		return err
	}
	writer, err := newWriter(&a.cfg, a.customerToken)
	if err != nil {
		return fmt.Errorf("enforce.words: %w", err)
	}
	desk := newDesk(&a.cfg, notifiers)
	if err := desk.Validate(writer.Languages()); err != nil {
		return fmt.Errorf("enforce: %w", err)
	}
	e := &enforcement{
		client: a.client, prefix: a.cfg.Kafka.Prefix, producer: "holdfast-" + a.install.ID, lanes: a.install.Lanes, cfg: cfg,
		platforms: platforms, notifiers: notifiers, desk: desk, writer: writer, log: a.log.With("role", "enforce"),
	}
	e.register(a.reg)
	a.health.enforcement.Store(e)
	g.Go(func() error { return e.Run(ctx) })
	g.Go(func() error { return e.RunClock(ctx) })
	for _, n := range notifiers {
		g.Go(func() error { return e.RunSender(ctx, n) })
	}
	return nil
}

// startRecord migrates the embedded engine's tables, or waits for a store that
// cannot be reached yet, and records. The other roles never wait for it.
func (a *App) startRecord(ctx context.Context, g *errgroup.Group) error {
	if !a.has(RoleRecord) {
		return nil
	}
	g.Go(func() error {
		if err := a.prepareStore(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		store, err := OpenStore(&a.cfg, a.log)
		if err != nil {
			return err
		}
		defer store.Close()
		r, err := record.New(record.Config{Prefix: a.cfg.Kafka.Prefix, Lanes: a.install.Lanes, LogID: a.install.LogID, NewLog: a.opts.NewLog, CheckEvery: a.cfg.Record.CheckEvery},
			record.Deps{Broker: record.OnKafka(a.client), Store: record.OnClickHouse(store), Metrics: a.reg, Logger: a.log})
		if err != nil {
			return err
		}
		prover, err := a.newProver(store)
		if err != nil {
			return err
		}
		a.health.store.Store(true)
		both, ctx := errgroup.WithContext(ctx)
		both.Go(func() error { return r.Run(ctx) })
		if prover != nil {
			both.Go(func() error { return prover.Run(ctx) })
		}
		if err := both.Wait(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("role record: %w", err)
		}
		return nil
	})
	return nil
}

func (a *App) prepareStore(ctx context.Context) error {
	if a.engines.clickhouse != nil {
		if err := a.engines.ready(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	for ctx.Err() == nil {
		err := a.migrateOrCheck(ctx)
		if err == nil {
			return nil
		}
		if !clickhouse.Passing(err) {
			return err
		}
		a.log.Warn("the audit store is away or short of something, recording waits for it", "error", err)
		_ = pause(ctx, 5*time.Second)
	}
	return nil
}

// writeGap says in every events partition's stead that something may be missing.
func (a *App) writeGap(ctx context.Context, why string) error {
	now := time.Now().UTC()
	topic := a.cfg.Kafka.Prefix + string(schemas.TopicEvents)
	for p := range int32(a.install.Lanes) {
		tp := kafka.TopicPartition{Topic: topic, Partition: p}
		ranges, err := a.client.Offsets(ctx, []kafka.TopicPartition{tp})
		if err != nil {
			return fmt.Errorf("find the end of %v: %w", tp, err)
		}
		end := ranges[tp].End
		gap := schemas.Gap{
			ID: schemas.DeriveID("gap", a.install.LogID, topic, fmt.Sprint(p)), Time: now, Topic: schemas.TopicEvents, Partition: p, From: end, To: end, Reason: why,
		}
		b, err := json.Marshal(gap)
		if err != nil {
			return err
		}
		if err := writeKeyed(ctx, a.client, a.cfg.Kafka.Prefix, a.install.Lanes, schemas.TopicGaps, schemas.KindGap, gap.ID, fmt.Sprintf("%s:%d", topic, p), b); err != nil {
			return err
		}
	}
	return nil
}

var errStoreOld = errors.New("the audit store is not up to date: run `holdfast migrate`")
