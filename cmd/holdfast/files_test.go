package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is read of a plain file in large pieces goes where it is wanted: nothing is read
// ahead and copied.
func TestPlainFilesAreReadDirectly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(path, make([]byte, 256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFile(path, "replay")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 15<<10)
	if _, err := io.ReadFull(f, piece); err != nil { // with what was looked at to tell whether it is compressed
		t.Fatal(err)
	}
	for n := int64(len(piece)); n < 200<<10; n += int64(len(piece)) {
		at, err := f.(readCloser).Closer.(*os.File).Seek(0, io.SeekCurrent)
		if err != nil || at != n {
			t.Fatalf("%d bytes of the file were read for the first %d (%v)", at, n, err)
		}
		if _, err := io.ReadFull(f, piece); err != nil {
			t.Fatal(err)
		}
	}
}
