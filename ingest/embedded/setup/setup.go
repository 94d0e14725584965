// Package setup fetches the one thing that Holdfast's embedded engines need and a
// Go build does not bring: libchdb.so, the ClickHouse engine as a library.
//
// Setup is the only part of Holdfast that downloads anything. It takes the npm
// package of one pinned version, checks its SHA-512 before it unpacks it and the
// library's SHA-256 afterwards, and puts it into the user's cache folder in one
// step, so that an interrupted run leaves nothing behind. Find never downloads.
package setup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"holdfast/ingest/embedded/folder"
)

// Version is the pinned version of the library's npm package.
const Version = "26.5.3"

// Variable names a libchdb.so to use instead of the fetched one.
const Variable = "HOLDFAST_LIBCHDB"

const libName = "libchdb.so"

// release is one platform's package. The sums are those of the registry and of
// the library inside.
type release struct {
	pack      string
	integrity string // SHA-512 of the tarball, base64
	sha256    string // of libchdb.so
	size      int64  // of libchdb.so
}

// releases by GOOS/GOARCH. Of this version there is none for other platforms.
var releases = map[string]release{
	"linux/amd64": {
		pack:      "@chdb/lib-linux-x64-gnu",
		integrity: "fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ==",
		sha256:    "4330da79405733f7572f27c1442f46c03a08301f00859dce0368645731b1e1dc",
		size:      559044752,
	},
}

// ErrMissing says that the library is not there; its text says how to get it.
var ErrMissing = errors.New("the embedded ClickHouse engine (libchdb.so) is missing")

// Options are for tests and for people behind mirrors.
type Options struct {
	Dir string    // where the library is kept; CacheDir() if empty
	Npm string    // the npm command; "npm" if empty
	Log io.Writer // told in one line what is being fetched; may be nil
}

// CacheDir is where the library of this version is kept.
func CacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("setup: no cache folder: %w", err)
	}
	return filepath.Join(cache, "holdfast", "libchdb-"+Version), nil
}

// Find returns the library's path: HOLDFAST_LIBCHDB where it is set, else the
// fetched one.
func Find() (string, error) {
	if path := os.Getenv(Variable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", Variable, err)
		}
		return path, nil
	}
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, libName)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w at %s: run `make setup` (or `holdfast setup`), or set %s", ErrMissing, path, Variable)
	case err != nil:
		return "", fmt.Errorf("setup: %w", err)
	}
	if r, ok := releases[platform()]; ok && info.Size() != r.size {
		return "", fmt.Errorf("setup: %s is damaged (%d bytes instead of %d): run `make setup`", path, info.Size(), r.size)
	}
	return path, nil
}

// Setup makes sure that the library is in the cache folder, whole and of the
// pinned version, and returns its path. Where it is there already it only checks.
func Setup(ctx context.Context, opts Options) (string, error) {
	r, ok := releases[platform()]
	if !ok {
		return "", fmt.Errorf("setup: the embedded ClickHouse engine exists for linux/amd64 with glibc, not for %s: use a ClickHouse server of your own (clickhouse.addr in the configuration)", platform())
	}
	if opts.Dir == "" {
		dir, err := CacheDir()
		if err != nil {
			return "", err
		}
		opts.Dir = dir
	}
	path := filepath.Join(opts.Dir, libName)
	if sum, err := fileSHA256(path); err == nil && sum == r.sha256 {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(opts.Dir), 0o750); err != nil {
		return "", fmt.Errorf("setup: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(opts.Dir), "fetching-*")
	if err != nil {
		return "", fmt.Errorf("setup: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	tarball, err := fetch(ctx, opts, r, work)
	if err != nil {
		return "", err
	}
	if err := unpack(tarball, r, filepath.Join(work, "lib")); err != nil {
		return "", fmt.Errorf("setup: %w", err)
	}
	if err := errors.Join(os.RemoveAll(opts.Dir), os.Rename(filepath.Join(work, "lib"), opts.Dir)); err != nil {
		return "", fmt.Errorf("setup: %w", err)
	}
	return path, nil
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// fetch has npm put the package's tarball into dir; npm knows the user's mirror
// and proxy.
func fetch(ctx context.Context, opts Options, r release, dir string) (string, error) {
	npm := opts.Npm
	if npm == "" {
		npm = "npm"
	}
	if _, err := exec.LookPath(npm); err != nil {
		return "", fmt.Errorf("setup: npm is missing, which fetches the embedded ClickHouse engine: install Node.js (Debian: npm), or set %s to a libchdb.so of version %s", Variable, Version)
	}
	spec := r.pack + "@" + Version
	if opts.Log != nil {
		_, _ = fmt.Fprintf(opts.Log, "fetching %s (167 MB)\n", spec)
	}
	cmd := exec.CommandContext(ctx, npm, "pack", spec, "--silent", "--pack-destination", dir) // #nosec G204 -- npm as found on PATH, and a pinned name
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("setup: `npm pack %s`: %w: %s", spec, err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("setup: npm wrote %d packages instead of one", len(found))
	}
	return found[0], nil
}

// unpack checks the tarball and writes the library and its sum to dir.
func unpack(tarball string, r release, dir string) error {
	if err := checkTarball(tarball, r); err != nil {
		return err
	}
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s holds no %s", filepath.Base(tarball), libName)
		}
		if err != nil {
			return err
		}
		if header.Name == "package/"+libName {
			return writeLibrary(filepath.Join(dir, libName), io.LimitReader(t, r.size+1), r)
		}
	}
}

func checkTarball(tarball string, r release) error {
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != r.integrity {
		return fmt.Errorf("the fetched %s is not the pinned one: its SHA-512 is %s, not %s; nothing was installed", r.pack, got, r.integrity)
	}
	return nil
}

func writeLibrary(path string, from io.Reader, r release) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755) // #nosec G302 -- a library, read by whoever runs Holdfast
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), from)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	got := hex.EncodeToString(sum.Sum(nil))
	if got != r.sha256 {
		return fmt.Errorf("%s unpacked to SHA-256 %s, not %s", libName, got, r.sha256)
	}
	return folder.WriteFile(path+".sha256", []byte(got+"  "+libName+"\n"))
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
