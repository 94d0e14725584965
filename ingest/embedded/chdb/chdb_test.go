package chdb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"holdfast/ingest/embedded/chdb"
	"holdfast/ingest/embedded/setup"
)

// TestEngine is one test because a process can open one engine.
func TestEngine(t *testing.T) {
	lib, err := setup.Find()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	engine, err := chdb.Open(lib, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if _, err := chdb.Open(lib, t.TempDir(), ""); err == nil {
		t.Error("a second engine was opened")
	}
	t.Run("sessions", func(t *testing.T) { testSessions(t, engine) })
	t.Run("stream", func(t *testing.T) { testStream(t, engine) })
	t.Run("go panics", testPanics)
}

func session(t *testing.T, e *chdb.Engine) *chdb.Session {
	t.Helper()
	s, err := e.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, s *chdb.Session, sql string, params ...chdb.Param) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := s.Query(&out, sql, "TabSeparated", params); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.TrimRight(out.String(), "\n")
}

// testSessions checks that what one session sets no other sees, that parameters
// hold for one call, and that a refusal carries the engine's words.
func testSessions(t *testing.T, e *chdb.Engine) {
	a, b := session(t, e), session(t, e)
	ask(t, a, "SET max_threads = 7")
	if got := ask(t, a, "SELECT getSetting('max_threads')"); got != "7" {
		t.Errorf("max_threads is %s where it was set", got)
	}
	if got := ask(t, b, "SELECT getSetting('max_threads')"); got == "7" {
		t.Error("another session sees the setting")
	}
	if got := ask(t, a, "SELECT {x:UInt8} + {y:UInt8}", chdb.Param{Name: "x", Value: "1"}, chdb.Param{Name: "y", Value: "2"}); got != "3" {
		t.Errorf("1 + 2 = %s", got)
	}
	var refusal *chdb.Error
	if _, err := a.Query(io.Discard, "SELECT {x:UInt8}", "CSV", nil); !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Text, "Code: 456") {
		t.Errorf("a parameter of an earlier call: %v", err)
	}
}

func testStream(t *testing.T, e *chdb.Engine) {
	s := session(t, e)
	var out bytes.Buffer
	stats, err := s.Stream(context.Background(), &out, "SELECT number FROM numbers(200000)", "CSV", nil)
	if err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 200_000 || stats.ResultRows != 200_000 {
		t.Errorf("%d bytes, %+v, %v", out.Len(), stats, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var got int
	_, err = s.Stream(ctx, writer(func(p []byte) { got += len(p); cancel() }), "SELECT * FROM system.numbers", "RowBinary", nil)
	if !errors.Is(err, context.Canceled) || got == 0 || got > 1<<20 {
		t.Errorf("an endless answer ended after %d bytes with %v", got, err)
	}
	if got := ask(t, s, "SELECT 1"); got != "1" {
		t.Errorf("after a stream was left: %s", got)
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// testPanics checks that Go still turns a fault into a panic: the library resets
// the handlers of deadly signals.
func testPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var nowhere *[1 << 20]int
	_ = nowhere[1000] + 1
}
