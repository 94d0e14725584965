package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// small is a platform with one leaked key in its last hour.
func small(begin time.Time) (past, present iter.Seq[traffic.Event]) {
	c := traffic.Config{Seed: 3, Accounts: 10, Employees: 1, Start: begin.Add(-21 * 24 * time.Hour), Length: 21 * 24 * time.Hour}
	past = traffic.Events(c)
	c.Start, c.Length = begin, time.Hour
	c.Incidents = []traffic.Incident{traffic.Leak(4, begin.Add(10*time.Minute), 20*time.Minute)}
	return past, traffic.Events(c)
}

// One process: events in, a stop out, and every record of it a row.
func TestFromEventToStopToRow(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t, t.TempDir())
	a, stop := launch(t, cfg, Options{})
	cfg = a.Config()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	p, err := NewPlayer(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	past, present := small(time.Now().UTC().Add(-time.Hour).Truncate(time.Second))
	sent, err := p.Play(ctx, past, schemas.OriginImport, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := p.Play(ctx, present, schemas.OriginLive, nil)
	if err != nil {
		t.Fatal(err)
	}
	sent += n
	victim := schemas.Entity{Kind: schemas.KindAccount, ID: traffic.AccountID(4)}
	var s schemas.Status
	within(t, time.Minute, "the account whose key leaked is not suspended", func() bool {
		s, _, err = ReadStatus(ctx, p.client, &cfg, victim)
		return err == nil && s.Status == "suspended"
	})
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	count := func(query string, args ...any) (n uint64) {
		if err := store.QueryRow(ctx, query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Nothing waits for the store: the stop may be there before its tables are.
	within(t, time.Minute, "the store has no tables", func() bool {
		var n uint64
		return store.QueryRow(ctx, "SELECT count() FROM events").Scan(&n) == nil
	})
	within(t, time.Minute, "the events are not all rows", func() bool { return count("SELECT count() FROM events") == uint64(sent) })
	within(t, time.Minute, "the decision is no row", func() bool {
		return count("SELECT count() FROM decisions WHERE id = ?", s.Decision) > 0
	})
	// Each journal is recorded in its own time.
	within(t, time.Minute, "the timeline lacks an event, a signal, a decision or the case", func() bool {
		kinds := map[schemas.Kind]int{}
		for e, err := range history.New(store).Timeline(ctx, victim, time.Now().Add(-2*time.Hour), 0) {
			if err != nil {
				t.Fatal(err)
			}
			kinds[e.Kind]++
		}
		return kinds[schemas.KindEvent] > 0 && kinds[schemas.KindSignal] > 0 && kinds[schemas.KindDecision] > 0 && kinds[schemas.KindCase] > 0
	})
	checkEndpoints(t, a)
	checkMetrics(t, a)
	stop()
	if _, err := FindRunning(ptr(testConfig(t, cfg.DataDir))); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after its end an instance is found: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

// checkEndpoints looks at what a running instance says of itself.
func checkEndpoints(t *testing.T, a *App) {
	t.Helper()
	at := a.Endpoints()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": `holdfast_enforce_lag_records{partition="1"}`} {
		code, body := get(t, "http://"+at.Observability+path)
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s answers %d and has no %q", path, code, want)
		}
		if strings.Contains(body, "acct-") {
			t.Errorf("%s names an account", path)
		}
	}
	if code, _ := get(t, at.ClickHouseURL+"/ping"); code != http.StatusOK {
		t.Errorf("the audit store answers %d", code)
	}
	cfg := testConfig(t, a.cfg.DataDir)
	if _, err := FindRunning(&cfg); err != nil || len(cfg.Kafka.Brokers) == 0 || len(cfg.ClickHouse.Addr) == 0 {
		t.Errorf("other commands do not find the instance: %v, %v, %v", err, cfg.Kafka.Brokers, cfg.ClickHouse.Addr)
	}
	st, err := os.Stat(filepath.Join(a.cfg.DataDir, endpointsFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others may read where the instance is: %v, %v", st.Mode(), err)
	}
}

// checkMetrics looks for what was found, decided and let through, and that nobody is named.
func checkMetrics(t *testing.T, a *App) {
	t.Helper()
	families, err := a.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() == "answer" || l.GetName() == "verdict" {
					key += " " + l.GetValue()
				}
				for _, s := range []string{"acct-", "emp-", "shop", "198.51.", "203.0.113."} {
					if strings.Contains(l.GetValue(), s) {
						t.Errorf("%s has the label %s=%q", f.GetName(), l.GetName(), l.GetValue())
					}
				}
			}
			sums[key] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for _, name := range []string{"holdfast_detect_signals_total", "holdfast_gate_answers_total go", "holdfast_gate_stops", "holdfast_enforce_decisions_total suspend", "holdfast_build_info"} {
		if sums[name] < 1 {
			t.Errorf("%s is %g", name, sums[name])
		}
	}
	for _, name := range []string{"holdfast_gate_tripped", "holdfast_gate_answers_total braked", "holdfast_detect_late_total"} {
		if v, ok := sums[name]; !ok || v != 0 {
			t.Errorf("%s is %g (%v)", name, v, ok)
		}
	}
}

// What a killed instance left behind is not taken for a running one.
func TestAKilledInstanceIsNotFound(t *testing.T) {
	dir := t.TempDir()
	gone := Endpoints{PID: 1 << 22, Kafka: []string{"127.0.0.1:1"}, ClickHouse: []string{"127.0.0.1:2"}}
	if err := gone.write(dir); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, dir)
	if _, err := FindRunning(&cfg); !errors.Is(err, ErrNotRunning) {
		t.Errorf("found: %v", err)
	}
	cfg.Kafka.Brokers = []string{"kafka:9092"}
	if err := FindBroker(&cfg); err != nil {
		t.Errorf("with brokers of one's own nothing has to run here: %v", err)
	}
}

// The embedded log is found again after a clean end, under the same id.
func TestTheLogStaysAfterACleanEnd(t *testing.T) {
	dir := t.TempDir()
	var first schemas.Installation
	for round := range 2 {
		cfg := testConfig(t, dir)
		cfg.ClickHouse.Addr = []string{"127.0.0.1:1"} // these roles need none
		a, stop := launch(t, cfg, Options{Roles: []Role{RoleDetect}})
		if round == 0 {
			first = a.install
		} else if a.install.ID != first.ID || a.install.LogID != first.LogID || string(a.install.HashSecret) != string(first.HashSecret) {
			t.Errorf("the installation changed: %v became %v", first, a.install)
		}
		stop()
	}
	cfg := testConfig(t, dir)
	cfg.ClickHouse.Addr, cfg.Kafka.Lanes = []string{"127.0.0.1:1"}, 4
	a, err := New(cfg, Options{Roles: []Role{RoleDetect}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(context.Background()); !errors.Is(err, ErrTopics) || !strings.Contains(fmt.Sprint(err), "partitions") {
		t.Errorf("another number of lanes: %v", err)
	}
}
