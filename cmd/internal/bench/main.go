// Command bench measures Holdfast on this machine, everything in one run so that
// ratios mean something on a shared one: a bare copy from Kafka to ClickHouse
// against the full line, replay, state in memory, and the time from an event to the
// status that follows from it. It speaks to loopback only and stops by itself.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/cmd/internal/replay"
	"holdfast/detectors"
	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == clickhouse.ChildCommand {
		os.Exit(clickhouse.Child())
	}
	events := flag.Int("events", 1_000_000, "events on the line")
	accounts := flag.Int("accounts", 100_000, "accounts, by Zipf's law")
	probes := flag.Int("probes", 200, "stops whose latency is measured")
	flag.Parse()
	if err := bounded(*events, *accounts, *probes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bounded runs for at most ten minutes.
func bounded(events, accounts, probes int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return run(ctx, events, accounts, probes)
}

func run(ctx context.Context, events, accounts, probes int) error {
	dir, err := os.MkdirTemp("", "holdfast-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	data := generate(events, accounts)
	if err := benchReplay(ctx, data); err != nil {
		return err
	}
	if err := benchState(data); err != nil {
		return err
	}
	brokers, name, stop, err := startBroker(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("broker: %s\n", name)
	cfg := config.Default()
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.Kafka.Brokers, cfg.Kafka.Lanes, cfg.Kafka.Replication = brokers, 8, 1
	cfg.Observability.Listen, cfg.API.Listen, cfg.Respond.Brake, cfg.Respond.AgeLimit = "", "", false, 0
	cfg.ClickHouse.Protocol = "http"
	return benchLine(ctx, &cfg, data, accounts, probes)
}

func benchReplay(ctx context.Context, data []event) error {
	var b bytes.Buffer
	for _, e := range data {
		b.Write(e.json)
		b.WriteByte('\n')
	}
	r, err := replay.New(replay.Config{}, replay.Deps{})
	if err != nil {
		return err
	}
	sum, err := r.Run(ctx, &b)
	if err != nil {
		return err
	}
	fmt.Printf("replay: %.0f events/s (%d events, %d signals)\n", float64(sum.Events)/sum.Elapsed.Seconds(), sum.Events, sum.Signals)
	return nil
}

// benchState folds the events and weighs what stays in memory and what is saved.
func benchState(data []event) error {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	e := detectors.New(detectors.Config{Lanes: 1, HashSecret: make([]byte, 32)})
	keys := map[string]struct{}{}
	for i, x := range data {
		in := schemas.Input{Topic: schemas.TopicEvents, Offset: int64(i), Kind: schemas.KindEvent, ID: "e", Origin: schemas.OriginLive, Arrival: x.time, Key: x.key, Value: x.json}
		if _, err := e.Apply(&in, func(schemas.Output) {}); err != nil {
			return err
		}
	}
	after := heap()
	saved := 0
	for _, x := range data {
		if _, ok := keys[x.key]; ok {
			continue
		}
		keys[x.key] = struct{}{}
		if err := e.Save(x.key, func(_ string, v []byte) { saved += len(v) }); err != nil {
			return err
		}
	}
	n := len(keys)
	fmt.Printf("state: %d accounts, %.0f bytes an account in memory, %.0f saved\n", n, float64(after-min(before, after))/float64(n), float64(saved)/float64(n))
	runtime.KeepAlive(e)
	return nil
}

func benchLine(ctx context.Context, cfg *config.Config, data []event, accounts, probes int) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	store := clickhouse.New(clickhouse.Config{Dir: filepath.Join(cfg.DataDir, "clickhouse"), Logger: log})
	if err := store.Start(); err != nil {
		return err
	}
	below, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- store.Run(below) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Fprintln(os.Stderr, "bench: the engine ended with", err)
		}
	}()
	if err := store.WaitReady(ctx); err != nil {
		return err
	}
	cfg.ClickHouse.Addr = []string{store.Addr()}
	if _, err := app.Migrate(ctx, cfg, log); err != nil {
		return err
	}
	client, err := app.Connect(cfg, log)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := prepare(ctx, client, cfg); err != nil {
		return err
	}
	p, err := app.NewPlayer(cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	n, err := p.PlayJSON(ctx, all(data), schemas.OriginLive)
	if err != nil {
		return err
	}
	bare, err := bareCopy(ctx, client, cfg, n)
	if err != nil {
		return fmt.Errorf("bare copy: %w", err)
	}
	full, a, err := fullLine(ctx, cfg, n, log)
	if err != nil {
		return fmt.Errorf("full line: %w", err)
	}
	defer a.stop()
	fmt.Printf("bare copy Kafka → decode → ClickHouse: %.0f events/s\n", bare)
	fmt.Printf("full line (detect, respond, gate, record): %.0f events/s, %.0f %% of the bare copy\n", full, 100*full/bare)
	return latency(ctx, cfg, p, client, full/2, accounts, probes)
}

func prepare(ctx context.Context, client *kafka.Client, cfg *config.Config) error {
	if err := app.CreateTopics(ctx, client, cfg); err != nil {
		return err
	}
	if _, err := app.EnsureInstallation(ctx, client, cfg); err != nil {
		return err
	}
	return app.EnsureVersions(ctx, client, cfg)
}
