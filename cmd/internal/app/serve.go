package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/gateway"
	"holdfast/ingest/intake"
	"holdfast/ingest/lane"
	"holdfast/ingest/platform"
	"holdfast/ingest/pressure"
	"holdfast/schemas"
)

// health is what the process says of itself. Being ready does not depend on the
// audit store: detection and protection go on without it. It does depend on every lane
// that the process was given.
type health struct {
	started, store atomic.Bool
	enforcement    atomic.Pointer[enforcement]

	mu      sync.Mutex
	runners []*lane.Runner
}

// watch adds the lanes of a role to what is told.
func (h *health) watch(r *lane.Runner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runners = append(h.runners, r)
}

// stuck names the records that folds take no end with. Such a lane is ready, as far as
// anybody else could help it: its record must be reported.
func (h *health) stuck(w io.Writer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runners {
		for _, x := range r.Stuck() {
			fmt.Fprintln(w, x)
		}
	}
}

// maxIdle bounds the lanes that an answer names.
const maxIdle = 20

// unready says line by line which lanes do not work and why; nothing where all do.
func (h *health) unready() (lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runners {
		lines = append(lines, unready(r.Health())...)
	}
	return lines
}

func unready(x lane.Health) (lines []string) {
	if !x.Joined {
		lines = append(lines, fmt.Sprintf("role %s has no lanes from its group yet", x.Role))
	}
	for i, idle := range x.Idle {
		if i == maxIdle {
			lines = append(lines, fmt.Sprintf("role %s: and %d more of its %d lanes", x.Role, len(x.Idle)-i, x.Assigned))
			break
		}
		lines = append(lines, fmt.Sprintf("role %s: %s", x.Role, idle))
	}
	return lines
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newBuildInfo())
	return r
}

// obsConnections bounds the connections of the observability listener.
const obsConnections = 256

// requestGrace is how long requests may take to finish once the process is told to end.
const requestGrace = 5 * time.Second

// listen serves a handler until ctx ends, over so many connections at once, then lets
// requests finish for requestGrace.
func listen(ctx context.Context, g *errgroup.Group, addr string, h http.Handler, cert, key string, connections int) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	door := gateway.NewDoor(connections)
	l = door.Listener(l)
	s := door.Server(h)
	g.Go(func() error {
		<-ctx.Done()
		return endServer(ctx, s, requestGrace)
	})
	g.Go(func() error {
		var err error
		if cert != "" {
			err = s.ServeTLS(l, cert, key)
		} else {
			err = s.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	})
	return l.Addr().String(), nil
}

// endServer lets requests finish for the time of grace, then cuts off those that still
// run, such as events that wait for a broker that is away. Their senders got no answer and
// send again, so that this is no failure of the process.
func endServer(ctx context.Context, s *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return s.Close()
	}
	return err
}

func (a *App) startObservability(ctx context.Context, g *errgroup.Group) error {
	addr := a.cfg.Observability.Listen
	if addr == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.health.started.Load() {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		if lines := a.health.unready(); len(lines) > 0 {
			http.Error(w, "not ready\n"+strings.Join(lines, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
		if a.has(RoleRecord) && !a.health.store.Load() {
			fmt.Fprintln(w, "the audit store is away: recording waits, nothing else does")
		}
		a.health.stuck(w)
		a.tellShort(w)
		if e := a.health.enforcement.Load(); e != nil {
			for _, line := range e.detail() {
				fmt.Fprintln(w, line)
			}
		}
	})
	if a.cfg.Observability.PProf {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	var err error
	a.at.Observability, err = listen(ctx, g, addr, mux, "", "", obsConnections)
	return err
}

// startIntake opens the ways by which events come in: HTTP and the platform's topics.
func (a *App) startIntake(ctx context.Context, g *errgroup.Group) error {
	h := a.cfg.Intake.HTTP
	if !a.has(RoleIntake) || h.Listen == "" && len(a.cfg.Intake.Platform) == 0 {
		return nil
	}
	metrics, networks := intake.NewMetrics(a.reg), a.startEnrichment(ctx, g)
	client, err := ConnectIntake(&a.cfg, a.log)
	if err != nil {
		return err
	}
	producer := intake.NewProducer(intake.Config{Prefix: a.cfg.Kafka.Prefix}, intake.Deps{Broker: client, Logger: a.log, Metrics: metrics})
	g.Go(func() error {
		defer client.Close()
		return producer.Run(ctx)
	})
	if h.Listen != "" {
		gw, err := gateway.New(gatewayConfig(&a.cfg), gateway.Deps{Writer: producer, Networks: networks, Logger: a.log, Metrics: metrics, Short: a.machine.Short})
		if err != nil {
			return fmt.Errorf("intake.http: %w", err)
		}
		mux := http.NewServeMux()
		mux.Handle(gateway.Path, gw)
		mux.HandleFunc("/", gateway.Elsewhere)
		if a.at.Intake, err = listen(ctx, g, h.Listen, mux, h.CertFile, h.KeyFile, h.MaxConnections); err != nil {
			return err
		}
	}
	for _, p := range a.cfg.Intake.Platform {
		c := platform.Config{Group: a.cfg.Kafka.Prefix + "intake." + p.Name}
		if err := decodeMapping(p, &c); err != nil {
			return fmt.Errorf("intake.platform %s: %w", p.Name, err)
		}
		src := platform.New(c, platform.Deps{Source: a.client, Writer: pressure.Writer{To: producer, Watcher: a.machine}, Networks: networks, Logger: a.log, Metrics: metrics})
		g.Go(func() error { return src.Run(ctx) })
	}
	return nil
}

func gatewayConfig(cfg *config.Config) gateway.Config {
	h := cfg.Intake.HTTP
	c := gateway.Config{MaxBody: h.MaxBody, MaxConcurrent: h.MaxConcurrent, Timeout: h.Timeout, MinRate: h.MinRate}
	for _, t := range h.Tokens {
		gt := gateway.Token{Name: t.Name, SecretFile: t.TokenFile, SHA256: t.SHA256, Origin: schemas.Origin(t.Origin),
			Limits: intake.Limits{Accounts: t.Accounts, AccountPrefix: t.AccountPrefix, Employees: t.Employees, Trust: schemas.Trust(t.Trust), Rate: float64(t.Rate), Burst: t.Burst}}
		for _, x := range t.Types {
			gt.Types = append(gt.Types, schemas.EventType(x))
		}
		c.Tokens = append(c.Tokens, gt)
	}
	return c
}
