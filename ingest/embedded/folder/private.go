package folder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrOpen says that others can reach what only this user should.
var ErrOpen = errors.New("others can read or write it")

// Private makes sure that a data folder is its owner's alone: mode 0700, owned by
// this user or by root. It makes a missing one. An empty one that others may only
// look into is closed; any other that is open to others is refused, because it is
// not known what they did in it.
func Private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	shut, err := CheckPrivate(dir)
	if err != nil || shut {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a folder
		return fmt.Errorf("data folder: %w: run `chmod 700 %s`", err, dir)
	}
	return nil
}

// CheckPrivate is Private without a change: shut is false for a folder that Private
// would make or close.
func CheckPrivate(dir string) (shut bool, err error) {
	// The names first: whoever starts at the same time closes the folder before
	// writing into it.
	empty, err := isEmpty(dir)
	if err != nil {
		return false, fmt.Errorf("data folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return false, fmt.Errorf("data folder: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() && st.Uid != 0 {
		return false, fmt.Errorf("data folder %s belongs to user %d, not to this one (%d): run as its owner, or name another folder in data_dir", dir, st.Uid, os.Geteuid())
	}
	mode := info.Mode().Perm()
	switch {
	case mode&0o077 == 0:
		return true, nil
	case empty && mode&0o022 == 0:
		return false, nil
	}
	return false, fmt.Errorf("data folder %s has mode %04o: %w: run `chmod 700 %s`, or name in data_dir a folder that does not exist yet", dir, mode, ErrOpen, dir)
}

// isEmpty reports whether a folder holds nothing but what a new file system does.
func isEmpty(dir string) (bool, error) {
	names, err := os.ReadDir(dir)
	for _, n := range names {
		if n.Name() != "lost+found" {
			return false, nil
		}
	}
	return true, err
}

// CheckSecret refuses a file of secrets that others can read, or that others or
// its group can write. Its group may read it (0640): that is how a service is
// given a file of root's. A file that stands in a folder which they cannot enter
// is out of their reach whatever its mode. A missing file is fs.ErrNotExist.
func CheckSecret(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read a secret: %w", err)
	}
	mode := info.Mode().Perm()
	if mode&0o026 == 0 || !info.Mode().IsRegular() {
		return nil
	}
	others, group, err := reach(path)
	if err != nil {
		return fmt.Errorf("read a secret: %w", err)
	}
	if others && mode&0o006 != 0 || group && mode&0o020 != 0 {
		return fmt.Errorf("secret file %s has mode %04o: %w: run `chmod 600 %s` (or 640, for a group that may read it)", path, mode, ErrOpen, path)
	}
	return nil
}

// reach tells whether others, and members of groups, can enter every folder above
// a file.
func reach(path string) (others, group bool, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return false, false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, false, err
	}
	others, group = true, true
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false, false, err
		}
		mode := info.Mode().Perm()
		others = others && mode&0o001 != 0
		group = group && mode&0o011 != 0
		if dir == filepath.Dir(dir) {
			return others, group, nil
		}
	}
}
