package clickhouse_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

// parentVariable tells a started test binary to be a parent of an engine and
// names the data folder.
const parentVariable = "HOLDFAST_TEST_CLICKHOUSE_PARENT"

func TestMain(m *testing.M) {
	clickhousetest.RunChild()
	if dir := os.Getenv(parentVariable); dir != "" {
		beParent(dir)
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// beParent runs an engine and prints its child's process id and its address.
func beParent(dir string) {
	self, _ := os.Executable()
	s := clickhouse.New(clickhouse.Config{Dir: dir, Command: []string{self}, Env: []string{"HOLDFAST_TEST_CLICKHOUSE_CHILD=1"}})
	if err := s.Start(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	go func() {
		if err := s.WaitReady(context.Background()); err == nil {
			fmt.Println("ready", s.PID(), s.Addr())
		}
	}()
	if err := s.Run(context.Background()); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestKilledChild kills the engine twice: it comes back on the same port with
// what was inserted, and a request sent meanwhile is answered.
func TestKilledChild(t *testing.T) {
	var restarts atomic.Int64
	s := clickhousetest.Supervise(t, clickhouse.Config{Dir: t.TempDir(), OnRestart: func() { restarts.Add(1) }})
	addr := s.Addr()
	if _, body := post(t, addr, nil, "CREATE TABLE kept (n Int32) ENGINE = MergeTree ORDER BY n"); body != "" {
		t.Fatal(body)
	}
	for i := 1; i <= 2; i++ {
		if _, body := post(t, addr, nil, fmt.Sprintf("INSERT INTO kept VALUES (%d)", i)); body != "" {
			t.Fatal(body)
		}
		pid := s.PID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the child is gone", 5*time.Second, func() bool { return !alive(pid) })
		http.DefaultClient.CloseIdleConnections() // those to the child that was killed
		started := time.Now()
		if _, body := post(t, addr, nil, "SELECT count() FROM kept"); body != fmt.Sprintf("%d\n", i) {
			t.Errorf("after kill %d: %s", i, body)
		}
		t.Logf("answered %v after the kill", time.Since(started))
	}
	if got := restarts.Load(); got != 2 || s.Restarts() != 2 {
		t.Errorf("%d and %d restarts counted, want 2", got, s.Restarts())
	}
}

// TestChildEndsByItself has a child that ends as if all were well; the log says how.
func TestChildEndsByItself(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var log strings.Builder
	s := clickhouse.New(clickhouse.Config{
		Dir: t.TempDir(), Lib: "none", Command: []string{"true"}, OnRestart: cancel, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "it ended by itself: exit status 0") {
		t.Errorf("the log says:\n%s", log.String())
	}
}

// TestKilledParent kills the parent without a word; its child must not stay, and
// another parent can take the folder at once. Meanwhile a second one is refused.
func TestKilledParent(t *testing.T) {
	clickhousetest.Config(t, clickhouse.Config{}) // skips where the library is missing
	dir := t.TempDir()
	parent, pid := startParent(t, dir)

	second := clickhouse.New(clickhousetest.Config(t, clickhouse.Config{Dir: dir}))
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	err := second.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "in use: process "+fmt.Sprint(pid)) {
		t.Errorf("a second process on the folder ended with %v; want a refusal that names process %d", err, pid)
	}

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	eventually(t, "the child ends with its parent", 5*time.Second, func() bool { return !alive(pid) })
	next, pid := startParent(t, dir)
	_ = next.Process.Signal(syscall.SIGTERM)
	_ = next.Wait()
	eventually(t, "the child ends with its parent", 5*time.Second, func() bool { return !alive(pid) })
}

func startParent(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), parentVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	var addr string
	if _, scanErr := fmt.Sscanf(line, "ready %d %s", &pid, &addr); scanErr != nil {
		t.Fatalf("the parent said %q: %v, %v", line, scanErr, err)
	}
	return cmd, pid
}

func TestMissingLibrary(t *testing.T) {
	clickhousetest.Config(t, clickhouse.Config{Lib: "x"})
	s := clickhouse.New(clickhousetest.Config(t, clickhouse.Config{Dir: t.TempDir(), Lib: "/nowhere/libchdb.so"}))
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("Run returned %v; want the way to mend it", err)
	}
}

func TestForeignAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:8123", "nonsense"} {
		if err := clickhouse.New(clickhouse.Config{Dir: t.TempDir(), Addr: addr, Lib: "x"}).Start(); err == nil {
			t.Errorf("%s was accepted", addr)
		}
	}
}
