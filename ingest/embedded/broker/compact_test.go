package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

const (
	partition = "state-0"
	end       = 36 // records before compaction, hence the log's end
)

// compactedFolders returns the files of one partition before and after a real
// compaction, in several segments.
func compactedFolders(t *testing.T) (before, after map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	b := New(Config{Dir: dir})
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	createCompacted(t, client)
	for i := range end {
		r := &kgo.Record{Topic: "state", Key: []byte(fmt.Sprint("key", i%12)), Value: []byte(fmt.Sprintf("%0100d", i))}
		if err := client.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(b.logDir(), "partitions", partition)
	before = readFiles(t, folder)
	b.cluster.Compact()
	return before, readFiles(t, folder)
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && isLog(e.Name()) {
			files[e.Name()] = data
		}
	}
	return files
}

// TestCompactionCutShort stops a compaction at any moment, as SIGKILL would:
// among the deletions, or in the midst of any new file. What recovery leaves is
// either the whole old log or the whole new one, never less.
func TestCompactionCutShort(t *testing.T) {
	before, after := compactedFolders(t)
	if len(before) < 4 || len(after) < 4 {
		t.Fatalf("%d and %d files: the test needs several segments", len(before), len(after))
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		logDir := filepath.Join(dir, "kafka")
		folder := filepath.Join(logDir, "partitions", partition)
		write(rt, folder, before, nil, "")
		if err := keepLogs(dir, logDir, []string{partition}); err != nil {
			rt.Fatal(err)
		}
		cutShort(rt, folder, before, after)
		if err := recoverCompaction(dir, logDir, slog.New(slog.DiscardHandler)); err != nil {
			rt.Fatal(err)
		}
		if got := logEnd(folder); got != end {
			rt.Fatalf("the log ends at %d, want %d", got, end)
		}
		got := readFiles(t, folder)
		if !sameLogs(got, before) && !sameLogs(got, after) {
			rt.Fatalf("neither the old log nor the new one: %v", names(got))
		}
		if _, err := os.Stat(filepath.Join(dir, kept)); !os.IsNotExist(err) {
			rt.Fatalf("the kept log is still there: %v", err)
		}
	})
}

// cutShort leaves the folder as a compaction does that is stopped anywhere.
func cutShort(rt *rapid.T, folder string, before, after map[string][]byte) {
	old := names(before)
	deleted := rapid.IntRange(0, len(old)).Draw(rt, "deleted")
	for _, name := range old[:deleted] {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			rt.Fatal(err)
		}
	}
	if deleted < len(old) {
		return
	}
	order := names(after) // by offset, the log before its index, as they are written
	whole := rapid.IntRange(0, len(order)).Draw(rt, "written")
	files := make(map[string][]byte)
	for _, name := range order[:whole] {
		files[name] = after[name]
	}
	var torn []byte
	var tornName string
	if whole < len(order) {
		tornName = order[whole]
		torn = after[tornName][:rapid.IntRange(0, len(after[tornName])-1).Draw(rt, "torn")]
	}
	write(rt, folder, files, torn, tornName)
}

func write(rt *rapid.T, folder string, files map[string][]byte, torn []byte, tornName string) {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		rt.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			rt.Fatal(err)
		}
	}
	if tornName != "" {
		if err := os.WriteFile(filepath.Join(folder, tornName), torn, 0o600); err != nil {
			rt.Fatal(err)
		}
	}
}

func TestBatchesEnd(t *testing.T) {
	if got := batchesEnd(nil); got != 0 {
		t.Errorf("nothing ends at %d", got)
	}
	rapid.Check(t, func(rt *rapid.T) { batchesEnd(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes")) })
	huge := make([]byte, 100)
	binary.BigEndian.PutUint32(huge[8:], 1<<31-1)
	if got := batchesEnd(huge); got != 0 {
		t.Errorf("a batch longer than the file ends at %d", got)
	}
}

func FuzzBatchesEnd(f *testing.F) {
	f.Add(make([]byte, 80))
	f.Fuzz(func(_ *testing.T, data []byte) { batchesEnd(data) })
}
