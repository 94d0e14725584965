package importer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/ingest/adapters/sshd"
	"holdfast/ingest/history"
	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

const sharedData = "../../../shared/data/"

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if strings.HasSuffix(name, ".gz") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(data)
		_ = z.Close()
		data = b.Bytes()
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func events(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"id":"e%d","type":"login","account":"a%d","time":"2026-03-02T11:00:08Z","user":"u","outcome":"success"}`+"\n", i, i%100)
	}
	return b.Bytes()
}

func deps(w Writer) Deps {
	return Deps{Writer: w, Now: func() time.Time { return intaketest.Now }}
}

func TestImportsEveryShapeOfFile(t *testing.T) {
	b := &intaketest.Broker{Lanes: 3}
	d := deps(intaketest.Producer(t, b, intake.Config{}))
	d.Stdin = bytes.NewReader(append(events(2), "{}\n\n"...))
	var refused []string
	d.Refused = func(r Refusal) { refused = append(refused, r.Error()) }
	last := map[string]Progress{}
	d.Progress = func(p Progress) { last[filepath.Base(p.File)] = p }
	sum, err := Run(t.Context(), Config{Files: []string{
		write(t, "a.ndjson", events(5)), "-", write(t, "b.ndjson.gz", bytes.TrimSuffix(events(3), newline)), write(t, "empty", nil),
	}, Live: true}, d)
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{Files: 4, Counts: Counts{Lines: 12, Accepted: 10, Refused: 1, Irrelevant: 1}}
	sum.Elapsed = 0
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if len(refused) != 1 || !strings.HasPrefix(refused[0], `-:3: field "type": is missing`) {
		t.Errorf("refused %q", refused)
	}
	if p := last["b.ndjson.gz"]; !p.Done || p.Read != p.Size || p.Accepted != 3 || p.Index != 2 || p.Files != 4 {
		t.Errorf("last progress %+v", p)
	}
	all := b.All(schemas.TopicEvents)
	if len(all) != 10 || intaketest.Header(&all[0], "origin") != "live" || intaketest.Header(&all[0], "source") != "import" {
		t.Errorf("%d records, first %+v", len(all), all[0])
	}
	var r schemas.Rejected
	rejected := b.All(schemas.TopicRejected)
	if len(rejected) != 1 || json.Unmarshal(rejected[0].Value, &r) != nil || r.Topic != "-" || r.Offset != 3 || string(r.Head) != "{}" {
		t.Errorf("rejected %+v", r)
	}
}

func TestHostileFile(t *testing.T) {
	h := intaketest.NewHostile(2, 100_000)
	b := &intaketest.Broker{Lanes: 4}
	sum, err := Run(t.Context(), Config{Files: []string{write(t, "hostile.ndjson", h.Data)}}, deps(intaketest.Producer(t, b, intake.Config{})))
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{Lines: 200_000, Accepted: int64(len(h.Good)), Refused: int64(h.Bad)}
	if sum.Counts != want {
		t.Errorf("counts %+v, want %+v", sum.Counts, want)
	}
	for _, rec := range b.All(schemas.TopicEvents) {
		id := intaketest.Header(&rec, "id")
		if h.Good[id] != string(rec.Value) {
			t.Fatalf("%s stands as %.200s", id, rec.Value)
		}
		delete(h.Good, id)
	}
	if n := len(b.All(schemas.TopicRejected)); len(h.Good) > 0 || n != h.Bad {
		t.Errorf("%d good records do not stand; %d of %d bad ones are kept", len(h.Good), n, h.Bad)
	}
}

// A line of any length costs no more memory than a block, and hides no neighbour.
func TestOverlongLines(t *testing.T) {
	one := events(1)
	long := bytes.Repeat([]byte("x"), 3*blockSize+17)
	data := bytes.Join([][]byte{one, long, newline, one, long, newline, long, newline, one, long}, nil)
	b := &intaketest.Broker{Lanes: 1}
	var lines []int64
	d := deps(intaketest.Producer(t, b, intake.Config{}))
	d.Refused = func(r Refusal) { lines = append(lines, r.Line) }
	sum, err := Run(t.Context(), Config{Files: []string{write(t, "long.ndjson.gz", data)}}, d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{2, 4, 5, 7}, lines); diff != "" || sum.Counts != (Counts{Lines: 7, Accepted: 3, Refused: 4}) {
		t.Errorf("counts %+v, refused lines (-want +got):\n%s", sum.Counts, diff)
	}
	for _, rec := range b.All(schemas.TopicRejected) {
		var r schemas.Rejected
		sum := intake.Keep(long).SHA256
		if err := json.Unmarshal(rec.Value, &r); err != nil || r.Size != len(long) || len(r.Head) != intake.RejectedHead || r.SHA256 != fmt.Sprintf("%x", sum) {
			t.Errorf("%d bytes, head %d, sum %s: %v", r.Size, len(r.Head), r.SHA256, err)
		}
	}
}

// What stands before a break in gzip is in; the break is told.
func TestBrokenGzip(t *testing.T) {
	whole, err := os.ReadFile(write(t, "x.gz", events(100_000)))
	if err != nil {
		t.Fatal(err)
	}
	b := &intaketest.Broker{Lanes: 2}
	sum, err := Run(t.Context(), Config{Files: []string{write(t, "half", whole[:len(whole)/2])}}, deps(intaketest.Producer(t, b, intake.Config{})))
	if !errors.Is(err, io.ErrUnexpectedEOF) || sum.Accepted < 40_000 || sum.Accepted > 60_000 || sum.Refused != 0 {
		t.Errorf("%+v: %v", sum.Counts, err)
	}
	if n := len(b.All(schemas.TopicEvents)); int64(n) != sum.Accepted {
		t.Errorf("%d records stand", n)
	}
}

// stopping is a writer after whose nth record the import is interrupted.
type stopping struct {
	Writer
	left int
	stop context.CancelFunc
}

func (s *stopping) Send(ctx context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error {
	if s.left--; s.left == 0 {
		s.stop()
	}
	return s.Writer.Send(ctx, r, topic, rec)
}

// An import interrupted anywhere and gone on with brings in every record once.
func TestInterruptedImportGoesOn(t *testing.T) {
	log := sshLog(40_000)
	plain := append(events(50_000), bytes.Repeat([]byte("{}\n"), 5)...)
	for _, c := range []struct {
		name   string
		format Format
		data   []byte
		events int
	}{
		{"plain.ndjson", NDJSON, plain, 50_000}, {"packed.ndjson.gz", NDJSON, plain, 50_000}, {"auth.log", SSHD, log, 40_000}, {"auth.log.gz", SSHD, log, 40_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &intaketest.Broker{Lanes: 3}
			cfg := Config{Files: []string{write(t, "first.ndjson", nil), write(t, c.name, c.data)}, Format: c.format, SSHD: sshd.Options{Year: 2025},
				Progress: filepath.Join(t.TempDir(), "progress.json")}
			runs := 0
			var resumed int64
			for {
				runs++
				ctx, cancel := context.WithCancel(t.Context())
				w, end := producer(b)
				d := deps(&stopping{w, 20_000, cancel})
				d.Log = b
				sum, err := Run(ctx, cfg, d)
				cancel()
				end()
				resumed = sum.Resumed.Accepted + sum.Accepted
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) || runs > 50 {
					t.Fatalf("run %d: %v", runs, err)
				}
			}
			if _, err := os.Stat(cfg.Progress); !os.IsNotExist(err) {
				t.Errorf("the progress file remains: %v", err)
			}
			values := map[string]string{}
			for _, r := range b.All(schemas.TopicEvents) {
				id := intaketest.Header(&r, "id")
				if values[id] != "" {
					t.Fatalf("%s stands twice", id)
				}
				values[id] = string(r.Value)
			}
			if runs < 2 || len(values) != c.events || resumed != int64(c.events) {
				t.Errorf("%d runs brought %d records, and count %d, want %d", runs, len(values), resumed, c.events)
			}
		})
	}
}

// producer runs a producer of one process, until it is ended.
func producer(b *intaketest.Broker) (p *intake.Producer, end func()) {
	p = intake.NewProducer(intake.Config{}, intake.Deps{Broker: b})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = p.Run(ctx); close(done) }()
	return p, func() { cancel(); <-done }
}

func sshLog(n int) []byte {
	var b bytes.Buffer
	at := time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at = at.Add(time.Minute)
		shape := "Failed password for root from 192.0.2.%d port 22 ssh2"
		if i%3 == 0 {
			shape = "Invalid user x from 192.0.2.%d"
		}
		fmt.Fprintf(&b, at.Format(time.Stamp)+" host sshd[%d]: "+shape+"\n", i, i%256)
		b.WriteString(at.Format(time.Stamp) + " host cron[1]: nothing\n")
	}
	return b.Bytes()
}

func TestProgressFileOfSomethingElse(t *testing.T) {
	file := write(t, "a", events(1))
	for name, content := range map[string]string{"garbage": "{", "version": `{"version":9}`, "format": `{"version":1,"format":"sshd","files":[]}`} {
		path := write(t, "progress", []byte(content))
		_, err := Run(t.Context(), Config{Files: []string{file}, Progress: path}, deps(nil))
		if err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRate(t *testing.T) {
	b := &intaketest.Broker{Lanes: 1}
	sum, err := Run(t.Context(), Config{Files: []string{write(t, "a", events(200))}, Rate: 1000}, deps(intaketest.Producer(t, b, intake.Config{})))
	if err != nil || sum.Elapsed < 150*time.Millisecond || sum.Elapsed > 5*time.Second {
		t.Errorf("200 records at 1000 a second took %s: %v", sum.Elapsed, err)
	}
}

func TestFailedWriteEndsTheImport(t *testing.T) {
	gone := errors.New("topic deleted")
	b := &intaketest.Broker{Lanes: 1, Before: func(kafka.TopicPartition, []kafka.Record) error { return gone }}
	_, err := Run(t.Context(), Config{Files: []string{write(t, "a", events(200_000))}}, deps(intaketest.Producer(t, b, intake.Config{})))
	if !errors.Is(err, gone) {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	cfg := Config{Files: []string{"-", "-"}, Format: "xml", Rate: -1}
	err := cfg.Validate()
	for _, part := range []string{"twice", "xml", "negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in %v", part, err)
		}
	}
	if _, err := Run(t.Context(), Config{}, Deps{}); err == nil {
		t.Error("an import of nothing is no mistake")
	}
}

func TestRealLogins(t *testing.T) {
	path := sharedData + "logins/auth.log"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not here: this test imports that log", path)
	}
	b := &intaketest.Broker{Lanes: 4}
	sum, err := Run(t.Context(), Config{Files: []string{path}, Format: SSHD, SSHD: sshd.Options{Year: 2017}}, deps(intaketest.Producer(t, b, intake.Config{})))
	if err != nil || sum.Accepted != 1381 || sum.Refused != 0 || sum.Unreadable != 0 || len(b.All(schemas.TopicEvents)) != 1381 {
		t.Errorf("%+v: %v", sum, err)
	}
}

// BenchmarkPlatform imports a day of the labelled platform, 504,353 events.
func BenchmarkPlatform(b *testing.B) {
	path := sharedData + "platform/events.ndjson.gz"
	if _, err := os.Stat(path); err != nil {
		b.Skipf("%s is not here", path)
	}
	for b.Loop() {
		broker := &intaketest.Broker{Lanes: 8}
		d := deps(intaketest.Producer(b, broker, intake.Config{}))
		d.Now = time.Now
		sum, err := Run(b.Context(), Config{Files: []string{path}}, d)
		if err != nil || sum.Refused != 0 {
			b.Fatalf("%+v: %v", sum, err)
		}
		b.ReportMetric(float64(sum.Accepted)/sum.Elapsed.Seconds(), "events/s")
	}
}

// What the source had sent before is counted, and sent again: whether it counts once is
// the lanes' and the views' business.
func TestRepeatedEventsAreCounted(t *testing.T) {
	b := &intaketest.Broker{Lanes: 1}
	d := deps(intaketest.Producer(t, b, intake.Config{}))
	var asked string
	d.Sent = func(_ context.Context, source string, before time.Time) ([]uint64, error) {
		if before.After(time.Now()) {
			t.Errorf("asked for what arrives until %s", before)
		}
		asked = source
		var out []uint64
		for line := range bytes.Lines(events(7)) {
			var e struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			out = append(out, history.HashID(e.ID))
		}
		slices.Sort(out)
		return out, nil
	}
	sum, err := Run(t.Context(), Config{Files: []string{write(t, "again.ndjson", events(10))}, Live: true, Source: "mta"}, d)
	if want := (Counts{Lines: 10, Accepted: 10, Repeated: 7}); err != nil || sum.Counts != want || asked != "mta" || len(b.All(schemas.TopicEvents)) != 10 {
		t.Errorf("counts %+v of source %q (%v), want %+v", sum.Counts, asked, err, want)
	}
}
