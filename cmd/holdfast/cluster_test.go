package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/app"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// member is one of several processes that share the groups.
func member(t *testing.T, config, dir, name string) *exec.Cmd {
	t.Helper()
	c := command(t, "run", "-c", config, "--data-dir", filepath.Join(dir, name), "--roles", "detect,respond")
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", name, b)
		}
	})
	eventually(t, name+" to run", func() bool {
		_, err := os.Stat(filepath.Join(dir, name, "endpoints.json"))
		return err == nil
	})
	return c
}

// owns reports whether the member's log says that it was given lanes of detect.
func owns(t *testing.T, dir, name string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), `msg="all lanes work" role=detect`)
}

// Two processes on Apache Kafka share the lanes while events come in. One of them is
// stopped past the session timeout with state that it has not saved, and woken
// again; later one ends. What was decided is what one process alone decides.
func TestTwoProcessesAndAZombie(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	brokers := kafkatest.Apache(t)
	data, dir := platformData(t), t.TempDir()
	decisions := filepath.Join(dir, "decisions.ndjson")
	if _, errs, code := holdfast(t, "replay", data, "--decisions", decisions); code != 0 {
		t.Fatal(errs)
	}
	want := decisionIDs(t, decisions)
	config := filepath.Join(dir, "holdfast.yaml")
	text := fmt.Sprintf("kafka: {brokers: [%q], prefix: two%d., lanes: 6, replication: 1}\nclickhouse: {addr: ['127.0.0.1:1']}\nrespond: {age_limit: off, brake: false}\n", brokers[0], os.Getpid())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := holdfast(t, "-c", config, "topics", "create"); code != 0 {
		t.Fatal(out, errs)
	}

	first := member(t, config, dir, "first")
	imported := make(chan string, 1)
	go func() {
		_, errs, code := holdfast(t, "-c", config, "--data-dir", dir, "import", "--live", "--rate", "15000", data)
		if code == 0 {
			errs = ""
		}
		imported <- errs
	}()
	second := member(t, config, dir, "second")
	eventually(t, "lanes to move to the second process", func() bool { return owns(t, dir, "second") })
	wait(t, 2*time.Second)
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wait(t, 14*time.Second) // the session timeout is 10 s
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	wait(t, 4*time.Second)
	third := member(t, config, dir, "third")
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = third
	select {
	case errs := <-imported:
		if errs != "" {
			t.Fatal(errs)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the import does not end")
	}
	cfg, err := (&common{ConfigFile: config}).load()
	if err != nil {
		t.Fatal(err)
	}
	p, err := app.NewPlayer(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	eventually(t, "every decision to be made", func() bool {
		got = nil
		seen := map[string]schemas.Decision{}
		err := p.Read(t.Context(), schemas.TopicDecisions, func(value []byte) {
			var d schemas.Decision
			if err := json.Unmarshal(value, &d); err != nil {
				t.Error(err)
			}
			if old, ok := seen[d.ID]; ok && (old.Verdict != d.Verdict || old.Entity != d.Entity || !slices.Equal(old.Signals, d.Signals)) {
				t.Errorf("decision %s was made twice and differently: %+v and %+v", d.ID, old, d)
			}
			seen[d.ID] = d
			got = append(got, d.ID)
		})
		slices.Sort(got)
		got = slices.Compact(got)
		return err == nil && len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("%d decisions, an undisturbed run makes %d", len(got), len(want))
	}
}
