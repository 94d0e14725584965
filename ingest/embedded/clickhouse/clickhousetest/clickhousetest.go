// Package clickhousetest gives tests the embedded ClickHouse engine: a real child
// process, spoken to over HTTP.
//
// The child is the test binary itself, started again. A package whose tests use
// it must therefore hand its tests to Main:
//
//	func TestMain(m *testing.M) { clickhousetest.Main(m) }
//
// Where libchdb.so is not installed the test is skipped with a line that says what
// to do; with CI=true it fails instead.
package clickhousetest

import (
	"context"
	"os"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/setup"
)

// childVariable tells a started test binary that it is the child.
const childVariable = "HOLDFAST_TEST_CLICKHOUSE_CHILD"

// Main runs the tests, or the child where this process is one. It does not return.
func Main(m *testing.M) {
	RunChild()
	os.Exit(m.Run())
}

// RunChild is for a package with a TestMain of its own, which calls it first: in
// the child it does not return.
func RunChild() {
	if os.Getenv(childVariable) != "" {
		os.Exit(clickhouse.Child())
	}
	mainCalled = true
}

var mainCalled bool

// Start runs the engine on a folder of the test's own until the test ends and
// returns its address.
func Start(tb testing.TB) string {
	tb.Helper()
	return Supervise(tb, clickhouse.Config{Dir: tb.TempDir()}).Addr()
}

// Supervise starts the engine with the given configuration, waits until it
// answers, and ends it with the test.
func Supervise(tb testing.TB, cfg clickhouse.Config) *clickhouse.Supervisor {
	tb.Helper()
	s := clickhouse.New(Config(tb, cfg))
	if err := s.Start(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("embedded clickhouse: %v", err)
		}
	})
	wait, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := s.WaitReady(wait); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Config completes a configuration so that the child is this test binary, and
// skips the test where the library is missing.
func Config(tb testing.TB, cfg clickhouse.Config) clickhouse.Config {
	tb.Helper()
	if !mainCalled {
		tb.Fatal("clickhousetest: this package lacks `func TestMain(m *testing.M) { clickhousetest.Main(m) }`")
	}
	if cfg.Lib == "" {
		lib, err := setup.Find()
		if err != nil {
			if os.Getenv("CI") == "true" {
				tb.Fatal(err)
			}
			tb.Skip(err)
		}
		cfg.Lib = lib
	}
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Command = []string{self}
	cfg.Env = append(cfg.Env, childVariable+"=1")
	return cfg
}

// Open connects clickhouse-go to an address that Start returned.
func Open(tb testing.TB, addr string) chgo.Conn {
	tb.Helper()
	conn, err := chgo.Open(&chgo.Options{Addr: []string{addr}, Protocol: chgo.HTTP, Auth: chgo.Auth{Database: "default", Username: "default"}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}
