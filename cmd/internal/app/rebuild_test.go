package app

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/config"
	"holdfast/cmd/internal/rebuild"
	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/history"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// stateNow is what stands on the projections, by topic and key, without the offsets
// applied. Of an address is left out when it was heard of last, which is the arrival of a
// fact in a lane and that of the event behind it in a rebuild.
func stateNow(t *testing.T, c *kafka.Client, cfg *config.Config) map[string]string {
	t.Helper()
	out := map[string]string{}
	for topic := range stateRoles {
		n := cfg.Kafka.Lanes
		if topic == schemas.TopicStateGate {
			n = 1
		}
		for _, p := range partitions(n) {
			all, err := lastValues(t.Context(), c, cfg.Kafka.Prefix+string(topic), []int32{p}, func(string) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range all {
				f, err := schemas.ParseStateFrame(value)
				if err != nil {
					t.Fatal(err)
				}
				if partitionOf(topic, key, cfg.Kafka.Lanes) != p {
					t.Errorf("%s of %s stands on partition %d", topic, key, p)
				}
				payload := f.Payload
				if strings.HasPrefix(key, "ip:") && topic == schemas.TopicStateDetect && f.Version == schemas.FrameSections {
					if first, rest, err := schemas.CutSection(payload, 0); err == nil && first.Tag == 1 {
						payload = rest
					}
				}
				if topic == schemas.TopicStateGate {
					payload = sortAnswers(t, payload)
				}
				out[string(topic)+" "+key] = string(f.Version) + string(payload)
			}
		}
	}
	return out
}

// sortAnswers puts the gate's answers in order: lanes asked for them in any.
func sortAnswers(t *testing.T, payload []byte) (out []byte) {
	t.Helper()
	for last := uint64(0); len(payload) > 0; {
		x, rest, err := schemas.CutSection(payload, last)
		if err != nil {
			t.Fatal(err)
		}
		body := x.Body
		if body[0] != '{' {
			body = bytes.Join(slices.SortedFunc(slices.Chunk(body, 9), bytes.Compare), nil)
		}
		out = schemas.AppendSection(out, x.Tag, x.Version, body)
		payload, last = rest, x.Tag
	}
	return out
}

// copyPrivately copies a data folder, which nobody else may look into.
func copyPrivately(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		if err == nil && d.Type().IsRegular() {
			return os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// found are the ids of signals and decisions that stand on the topics, and how often.
func found(t *testing.T, p *Player) (ids map[string]int) {
	t.Helper()
	ids = map[string]int{}
	for _, topic := range []schemas.Topic{schemas.TopicInbox, schemas.TopicDecisions} {
		if err := p.Read(t.Context(), topic, func(value []byte) {
			var v struct {
				ID string `json:"id"`
			}
			if json.Unmarshal(value, &v) == nil && (strings.HasPrefix(v.ID, "sig_") || strings.HasPrefix(v.ID, "dec_")) {
				ids[v.ID]++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// State that is made anew from the audit store is the state that was lived: entity by
// entity to the byte, and what comes after gives the same signals and decisions as in an
// installation that was never rebuilt, none of them twice. A run that is cut goes on.
func TestRebuiltStateIsTheStateThatWasLived(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	needEngine(t)
	dir := t.TempDir()
	a, stop := launch(t, testConfig(t, dir), Options{})
	cfg := a.Config()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	p, err := NewPlayer(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	life := traffic.Config{Seed: 5, Accounts: 12, Employees: 2, Start: begin.Add(-14 * 24 * time.Hour), Length: 14 * 24 * time.Hour}
	life.Incidents = []traffic.Incident{traffic.Leak(2, begin.Add(-5*24*time.Hour), time.Hour)}
	if _, err := p.Play(ctx, traffic.Events(life), schemas.OriginImport, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	life.Start, life.Length = begin, 40*time.Minute
	life.Incidents = []traffic.Incident{traffic.Leak(4, begin.Add(5*time.Minute), 15*time.Minute), traffic.Botnet(6, 40, begin.Add(10*time.Minute), 20*time.Minute)}
	if _, err := p.Play(ctx, traffic.Events(life), schemas.OriginLive, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	for _, act := range []string{"confirm", "release"} {
		op, err := Ask(ctx, p.client, &cfg, schemas.Request{Entity: schemas.Entity{Kind: schemas.KindAccount, ID: traffic.AccountID(4)}, Act: act, Actor: "ada", Why: "the key is rotated"})
		if err != nil || op.Refused != "" {
			t.Fatalf("%s: %v %s", act, err, op.Refused)
		}
	}
	if _, err := Rebuild(ctx, p.client, &cfg, nil, RebuildOptions{}); !errors.Is(err, ErrStillRunning) {
		t.Errorf("while the lanes work: %v", err)
	}
	p.Close()
	stop()
	twin := t.TempDir()
	copyPrivately(t, twin, dir)

	a, stop = launch(t, testConfig(t, dir), Options{Roles: []Role{RoleRecord, RoleServe}})
	cfg = a.Config()
	client, err := Connect(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	past := history.New(store)
	opts := RebuildOptions{Notes: filepath.Join(dir, "rebuild.zst"), Every: 3000, Actor: "ada", DryRun: true}
	var dry Rebuilt
	defer func() {
		if t.Failed() {
			t.Logf("the last error: %v", err)
		}
	}()
	within(t, time.Minute, "the recorder does not catch up", func() bool {
		dry, err = Rebuild(ctx, client, &cfg, past, opts)
		return err == nil
	})
	if dry.Same == 0 || len(dry.Missing)+len(dry.Extra) > 0 || dry.Adopted != 0 || dry.Requests != 2 {
		t.Errorf("decisions made and made again: %+v", dry)
	}
	if err := os.Remove(opts.Notes); err != nil {
		t.Error(err)
	}
	lived := stateNow(t, client, &cfg)
	// All that was saved is lost, but for one value that nobody remembers.
	w := newStateWriter(client, cfg.Kafka.Prefix, a.install)
	for key := range lived {
		topic, entity, _ := strings.Cut(key, " ")
		if err := w.put(ctx, schemas.Topic(topic), w.at(schemas.Topic(topic), entity), entity, nil); err != nil {
			t.Fatal(err)
		}
	}
	odd := "account:of-another-age"
	if err := w.put(ctx, schemas.TopicStateDetect, w.at(schemas.TopicStateDetect, odd), odd, schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 99})); err != nil {
		t.Fatal(err)
	}
	if err := w.flush(ctx); err != nil {
		t.Fatal(err)
	}
	cut, cutNow := context.WithCancel(ctx)
	opts.DryRun = false
	opts.Progress = func(p rebuild.Progress) {
		if p.Events > dry.Events*2/3 {
			cutNow()
		}
	}
	if _, err := Rebuild(cut, client, &cfg, past, opts); err == nil {
		t.Error("a run that was cut ends well")
	}
	opts.Progress = nil
	out, err := Rebuild(ctx, client, &cfg, past, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !out.Resumed || out.Events != dry.Events || out.Same != dry.Same || len(out.Extra)+len(out.Missing) > 0 || out.Deleted != 1 {
		t.Errorf("the run after the cut: %+v, without one: %+v", out, dry)
	}
	rebuilt := stateNow(t, client, &cfg)
	for _, key := range slices.Sorted(maps.Keys(lived)) {
		if rebuilt[key] != lived[key] {
			t.Errorf("%s was lived as %d bytes and rebuilt as %d", key, len(lived[key]), len(rebuilt[key]))
			if strings.Contains(key, "respond") {
				t.Logf("lived\n%q\nrebuilt\n%q", lived[key], rebuilt[key])
			}
		}
	}
	for key := range rebuilt {
		if _, ok := lived[key]; !ok && !strings.Contains(key, " ip:") {
			t.Errorf("%s is rebuilt and was not lived", key)
		}
	}
	// Onto new topics with another number of lanes.
	opts.Prefix, opts.Lanes, opts.Notes = "wide.", 5, ""
	if _, err := Rebuild(ctx, client, &cfg, past, opts); err != nil {
		t.Fatal(err)
	}
	wide := cfg
	wide.Kafka.Prefix, wide.Kafka.Lanes = opts.Prefix, opts.Lanes
	if moved := stateNow(t, client, &wide); !maps.Equal(moved, rebuilt) {
		t.Errorf("%d values on new topics, %d on the old ones, or they differ", len(moved), len(rebuilt))
	}
	if in, err := ReadInstallation(ctx, client, &wide); err != nil || in.Lanes != 5 || in.LogID == a.install.LogID || !bytes.Equal(in.HashSecret, a.install.HashSecret) {
		t.Errorf("their installation: %+v, %v", in, err)
	}
	store.Close()
	client.Close()
	stop()

	// What comes after, there and in an installation that was never rebuilt.
	life.Seed, life.Start, life.Length = 9, begin.Add(41*time.Minute), 17*time.Minute
	life.Incidents = []traffic.Incident{traffic.Leak(3, begin.Add(42*time.Minute), 10*time.Minute), traffic.Leak(4, begin.Add(44*time.Minute), 10*time.Minute)}
	after := func(dir, prefix string, lanes int) map[string]int {
		c := testConfig(t, dir)
		if prefix != "" {
			c.Kafka.Prefix, c.Kafka.Lanes = prefix, lanes
		}
		a, stop := launch(t, c, Options{NewLog: prefix != ""})
		defer stop()
		cfg := a.Config()
		p, err := NewPlayer(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Play(ctx, traffic.Events(life), schemas.OriginLive, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Settled(ctx); err != nil {
			t.Fatal(err)
		}
		return found(t, p)
	}
	want, got := after(twin, "", 0), after(dir, "", 0)
	news := 0
	for id := range want {
		if got[id] == 0 {
			t.Errorf("after a rebuild %s is not found", id)
		}
	}
	for id, n := range got {
		if want[id] == 0 {
			t.Errorf("after a rebuild %s is found, which is not otherwise", id)
		}
		if n > 1 {
			t.Errorf("%s is published %d times", id, n)
		}
	}
	for id, n := range after(dir, opts.Prefix, opts.Lanes) {
		if want[id] == 0 || n > 1 {
			t.Errorf("on new topics %s is found %d times, in the twin %d", id, n, want[id])
		}
		news++
	}
	if news == 0 || news >= len(want) {
		t.Errorf("on new topics are %d findings, of %d in all: those that come after alone", news, len(want))
	}
}
