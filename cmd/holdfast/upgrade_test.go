package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// firstRelease is the commit of the first release, from which installations upgrade.
const firstRelease = "76a1c02"

// oldBinary builds the first release from the repository's history.
func oldBinary(t *testing.T) string {
	t.Helper()
	git := func(args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "git", append([]string{"-C", "../.."}, args...)...)
	}
	if err := git("cat-file", "-e", firstRelease+"^{commit}").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("commit %s is not in this clone: fetch the whole history (fetch-depth: 0)", firstRelease)
		}
		t.Skipf("commit %s is not in this clone: fetch the whole history to test upgrades", firstRelease)
	}
	src := t.TempDir()
	archive, untar := git("archive", firstRelease), exec.CommandContext(t.Context(), "tar", "-x", "-C", src)
	pipe, err := archive.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	untar.Stdin = pipe
	if err := archive.Start(); err != nil {
		t.Fatal(err)
	}
	out, err := untar.CombinedOutput()
	if err = errors.Join(err, archive.Wait()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bin := filepath.Join(src, "holdfast-old")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-pgo=off", "-o", bin, "./cmd/holdfast")
	build.Dir = src
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", firstRelease, err, out)
	}
	return bin
}

// rolling is an installation whose processes are replaced one by one.
type rolling struct {
	t           *testing.T
	dir, config string
	old         string
	running     map[string]*exec.Cmd
}

// by has a command run by another binary, without the settings that it does not know.
func by(c *exec.Cmd, binary string) {
	c.Path = binary
	c.Env = slices.DeleteFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "HOLDFAST_API_") })
}

// start runs one more process, of the first release or of this version, and waits until
// it has lanes.
func (r *rolling) start(name string, old bool) {
	r.t.Helper()
	c := command(r.t, "run", "-c", r.config, "--data-dir", filepath.Join(r.dir, name), "--roles", "detect,respond")
	if old {
		by(c, r.old)
	}
	log, err := os.Create(filepath.Join(r.dir, name+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	c.Stderr = log
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.running[name] = c
	r.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		log.Close()
		if r.t.Failed() {
			b, _ := os.ReadFile(log.Name())
			r.t.Logf("%s:\n%s", name, b[max(0, len(b)-4000):])
		}
	})
	eventually(r.t, name+" to have lanes", func() bool {
		b, err := os.ReadFile(log.Name())
		// The first release tells of each lane, this version of all of them at once.
		return owns(r.t, r.dir, name) || err == nil && strings.Contains(string(b), `msg="lane restored" role=detect`)
	})
}

// stop ends a process and waits for its end.
func (r *rolling) stop(name string, how syscall.Signal) {
	r.t.Helper()
	c := r.running[name]
	delete(r.running, name)
	if err := c.Process.Signal(how); err != nil {
		r.t.Fatal(err)
	}
	if err := c.Wait(); err != nil && how == syscall.SIGTERM {
		r.t.Errorf("%s ends with %v", name, err)
	}
}

// replayed are the ids of signals and decisions that a binary finds by itself.
func replayed(t *testing.T, binary, events string) (signals, decisions map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	s, d := filepath.Join(dir, "signals"), filepath.Join(dir, "decisions")
	c := command(t, "replay", events, "--signals", s, "--decisions", d)
	if binary != "" {
		by(c, binary)
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return idSet(t, s), idSet(t, d)
}

func idSet(t *testing.T, path string) map[string]bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		var v struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		ids[v.ID] = true
	}
	return ids
}

