package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/edge"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// The configuration's defaults are the edge's own.
func TestEdgeDefaults(t *testing.T) {
	cfg := config.Default()
	got, err := edgeConfig(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := edge.Default()
	want.File = got.File
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEdgeRefusesToListenToEverybodyWithoutTokens(t *testing.T) {
	cfg := config.Default()
	if _, err := NewEdge(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "nothing listens") {
		t.Errorf("nothing listens: %v", err)
	}
	cfg.Edge.HTTP.Listen = "0.0.0.0:8081"
	if _, err := NewEdge(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "token_files") {
		t.Errorf("on all addresses without a token: %v", err)
	}
}

// launchEdge runs an edge until the test ends.
func launchEdge(t *testing.T, cfg config.Config) *Edge {
	t.Helper()
	x, err := NewEdge(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the edge ended with: %v", err)
		}
	})
	select {
	case <-x.Ready():
	case err := <-done:
		done <- nil
		t.Fatalf("the edge did not start: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the edge does not start")
	}
	return x
}

// edgeOf is a configuration whose edge listens on loopback and whose instance needs no
// audit store.
func edgeOf(t *testing.T) config.Config {
	t.Helper()
	cfg := testConfig(t, t.TempDir())
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"}
	cfg.Edge.HTTP.Listen = "127.0.0.1:0"
	cfg.Edge.Postfix.Listen = []string{"127.0.0.1:0"}
	cfg.Edge.Line.Listen = []string{"unix:" + filepath.Join(t.TempDir(), "line.sock")}
	return cfg
}

func act(t *testing.T, a *App, entity schemas.Entity, what string) {
	t.Helper()
	cfg := a.Config()
	client, err := Connect(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	op, err := Ask(ctx, client, &cfg, schemas.Request{Entity: entity, Act: what, Actor: "ann", Why: "a test"})
	if err != nil || op.Refused != "" {
		t.Fatalf("%s %s: %v %s", what, entity, err, op.Refused)
	}
}

// A suspension made anywhere is answered by every edge, also when nothing else runs.
func TestEdgeFollowsTheStatusTopicAndOutlivesIt(t *testing.T) {
	cfg := edgeOf(t)
	a, stop := launch(t, cfg, Options{Roles: []Role{RoleRespond}})
	x := launchEdge(t, cfg)
	status := func(entity string) string {
		_, body := get(t, "http://"+x.Addresses().HTTP+"/v1/status/"+entity)
		return body
	}
	acct := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	if got := status("account:acct-1"); !strings.Contains(got, `"unknown"`) {
		t.Errorf("before anything was decided: %s", got)
	}
	act(t, a, acct, "suspend")
	within(t, time.Minute, "the edge does not hear of the suspension", func() bool { return strings.Contains(status("account:acct-1"), `"suspended"`) })
	if got := ask(t, strings.TrimPrefix(cfg.Edge.Line.Listen[0], "unix:"), "acct-1\n"); got != "suspended\n" {
		t.Errorf("the line protocol says %q", got)
	}
	stop()
	if got := status("account:acct-1"); !strings.Contains(got, `"suspended"`) {
		t.Errorf("with everything else gone: %s", got)
	}
	if code, body := get(t, "http://"+x.Addresses().HTTP+"/metrics"); code != http.StatusOK || !strings.Contains(body, `holdfast_edge_stopped_entities{status="suspended"} 1`) {
		t.Errorf("metrics: %d, no suspended entity", code)
	}
	a, _ = launch(t, cfg, Options{Roles: []Role{RoleRespond}})
	act(t, a, acct, "release")
	within(t, time.Minute, "the edge does not hear of the release", func() bool { return strings.Contains(status("account:acct-1"), `"active"`) })
}

// What cannot be read leaves the last known good status in force.
func TestEdgeKeepsTheLastGoodStatus(t *testing.T) {
	f := &statusFeed{log: slog.New(slog.DiscardHandler)}
	for _, value := range []string{"{", `{"entity":{"kind":"account","id":"other"},"status":"active"}`, `{"entity":{"kind":"account","id":"a"},"status":"excellent"}`} {
		if c, ok := f.change(kafka.Record{Key: []byte("account:a"), Value: []byte(value)}); ok {
			t.Errorf("%s was taken as %+v", value, c)
		}
	}
	if c, ok := f.change(kafka.Record{Key: []byte("account:a"), Value: []byte(`{"entity":{"kind":"account","id":"a"},"status":"suspended","since":"2026-11-03T10:00:00Z"}`)}); !ok || c.Status.Status != "suspended" {
		t.Errorf("a good one was not taken: %+v", c)
	}
}

// ask puts one line to a socket and reads to its end.
func ask(t *testing.T, path, line string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
