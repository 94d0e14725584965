package folder_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"holdfast/ingest/embedded/folder"
)

func TestHold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	lock, err := folder.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = folder.Hold(dir)
	if !errors.Is(err, folder.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second holder: %v; want ErrInUse and the first one's process", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := folder.Hold(dir)
	if err != nil {
		t.Fatalf("after the first one let go: %v", err)
	}
	_ = again.Release()
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"a longer first content", "short", ""} {
		if err := folder.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v; want %q", got, err, content)
		}
	}
	if err := folder.WriteFile(filepath.Join(path, "below-a-file"), nil); err == nil {
		t.Error("a folder that is a file was written to")
	}
}

// Processes that start together on one folder replace the same file.
func TestManyWriteOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "endpoints.json")
	var g errgroup.Group
	for i := range 64 {
		g.Go(func() error { return folder.WriteFile(path, []byte(strings.Repeat(fmt.Sprint(i%10), 1000))) })
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) != 1000 || strings.Trim(string(b), string(b[:1])) != "" {
		t.Errorf("the file holds %d bytes of several writers: %v", len(b), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v are left, %v", names, err)
	}
}
