package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/ingest/embedded/folder"
)

func mkdir(t *testing.T, dir string, mode fs.FileMode) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, mode)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path string, mode fs.FileMode) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPrivate opens folders to others in every way.
func TestPrivate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   fs.FileMode
		file   string
		refuse bool
	}{
		{"closed", 0o700, "kafka", false},
		{"new and readable", 0o755, "", false},
		{"a new file system", 0o755, "lost+found", false},
		{"new and writable", 0o777, "", true},
		{"new and writable by its group", 0o770, "", true},
		{"readable", 0o755, "kafka", true},
		{"readable by its group", 0o750, "kafka", true},
		{"can be entered", 0o711, "kafka", true},
		{"writable", 0o722, "kafka", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := mkdir(t, filepath.Join(t.TempDir(), "data"), tt.mode)
			if tt.file != "" {
				write(t, filepath.Join(dir, tt.file), 0o600)
			}
			err := folder.Private(dir)
			if tt.refuse != errors.Is(err, folder.ErrOpen) || tt.refuse && !strings.Contains(err.Error(), "chmod 700 "+dir) || !tt.refuse && err != nil {
				t.Errorf("%v", err)
			}
			info, err := os.Stat(dir)
			if err != nil || !tt.refuse && info.Mode().Perm() != 0o700 {
				t.Errorf("mode is %v, %v", info.Mode().Perm(), err)
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "a", "missing")
	if err := folder.Private(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a new folder has mode %v, %v", info.Mode().Perm(), err)
	}
}

// TestCheckSecret tries modes in a folder that others can enter and in one that
// they cannot.
func TestCheckSecret(t *testing.T) {
	root := t.TempDir()
	for p := root; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	open, shut := mkdir(t, filepath.Join(root, "open"), 0o755), mkdir(t, filepath.Join(root, "shut"), 0o700)
	if info, err := os.Stat(os.TempDir()); err != nil || info.Mode().Perm()&0o001 == 0 {
		t.Skip("others cannot enter the folder of temporary files")
	}
	for _, tt := range []struct {
		mode   fs.FileMode
		refuse bool
	}{
		{0o600, false}, {0o400, false}, {0o640, false}, {0o440, false}, {0o644, true}, {0o604, true}, {0o666, true}, {0o602, true}, {0o660, true},
	} {
		err := folder.CheckSecret(write(t, filepath.Join(open, "s"), tt.mode))
		if tt.refuse != errors.Is(err, folder.ErrOpen) || tt.refuse && !strings.Contains(err.Error(), "chmod 600 ") || !tt.refuse && err != nil {
			t.Errorf("%04o: %v", tt.mode, err)
		}
		if err := folder.CheckSecret(write(t, filepath.Join(shut, "s"), tt.mode)); err != nil {
			t.Errorf("%04o where nobody else can come: %v", tt.mode, err)
		}
	}
	if err := os.Symlink(write(t, filepath.Join(open, "s"), 0o644), filepath.Join(shut, "link")); err != nil {
		t.Fatal(err)
	}
	if err := folder.CheckSecret(filepath.Join(shut, "link")); !errors.Is(err, folder.ErrOpen) {
		t.Errorf("a link to an open file: %v", err)
	}
	if err := folder.CheckSecret(filepath.Join(shut, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
