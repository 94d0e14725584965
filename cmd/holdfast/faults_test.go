package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/traffic"
	"holdfast/ingest/embedded/setup"
	"holdfast/schemas"
)

// reborn is an instance that is killed and started again on the same folder.
type reborn struct {
	t    *testing.T
	dir  string
	args []string // beside run --data-dir
	env  []string
	mu   sync.Mutex
	proc *exec.Cmd
	log  bytes.Buffer
}

func (r *reborn) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = os.Remove(filepath.Join(r.dir, "endpoints.json"))
	r.proc = command(r.t, append([]string{"run", "--data-dir", r.dir}, r.args...)...)
	r.proc.Env = append(r.proc.Env, r.env...)
	r.proc.Stderr = &r.log
	if err := r.proc.Start(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reborn) end(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.proc.Process.Signal(s)
	_ = r.proc.Wait()
}

func (r *reborn) endpoints() app.Endpoints {
	var at app.Endpoints
	eventually(r.t, "the instance to run", func() bool {
		b, err := os.ReadFile(filepath.Join(r.dir, "endpoints.json"))
		return err == nil && json.Unmarshal(b, &at) == nil
	})
	return at
}

// killEngine kills the ClickHouse child, wherever it is in its work.
func (r *reborn) killEngine() {
	r.mu.Lock()
	defer r.mu.Unlock()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.proc.Process.Pid, r.proc.Process.Pid))
	if err == nil && len(children) == 0 {
		children = childrenOf(r.proc.Process.Pid)
	}
	for field := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// childrenOf looks for children that another thread than the first one started.
func childrenOf(pid int) []byte {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var out []byte
	for _, f := range files {
		b, _ := os.ReadFile(f)
		out = append(append(out, b...), ' ')
	}
	return out
}

// platformData is a labelled set where there is one, else a made-up life.
func platformData(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../shared/data/platform/events.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	const length = 22 * 24 * time.Hour
	attack := start.Add(length - 3*time.Hour)
	path = filepath.Join(t.TempDir(), "life.ndjson")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for e := range traffic.Events(traffic.Config{Seed: 9, Accounts: 150, Employees: 10, Start: start, Length: length, Incidents: []traffic.Incident{
		traffic.Leak(7, attack, time.Hour), traffic.Botnet(21, 120, attack, time.Hour), traffic.Insider(3, 30, 62, attack, attack.Add(time.Hour)),
	}}) {
		if _, err := fmt.Fprintf(f, "%s\n", e.JSON); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// ask runs one query on the audit store and returns its rows.
func (r *reborn) ask(sql string) ([][]string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.endpoints().ClickHouseURL+"/?database=holdfast&default_format=CSV", strings.NewReader(sql))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s: %s", resp.Status, b)
	}
	return csv.NewReader(resp.Body).ReadAll()
}

