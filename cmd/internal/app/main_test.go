package app

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/setup"
)

// The engine's child is this binary, started again under the child's command.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == clickhouse.ChildCommand {
		os.Exit(clickhouse.Child())
	}
	os.Exit(m.Run())
}

func testConfig(t *testing.T, dir string) config.Config {
	t.Helper()
	cfg, err := config.Load("", []string{"HOLDFAST_DATA_DIR=" + dir, "HOLDFAST_KAFKA_LANES=2", "HOLDFAST_OBSERVABILITY_LISTEN=127.0.0.1:0", "HOLDFAST_API_LISTEN=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func needEngine(t *testing.T) {
	t.Helper()
	if _, err := setup.Find(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// launch runs an app until stop is called.
func launch(t *testing.T, cfg config.Config, opts Options) (a *App, stop func()) {
	t.Helper()
	a, err := New(cfg, opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the app ended with: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the app does not end")
		}
	}
	t.Cleanup(stop)
	select {
	case <-a.Ready():
	case err := <-done:
		stopped = true
		cancel()
		t.Fatalf("the app did not start: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the app does not start")
	}
	return a, stop
}

// within waits until what is asked for is so.
func within(t *testing.T, d time.Duration, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", d, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