// hashAsReplay gives a new installation the secret by which replay hashes, so that
// sketches at their margin count alike.
func hashAsReplay(t *testing.T, c *common) {
	t.Helper()
	cfg, client, err := c.cluster()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in, err := app.ReadInstallation(ctx, client, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	in.HashSecret = []byte("holdfast replay: a fixed secret!")
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	err = client.Write(ctx, kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicControl)}, []kafka.Record{{
		Key: []byte(schemas.ControlInstallation), Value: b, Time: time.Now().UnixMilli(),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindControl)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// An installation of the first release is upgraded, taken back, and upgraded for good,
// process by process, while events come in. Nothing that a release by itself would have
// found is lost, nothing is found that neither would have, and no decision is made twice
// and differently. The upgrade can be finished once no old process is left, and not before.
func TestRollingUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two minutes")
	}
	old := oldBinary(t)
	brokers := kafkatest.Apache(t)
	dir := t.TempDir()
	r := &rolling{t: t, dir: dir, config: filepath.Join(dir, "holdfast.yaml"), old: old, running: map[string]*exec.Cmd{}}
	set := filepath.Join(dir, "set")
	if _, errs, code := holdfast(t, "simulate", set, "--profile", "mixed", "--seed", "4242", "--accounts", "120"); code != 0 {
		t.Fatal(errs)
	}
	data := filepath.Join(set, "events.ndjson.gz")
	text := fmt.Sprintf("kafka: {brokers: [%q], prefix: roll%d., lanes: 6, replication: 1}\nclickhouse: {addr: ['127.0.0.1:1']}\nrespond: {age_limit: off, brake: false}\ndetect: {save_every: 2s}\n", brokers[0], os.Getpid())
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	create := command(t, "-c", r.config, "topics", "create")
	by(create, old)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hashAsReplay(t, &common{ConfigFile: r.config})
	finish := func() (string, int) {
		_, errs, code := holdfast(t, "-c", r.config, "upgrade", "finish", "--why", "the test is over")
		return errs, code
	}

	r.start("old1", true)
	r.start("old2", true)
	imported := make(chan string, 1)
	go func() {
		_, errs, code := holdfast(t, "-c", r.config, "--data-dir", dir, "import", "--live", "--rate", "3500", data)
		if code == 0 {
			errs = ""
		}
		imported <- errs
	}()
	wait(t, 3*time.Second) // of state that the first release wrote
	r.start("new1", false)
	if errs, code := finish(); code == 0 || !strings.Contains(errs, "older version") {
		t.Errorf("with old processes the upgrade can be finished: %d, %s", code, errs)
	}
	r.stop("old1", syscall.SIGTERM)
	r.start("new2", false)
	r.stop("old2", syscall.SIGKILL)
	wait(t, 3*time.Second) // only new ones
	r.start("old3", true)  // and back
	r.stop("new1", syscall.SIGKILL)
	r.start("old4", true)
	r.stop("new2", syscall.SIGTERM)
	wait(t, 3*time.Second) // only old ones
	r.start("new3", false) // and forward again
	r.stop("old3", syscall.SIGTERM)
	r.start("new4", false)
	r.stop("old4", syscall.SIGTERM)
	eventually(t, "the upgrade to be finished", func() bool { _, code := finish(); return code == 0 })
	wait(t, 3*time.Second) // in sections
	r.start("new5", false)
	r.stop("new3", syscall.SIGKILL)
	select {
	case errs := <-imported:
		if errs != "" {
			t.Fatal(errs)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the import does not end")
	}

	oldSignals, oldDecisions := replayed(t, old, data)
	newSignals, newDecisions := replayed(t, "", data)
	cfg, err := (&common{ConfigFile: r.config}).load()
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
	var signals, decisions map[string]bool
	eventually(t, "every decision to be made", func() bool {
		signals, decisions = map[string]bool{}, map[string]bool{}
		made := map[string]schemas.Decision{}
		err := errors.Join(p.Read(t.Context(), schemas.TopicDecisions, func(value []byte) {
			var d schemas.Decision
			if err := json.Unmarshal(value, &d); err != nil {
				t.Error(err)
			}
			if was, ok := made[d.ID]; ok && (was.Verdict != d.Verdict || was.Entity != d.Entity || !slices.Equal(was.Signals, d.Signals)) {
				t.Errorf("decision %s was made twice and differently: %+v and %+v", d.ID, was, d)
			}
			made[d.ID], decisions[d.ID] = d, true
		}), p.Read(t.Context(), schemas.TopicInbox, func(value []byte) {
			var s schemas.Signal
			if json.Unmarshal(value, &s) == nil && strings.HasPrefix(s.ID, "sig_") && s.Detector != "" {
				signals[s.ID] = true
			}
		}))
		lost, _ := differ(decisions, oldDecisions, newDecisions)
		return err == nil && len(lost) == 0
	})
	for _, x := range []struct {
		name            string
		got, old, young map[string]bool
	}{{"signals", signals, oldSignals, newSignals}, {"decisions", decisions, oldDecisions, newDecisions}} {
		lost, extra := differ(x.got, x.old, x.young)
		t.Logf("%s: %d; the first release by itself %d, this version %d", x.name, len(x.got), len(x.old), len(x.young))
		if len(x.got) == 0 || len(lost)+len(extra) > 0 {
			t.Errorf("%s: lost %v, extra %v", x.name, lost, extra)
		}
	}
	var rejected int
	if err := p.Read(t.Context(), schemas.TopicRejected, func([]byte) { rejected++ }); err != nil || rejected > 0 {
		t.Errorf("%d records were rejected, %v", rejected, err)
	}
}

// differ gives what both releases find and is not there, and what neither finds and is.
func differ(got, a, b map[string]bool) (lost, extra []string) {
	for id := range a {
		if b[id] && !got[id] {
			lost = append(lost, id)
		}
	}
	for id := range got {
		if !a[id] && !b[id] {
			extra = append(extra, id)
		}
	}
	return lost, extra
}
