package importer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/ingest/adapters/sshd"
	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/schemas"
)

func TestRotated(t *testing.T) {
	for _, c := range []struct{ files, want string }{
		{"auth.log auth.log.1 auth.log.2.gz auth.log.10.xz", "auth.log.10.xz auth.log.2.gz auth.log.1 auth.log"},
		{"auth.log.1 auth.log", "auth.log.1 auth.log"},
		{"secure secure-20261103 secure-20261027.gz", "secure-20261027.gz secure-20261103 secure"},
		{"b.log a.log", "b.log a.log"},
		{"b/auth.log a/auth.log a/auth.log.1", "b/auth.log a/auth.log.1 a/auth.log"},
		{"- x", "- x"},
		{"192.0.2.1 192.0.2.2", "192.0.2.1 192.0.2.2"},
		{"auth.log auth.log", "auth.log auth.log"},
		{".1 log.123456", ".1 log.123456"},
	} {
		if diff := cmp.Diff(strings.Fields(c.want), rotated(strings.Fields(c.files))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.files, diff)
		}
	}
}

// files writes files side by side.
func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func timesOf(t *testing.T, b *intaketest.Broker) (out []string) {
	t.Helper()
	for _, rec := range b.All(schemas.TopicEvents) {
		var e struct {
			Time string `json:"time"`
		}
		if err := json.Unmarshal(rec.Value, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Time)
	}
	return out
}

const failedTail = " host sshd[1]: Failed password for root from 192.0.2.52 port 7011 ssh2\n"

// The year given is that of the oldest file of a rotated log, also where an earlier run
// had done that.
func TestYearPassesThroughRotatedFiles(t *testing.T) {
	dir := files(t, map[string]string{
		"auth.log": "Jan  2 10:00:00" + failedTail, "auth.log.1": "Dec 29 10:00:00" + failedTail, "other.log": "Mar  1 10:00:00" + failedTail,
	})
	want := []string{"2025-12-29T10:00:00.000Z", "2026-01-02T10:00:00.000Z", "2025-03-01T10:00:00.000Z"}
	cfg := Config{
		Files:  []string{filepath.Join(dir, "auth.log"), filepath.Join(dir, "auth.log.1"), filepath.Join(dir, "other.log")},
		Format: SSHD, SSHD: sshd.Options{Year: 2025}, Progress: filepath.Join(dir, "progress.json"),
	}
	b := &intaketest.Broker{Lanes: 1}
	if _, err := Run(t.Context(), cfg, deps(intaketest.Producer(t, b, intake.Config{}))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, timesOf(t, b)); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}

	// Interrupted at the first record of the second file.
	b = &intaketest.Broker{Lanes: 1}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, end := producer(b)
	_, err := Run(ctx, cfg, deps(&stopping{w, 2, cancel}))
	end()
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the first run: %v", err)
	}
	d := deps(intaketest.Producer(t, b, intake.Config{}))
	d.Log = b
	sum, err := Run(t.Context(), cfg, d)
	if err != nil || sum.Skipped != 1 {
		t.Fatalf("%+v: %v", sum, err)
	}
	for _, at := range timesOf(t, b) {
		if at[:4] == "2025" && at[5:7] == "01" {
			t.Errorf("times %q: the second file began again with the year", timesOf(t, b))
		}
	}
}

// Lines that cannot be read are counted apart from those of no use, and shown.
func TestUnreadableLinesAreTold(t *testing.T) {
	dir := files(t, map[string]string{"auth.log": "Nov  3 10:00:00 host cron[1]: (root) CMD (true)\n??? 3" + failedTail + "Nov  3 10:00:02" + failedTail + strings.Repeat("y", 1000) + "\n\n"})
	b := &intaketest.Broker{Lanes: 1}
	d := deps(intaketest.Producer(t, b, intake.Config{}))
	var told []Unreadable
	d.Unreadable = func(u Unreadable) { u.Text = append([]byte(nil), u.Text...); told = append(told, u) }
	sum, err := Run(t.Context(), Config{Files: []string{filepath.Join(dir, "auth.log")}, Format: SSHD, SSHD: sshd.Options{Year: 2025}}, d)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Counts{Lines: 5, Accepted: 1, Irrelevant: 2, Unreadable: 2}); sum.Counts != want || !sum.Local {
		t.Errorf("%+v, want %+v, of local time", sum, want)
	}
	if len(told) != 2 || told[0].Line != 2 || !strings.HasPrefix(string(told[0].Text), "??? 3") || told[1].Line != 4 || len(told[1].Text) != maxShown || told[0].Why == "" {
		t.Errorf("told %+v", told)
	}
}

// A log whose last line lies whole hours from the file's own time was written by a clock
// of another zone.
func TestShiftIsSeen(t *testing.T) {
	now := time.Date(2026, 11, 3, 18, 0, 0, 0, time.UTC)
	for last, want := range map[string]time.Duration{
		"Nov  3 18:00:00": 0, "Nov  3 10:00:20": 8 * time.Hour, "Nov  3 19:00:00": -time.Hour, "Nov  3 12:30:00": 5*time.Hour + 30*time.Minute,
		"Nov  3 10:10:00": 0, "Nov  1 18:00:00": 0, "2026-11-03T10:00:00Z": 0,
	} {
		path := filepath.Join(files(t, map[string]string{"auth.log": last + failedTail}), "auth.log")
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
		b := &intaketest.Broker{Lanes: 1}
		d := deps(intaketest.Producer(t, b, intake.Config{}))
		d.Now = func() time.Time { return now.Add(24 * time.Hour) }
		sum, err := Run(t.Context(), Config{Files: []string{path}, Format: SSHD, SSHD: sshd.Options{Year: 2026}}, d)
		if err != nil || sum.Shifted != want {
			t.Errorf("%s: shifted %s, want %s: %v", last, sum.Shifted, want, err)
		}
	}
}