// Whatever is killed and whenever, every accepted record is in the store once, and
// what was decided is what an undisturbed run decides.
func TestKilledAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	if _, err := setup.Find(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	data, dir := platformData(t), keptDir(t)
	decisions := filepath.Join(dir, "decisions.ndjson")
	if _, errs, code := holdfast(t, "replay", data, "--decisions", decisions); code != 0 {
		t.Fatal(errs)
	}
	want := decisionsIn(t, decisions)

	r := &reborn{t: t, dir: filepath.Join(dir, "data"), env: []string{"HOLDFAST_RESPOND_AGE_LIMIT=off", "HOLDFAST_RESPOND_BRAKE=false", "HOLDFAST_KAFKA_LISTEN=127.0.0.1:" + freePort(t)}}
	r.start()
	t.Cleanup(func() {
		r.end(syscall.SIGKILL)
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	r.endpoints()
	hashAsReplay(t, &common{DataDir: r.dir})
	r.end(syscall.SIGTERM) // a process reads the secret at its start
	r.start()
	r.endpoints()
	imported := make(chan string, 1)
	go func() {
		for t.Context().Err() == nil {
			out, errs, code := holdfast(t, "--data-dir", r.dir, "import", "--live", "--rate", "50000", "--progress-file", filepath.Join(dir, "progress.json"), data)
			if code == 0 {
				imported <- out
				return
			}
			t.Logf("import goes on after: %s", strings.TrimSpace(errs))
			r.endpoints()
		}
	}()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := range 5 {
		wait(t, time.Duration(300+rnd.IntN(1500))*time.Millisecond)
		r.end(syscall.SIGKILL)
		r.start()
		if i < 3 {
			r.endpoints()
			wait(t, time.Duration(200+rnd.IntN(1200))*time.Millisecond)
			r.killEngine()
		}
	}
	select {
	case out := <-imported:
		t.Log(strings.TrimSpace(out))
	case <-time.After(3 * time.Minute):
		t.Fatal("the import does not end")
	}
	r.checkStore(want)
}

func (r *reborn) checkStore(want []schemas.Decision) {
	t := r.t
	wanted := idsOf(want)
	var last string
	ok := false
	deadline := time.Now().Add(90 * time.Second)
	for !ok && time.Now().Before(deadline) {
		wait(t, 500*time.Millisecond)
		rows, err := r.ask("SELECT count(), uniqExact(log_id, topic, partition, offset), uniqExact(topic, partition, offset), uniqExact(id) FROM events")
		if err != nil || len(rows) != 1 {
			last = fmt.Sprint(err)
			continue
		}
		got, err := r.ask("SELECT DISTINCT id FROM decisions ORDER BY id")
		if err != nil {
			last = err.Error()
			continue
		}
		var ids []string
		for _, row := range got {
			ids = append(ids, row[0])
		}
		c := rows[0]
		last = fmt.Sprintf("events: rows %s, positions %s (without log id %s), ids %s; decisions %d of %d", c[0], c[1], c[2], c[3], len(ids), len(wanted))
		ok = c[0] == c[1] && c[1] == c[2] && c[0] == strconv.FormatInt(r.records(), 10) && slices.Equal(ids, wanted)
	}
	if !ok {
		t.Errorf("the store does not become whole: %s; records in the log: %d", last, r.records())
		r.difference(want)
	}
	t.Log(last)
}

// difference says which decisions are missing or too many, and which of their
// signals stand in the store: whoever reads the log of a failed run needs both.
func (r *reborn) difference(want []schemas.Decision) {
	rows, err := r.ask("SELECT DISTINCT id FROM decisions ORDER BY id")
	if err != nil {
		r.t.Log(err)
		return
	}
	have := map[string]bool{}
	for _, row := range rows {
		have[row[0]] = true
	}
	for _, d := range want {
		if have[d.ID] {
			delete(have, d.ID)
			continue
		}
		there, err := r.ask(fmt.Sprintf("SELECT id, detector, time FROM signals WHERE id IN ('%s')", strings.Join(d.Signals, "','")))
		r.t.Logf("missing: %s %s %s at %s by %s; of its signals %v stand there %v %v", d.ID, d.Entity, d.Verdict, d.Time, d.Policy, d.Signals, there, err)
	}
	for id := range have {
		row, err := r.ask(fmt.Sprintf("SELECT entity, verdict, time, policy, mode, reason, signals FROM decisions WHERE id = '%s'", id))
		r.t.Logf("too many: %s %v %v", id, row, err)
	}
}

// records is how many records other than fences stand on the events topic.
func (r *reborn) records() int64 {
	cfg, err := (&common{DataDir: r.dir}).running()
	if err != nil {
		r.t.Error(err)
		return -1
	}
	client, err := app.Connect(&cfg, quiet())
	if err != nil {
		r.t.Error(err)
		return -1
	}
	defer client.Close()
	n, err := app.CountRecords(r.t.Context(), client, &cfg, schemas.TopicEvents)
	if err != nil {
		r.t.Error(err)
	}
	return n
}

func decisionIDs(t *testing.T, path string) []string {
	t.Helper()
	return idsOf(decisionsIn(t, path))
}

func idsOf(decisions []schemas.Decision) []string {
	var out []string
	for i := range decisions {
		out = append(out, decisions[i].ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func decisionsIn(t *testing.T, path string) []schemas.Decision {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []schemas.Decision
	for line := range bytes.Lines(b) {
		var d schemas.Decision
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// keptDir is a folder that stays where it is when the test fails and
// KEEP_FAILED names a folder for such.
func keptDir(t *testing.T) string {
	t.Helper()
	keep := os.Getenv("KEEP_FAILED")
	if keep == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(keep, "killed")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir)
		}
	})
	return dir
}

// wait lets real processes run for a while: there is no condition to wait for,
// the point is to strike at a time that nothing decides.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return port
}
