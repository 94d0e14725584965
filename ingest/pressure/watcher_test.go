package pressure

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fake is a machine whose file system has what a test says.
func fake(left *int64, log *bytes.Buffer) *Watcher {
	w := New(Config{}, Deps{Logger: slog.New(slog.NewTextHandler(log, nil)), Metrics: prometheus.NewRegistry()})
	w.take = []measure{{Disk, func() (amount, error) { return amount{*left, 1000 * mib}, nil }, diskFloor}}
	w.short = map[Resource]Shortage{}
	return w
}

func TestShortUntilThereIsEnoughAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		left := int64(500 * mib)
		w := fake(&left, &log)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- w.Run(ctx) }()
		for _, step := range []struct {
			left  int64
			short bool
		}{{500, false}, {50, false}, {49, true}, {10, true}, {55, true}, {63, false}, {55, false}} {
			left = step.left * mib
			time.Sleep(time.Second)
			if got := len(w.Short()) > 0; got != step.short {
				t.Errorf("with %d MiB left short is %v, want %v", step.left, got, step.short)
			}
			if got := testutil.ToFloat64(w.few.WithLabelValues("disk")) == 1; got != step.short {
				t.Errorf("with %d MiB left the metric says %v", step.left, got)
			}
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 {
			t.Errorf("%d log lines, want one for each change:\n%s", lines, &log)
		}
		left = 0
		time.Sleep(time.Second)
		brief, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		if err := w.Wait(brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting while the disk is full ended with %v", err)
		}
		waited := make(chan error, 1)
		go func() { waited <- w.Wait(ctx) }()
		time.Sleep(time.Second)
		left = 500 * mib
		if err := <-waited; err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

func TestMeasuresThisMachine(t *testing.T) {
	for name, take := range map[string]func() (amount, error){"disk": func() (amount, error) { return disk(t.TempDir()) }, "memory": memory, "files": files} {
		if a, err := take(); err != nil || a.left <= 0 || a.all < a.left {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if _, err := disk(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestControlGroup(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"memory.max": "1000\n", "memory.current": "900\n", "memory.stat": "anon 5\ninactive_file 50\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if g, ok := group(dir); !ok || g != (amount{150, 1000}) {
		t.Errorf("%+v %v, want 150 of 1000", g, ok)
	}
	if err := os.WriteFile(filepath.Join(dir, "memory.max"), []byte("max\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if g, ok := group(dir); ok {
		t.Errorf("no limit is taken for %+v", g)
	}
}
