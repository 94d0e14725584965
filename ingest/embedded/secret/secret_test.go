package secret_test

import (
	"os"
	"sync"
	"testing"

	"holdfast/ingest/embedded/secret"
)

// TestEnsure checks that processes that start at once get the same secret, and
// that others cannot read it.
func TestEnsure(t *testing.T) {
	dir := t.TempDir()
	got := make([]string, 16)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			s, err := secret.Ensure(dir, secret.Store)
			if err != nil {
				t.Error(err)
			}
			got[i] = s
		})
	}
	all.Wait()
	for _, s := range got {
		if s != got[0] || len(s) != 43 {
			t.Fatalf("secrets differ, or are no secrets: %q", got)
		}
	}
	if again, err := secret.Read(dir, secret.Store); err != nil || again != got[0] {
		t.Errorf("read again: %q, %v", again, err)
	}
	if other, err := secret.Ensure(dir, secret.Reader); err != nil || other == got[0] {
		t.Errorf("another one: %q, %v", other, err)
	}
	for path, want := range map[string]os.FileMode{secret.Dir(dir): 0o700, secret.Path(dir, secret.Store): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	names, err := os.ReadDir(secret.Dir(dir))
	if err != nil || len(names) != 2 {
		t.Errorf("the folder holds %v, %v", names, err)
	}
}

// TestEmpty refuses an empty file: a password that is empty opens everything.
func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(secret.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret.Path(dir, secret.Broker), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := secret.Ensure(dir, secret.Broker); err == nil {
		t.Errorf("an empty secret was taken: %q", s)
	}
}
