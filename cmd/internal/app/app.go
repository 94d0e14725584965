package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/embedded/folder"
	"holdfast/ingest/kafka"
	"holdfast/ingest/pressure"
	"holdfast/schemas"
)

// Role is a part of the work that a process may do.
type Role string

// The roles.
const (
	RoleIntake  Role = "intake"
	RoleDetect  Role = "detect"
	RoleRespond Role = "respond"
	RoleRecord  Role = "record"
	RoleServe   Role = "serve"
)

// Roles lists every role.
func Roles() []Role { return []Role{RoleIntake, RoleDetect, RoleRespond, RoleRecord, RoleServe} }

// Options are what a run adds to its configuration.
type Options struct {
	Roles  []Role // none: all
	NewLog bool   // the logs are new ones; see record.Config
}

// App is one process. New makes it, Run works until its context ends.
type App struct {
	cfg  config.Config
	opts Options
	log  *slog.Logger
	reg  *prometheus.Registry

	engines engines
	client  *kafka.Client
	install schemas.Installation
	health  health
	machine *pressure.Watcher
	ready   chan struct{}
	at      Endpoints
	gate    *gateMeter
	service *api.Service // of the role serve
	link    string       // see FirstLink
}

// New returns an app that has touched nothing yet.
func New(cfg config.Config, opts Options, log *slog.Logger) (*App, error) {
	if len(opts.Roles) == 0 {
		opts.Roles = Roles()
	}
	for _, r := range opts.Roles {
		if !slices.Contains(Roles(), r) {
			return nil, fmt.Errorf("role %q is unknown: use %v", r, Roles())
		}
	}
	return &App{cfg: cfg, opts: opts, log: log, reg: newRegistry(), ready: make(chan struct{})}, nil
}

// Ready is closed when everything has been started.
func (a *App) Ready() <-chan struct{} { return a.ready }

// Endpoints tells where the running app is, after Ready.
func (a *App) Endpoints() Endpoints { return a.at }

// Lag is how many records the lanes of a role have not folded yet, as /metrics
// tells; ok is false until it is known.
func (a *App) Lag(role string) (records float64, ok bool) {
	families, err := a.reg.Gather()
	if err != nil {
		return 0, false
	}
	for _, f := range families {
		if f.GetName() != "holdfast_lane_lag_records" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "role" && l.GetValue() == role {
					records, ok = records+m.GetGauge().GetValue(), true
				}
			}
		}
	}
	return records, ok
}

// Config is the configuration in force, after Ready with the engines' addresses.
func (a *App) Config() config.Config { return a.cfg }

func (a *App) has(r Role) bool { return slices.Contains(a.opts.Roles, r) }

// Run starts the engines, then the roles, and stops them in reverse order when ctx
// ends: the roles write what they hold before their broker goes.
func (a *App) Run(ctx context.Context) error {
	if err := raiseFiles(&a.cfg); err != nil {
		return err
	}
	if err := folder.Private(a.cfg.DataDir); err != nil {
		return err
	}
	a.machine = WatchMachine(&a.cfg, a.reg, a.log)
	if err := a.engines.start(&a.cfg, a.log); err != nil {
		a.engines.abandon()
		return err
	}
	below, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	engines, engineCtx := errgroup.WithContext(below)
	a.runEngines(engineCtx, engines)

	defer context.AfterFunc(ctx, func() { a.log.Info("holdfast stops: it was asked to") })()
	roles, roleCtx := errgroup.WithContext(ctx)
	roles.Go(func() error { return a.machine.Run(roleCtx) })
	context.AfterFunc(engineCtx, func() { roles.Go(func() error { return context.Cause(engineCtx) }) })
	err := a.start(roleCtx, roles)
	if err != nil {
		roles.Go(func() error { return err })
	}
	err = roles.Wait()
	if a.client != nil {
		a.client.Close()
	}
	removeEndpoints(a.cfg.DataDir)
	stop()
	if engineErr := engines.Wait(); err == nil || errors.Is(err, context.Canceled) {
		err = engineErr
	}
	if err == nil || errors.Is(err, context.Canceled) {
		a.log.Info("holdfast has stopped")
		return nil
	}
	return err
}

func (a *App) runEngines(ctx context.Context, g *errgroup.Group) {
	if b := a.engines.broker; b != nil {
		g.Go(func() error { return b.Run(ctx) })
	}
	if s := a.engines.clickhouse; s != nil {
		g.Go(func() error { return s.Run(ctx) })
	}
}

func (a *App) start(ctx context.Context, g *errgroup.Group) error {
	var err error
	if a.client, err = Connect(&a.cfg, a.log); err != nil {
		return err
	}
	if err := a.prepareLog(ctx); err != nil {
		return err
	}
	for _, start := range []func(context.Context, *errgroup.Group) error{a.startObservability, a.startDetect, a.startRespond, a.startRecord, a.startIntake, a.startServe} {
		if err := start(ctx, g); err != nil {
			return err
		}
	}
	a.at.PID, a.at.Started = os.Getpid(), time.Now().UTC().Truncate(time.Second)
	a.at.Kafka, a.at.ClickHouse = a.cfg.Kafka.Brokers, a.cfg.ClickHouse.Addr
	a.at.logins(&a.cfg, a.engines)
	if err := a.at.write(a.cfg.DataDir); err != nil {
		return err
	}
	a.health.started.Store(true)
	close(a.ready)
	a.log.Info("holdfast runs", "roles", a.opts.Roles, "lanes", a.install.Lanes, "kafka", a.cfg.Kafka.Brokers, "clickhouse", a.cfg.ClickHouse.Addr)
	return nil
}

// prepareLog makes sure that topics and control are what the lanes need.
func (a *App) prepareLog(ctx context.Context) error {
	if a.engines.broker != nil {
		if err := CreateTopics(ctx, a.client, &a.cfg); err != nil {
			return err
		}
	} else if err := addTopics(ctx, a.client, &a.cfg); err != nil {
		return err
	}
	differences, err := CheckTopics(ctx, a.client, &a.cfg)
	if err != nil {
		return err
	}
	for _, d := range differences {
		if d.Fatal {
			return fmt.Errorf("%w: %v", ErrTopics, d)
		}
		a.log.Warn("a topic is not as it should be", "topic", d.Topic, "setting", d.What, "is", d.Is, "want", d.Want)
	}
	if a.install, err = EnsureInstallation(ctx, a.client, &a.cfg); err != nil {
		return err
	}
	if a.opts.NewLog {
		if a.install, err = renewLogID(ctx, a.client, &a.cfg, a.install, "started with --new-log"); err != nil {
			return err
		}
	}
	if err := a.afterStop(ctx); err != nil {
		return err
	}
	return EnsureVersions(ctx, a.client, &a.cfg)
}

// afterStop looks at how the embedded broker stopped before: when the machine went
// down with it, the log goes on under a new id, and a gap says what may be missing.
func (a *App) afterStop(ctx context.Context) error {
	if a.engines.broker == nil {
		return nil
	}
	stop := a.engines.broker.Previous()
	if stop == broker.StopNone || stop.Clean() {
		return nil
	}
	var err error
	if a.install, err = renewLogID(ctx, a.client, &a.cfg, a.install, "the embedded broker did not stop cleanly"); err != nil {
		return err
	}
	if !stop.TailLost() {
		return nil
	}
	return a.writeGap(ctx, "the machine went down: what was acknowledged in its last second may be lost")
}
