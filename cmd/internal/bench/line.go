package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// startBroker starts Apache Kafka where Java and Maven are there, else the embedded one.
func startBroker(ctx context.Context, dir string) ([]string, string, func(), error) {
	script := "deploy/kafka/start-kafka.sh"
	_, java := exec.LookPath("java")
	_, mvn := exec.LookPath("mvn")
	if _, err := os.Stat(script); err != nil || java != nil || mvn != nil {
		b := broker.New(broker.Config{Dir: filepath.Join(dir, "kafka")})
		if err := b.Start(); err != nil {
			return nil, "", nil, err
		}
		return []string{b.Addr()}, "embedded (no Java or Maven for Apache Kafka)", func() { _ = b.Close() }, nil
	}
	port, control, err := twoPorts(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	c := exec.CommandContext(ctx, script, "--dir", filepath.Join(dir, "kafka"), "--port", port, "--controller-port", control)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := c.Start(); err != nil {
		return nil, "", nil, err
	}
	stop := func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
		_ = c.Wait()
	}
	addr := "127.0.0.1:" + port
	for range 600 {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return []string{addr}, "Apache Kafka", stop, nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			break
		}
	}
	stop()
	return nil, "", nil, fmt.Errorf("the Kafka broker does not answer on %s", addr)
}

func twoPorts(ctx context.Context) (a, b string, err error) {
	var ports [2]string
	for i := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer l.Close()
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports[0], ports[1], nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// bareCopy reads the events, decodes them and inserts their main columns: what any
// consumer would have to do. It returns events a second.
func bareCopy(ctx context.Context, c *kafka.Client, cfg *config.Config, n int) (float64, error) {
	store, err := app.OpenStore(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	defer store.Close()
	err = store.Exec(ctx, `CREATE TABLE bare (id String, time DateTime64(3), type LowCardinality(String), account String, credential String,
		ip String, sender String, recipients Array(String), message_id String, size Int64) ENGINE = MergeTree ORDER BY (account, time)`)
	if err != nil {
		return 0, err
	}
	var at []kafka.Position
	for i := range int32(cfg.Kafka.Lanes) {
		at = append(at, kafka.Position{TopicPartition: kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicEvents), Partition: i}})
	}
	start := time.Now()
	blocks := make(chan *columns, 2)
	var g errgroup.Group
	g.Go(func() error {
		var first error
		for b := range blocks {
			if first == nil {
				first = b.insert(ctx, store)
			}
		}
		return first
	})
	err = readAll(ctx, c, at, n, blocks)
	close(blocks)
	if werr := g.Wait(); err == nil {
		err = werr
	}
	return float64(n) / time.Since(start).Seconds(), err
}

func readAll(ctx context.Context, c *kafka.Client, at []kafka.Position, n int, blocks chan<- *columns) error {
	var d schemas.Decoder
	var e schemas.Event
	b := &columns{}
	for seen := 0; seen < n; {
		got, err := c.Fetch(ctx, at, kafka.FetchOptions{MaxBytes: 16 << 20})
		if err != nil {
			return err
		}
		for i, f := range got {
			if f.Err != nil {
				return f.Err
			}
			for _, r := range f.Records {
				if err := d.Decode(r.Value, &e); err != nil {
					return err
				}
				b.add(&e)
				seen++
			}
			at[i].Offset = f.Next
		}
		if len(b.id) >= 100_000 || seen >= n {
			blocks <- b
			b = &columns{}
		}
	}
	return nil
}

// fullLine runs every role on the same events and returns events a second until all
// are detected on and recorded.
func fullLine(ctx context.Context, cfg *config.Config, n int, log *slog.Logger) (float64, *running, error) {
	a, err := app.New(*cfg, app.Options{}, log)
	if err != nil {
		return 0, nil, err
	}
	below, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel, ended: make(chan error, 1)}
	start := time.Now()
	go func() { r.ended <- a.Run(below) }()
	store, err := app.OpenStore(cfg, log)
	if err != nil {
		return 0, r, err
	}
	defer store.Close()
	for {
		var rows uint64
		if err := store.QueryRow(ctx, "SELECT count() FROM events").Scan(&rows); err != nil {
			r.stop()
			return 0, nil, err
		}
		if lag, ok := a.Lag("detect"); ok && lag == 0 && rows >= uint64(n) {
			return float64(n) / time.Since(start).Seconds(), r, nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			r.stop()
			return 0, nil, err
		}
	}
}

type running struct {
	cancel context.CancelFunc
	ended  chan error
}

func (r *running) stop() {
	r.cancel()
	if err := <-r.ended; err != nil {
		fmt.Fprintln(os.Stderr, "bench: the full line ended with", err)
	}
}
