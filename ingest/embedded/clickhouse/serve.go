// Package clickhouse runs the ClickHouse engine on one machine without a server:
// a child process holds the engine and speaks ClickHouse's HTTP interface on a
// loopback port, and a Supervisor in the main process keeps that child running.
//
// It promises: the port never changes while the Supervisor lives, also when the
// child dies and is started again; a request sent meanwhile waits for the new
// child; the child ends when its parent does, however that happens; one process
// at a time holds a data folder; an insert that was answered survives a power
// failure; settings and parameters given with a request
// hold for that request only; a queue of inserts does not hold up queries.
//
// Served are queries by GET (reading only) and POST, settings and param_* in the
// URL, every input and output format of the engine, gzip, deflate and zstd
// requests, gzip answers (enable_http_compression=1), ClickHouse's own block
// compression (compress=1, decompress=1), and /ping: what clickhouse-go, curl and
// Grafana use.
//
// Everything but /ping asks for a login. There are two users: a full one, which reads
// and changes tables, and a read-only one for dashboards, which sees one database
// within limits that it cannot lift. Neither reaches a file, a program or a server by
// SQL: see access.go and check.go. Requests of pages of other origins, and under names
// that are not this machine's, are refused. Refused with a clear text: sessions, external tables, input(),
// several statements in one request, functions in the rows of VALUES, and requests
// larger than MaxRequest.
//
// A SELECT in a format without head or end (Native, TSV, CSV, JSONEachRow and the
// like) is sent block by block and stops when its client leaves. Any other answer
// is made whole in the child's memory first, and its statement goes on without the
// client, up to its max_execution_time.
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"holdfast/ingest/embedded/folder"
)

// ServeConfig is what the child process needs.
type ServeConfig struct {
	Dir  string // the data folder
	Lib  string // where libchdb.so lies
	Addr string // host:port on loopback; unused when Listener is given
	Access

	MaxRequest int64 // bytes of a request after decompression; 512 MiB
	MaxMemory  int64 // bytes that the engine may use; half of the machine's
	Readers    int   // queries of the full user that run at once; 4
	Writers    int   // other statements that run at once; 2
	Dashboards int   // queries of the read-only user that run at once; 2

	Listener net.Listener `json:"-"`
	Logger   *slog.Logger `json:"-"`
}

func (c ServeConfig) withDefaults() ServeConfig {
	c.Access = c.Access.withDefaults()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.MaxRequest <= 0 {
		c.MaxRequest = 512 << 20
	}
	if c.Readers <= 0 {
		c.Readers = 4
	}
	if c.Writers <= 0 {
		c.Writers = 2
	}
	if c.Dashboards <= 0 {
		c.Dashboards = 2
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Serve holds the engine and answers requests until ctx ends. A process can call
// it once; a fault in the engine ends the process.
func Serve(ctx context.Context, cfg ServeConfig) error {
	cfg = cfg.withDefaults()
	lock, err := holdPatiently(ctx, cfg.Dir)
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	defer func() { _ = lock.Release() }()
	ln := cfg.Listener
	if ln == nil {
		if err := checkLoopback(cfg.Addr); err != nil {
			return err
		}
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr); err != nil {
			return fmt.Errorf("clickhouse: listen: %w", err)
		}
	}
	e, err := openEngine(cfg)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	server := &http.Server{
		Handler:           &handler{engine: e, access: cfg.Access, limit: cfg.MaxRequest},
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(guard(ln)) }()
	cfg.Logger.Info("clickhouse: ready", "addr", ln.Addr().String(), "version", e.version, "dir", cfg.Dir)
	select {
	case err := <-ended:
		return fmt.Errorf("clickhouse: serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		// A statement that still runs is cut off: its effect is whole or none.
		return nil
	}
	e.checker.close()
	e.chdb.Close()
	return nil
}

// holdPatiently takes the folder. A child that was told to end may need a moment
// to let go of it, so it is asked again for a while.
func holdPatiently(ctx context.Context, dir string) (*folder.Lock, error) {
	deadline := time.Now().Add(3 * time.Second)
	for {
		lock, err := folder.Hold(dir)
		if !errors.Is(err, folder.ErrInUse) || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// checkLoopback refuses an address that other machines could reach.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("clickhouse: address %q: %w", addr, err)
	}
	if !isLoopbackName(host) {
		return fmt.Errorf("clickhouse: address %q is not a loopback address; the embedded engine is for this machine alone, so give 127.0.0.1:PORT or use a ClickHouse server of your own", addr)
	}
	return nil
}
