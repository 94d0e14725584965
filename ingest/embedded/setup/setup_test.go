package setup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeRelease makes this platform's release one whose library is content, and an
// npm that delivers the given package.
func fakeRelease(t *testing.T, content string, delivered []byte) (npm string, calls func() int) {
	t.Helper()
	whole := pack(t, "package/"+libName, content)
	if delivered == nil {
		delivered = whole
	}
	sum512, sum256 := sha512.Sum512(whole), sha256.Sum256([]byte(content))
	real, had := releases[platform()]
	releases[platform()] = release{
		pack: "@test/lib", size: int64(len(content)),
		integrity: base64.StdEncoding.EncodeToString(sum512[:]), sha256: hex.EncodeToString(sum256[:]),
	}
	t.Cleanup(func() {
		delete(releases, platform())
		if had {
			releases[platform()] = real
		}
	})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "package"), string(delivered))
	npm = filepath.Join(dir, "npm")
	write(t, npm, "#!/bin/sh\necho called >>"+dir+"/calls\ncp "+dir+"/package \"$5\"/lib.tgz\n")
	if err := os.Chmod(npm, 0o755); err != nil {
		t.Fatal(err)
	}
	return npm, func() int {
		data, _ := os.ReadFile(filepath.Join(dir, "calls"))
		return strings.Count(string(data), "called")
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, name, content string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	tw := tar.NewWriter(z)
	err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644})
	_, writeErr := tw.Write([]byte(content))
	if err := errors.Join(err, writeErr, tw.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestSetup fetches once, then only checks, and replaces what was damaged.
func TestSetup(t *testing.T) {
	npm, calls := fakeRelease(t, "the library", nil)
	dir := filepath.Join(t.TempDir(), "cache", "lib")
	for round := range 3 {
		path, err := Setup(context.Background(), Options{Dir: dir, Npm: npm})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != "the library" {
			t.Errorf("round %d: %q", round, got)
		}
		if got := calls(); got != 1 {
			t.Errorf("round %d: npm was called %d times", round, got)
		}
	}
	write(t, filepath.Join(dir, libName), "the libXary")
	if _, err := Setup(context.Background(), Options{Dir: dir, Npm: npm}); err != nil || calls() != 2 {
		t.Errorf("a damaged library: %v, %d calls", err, calls())
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestWrongPackage delivers another package than the pinned one.
func TestWrongPackage(t *testing.T) {
	for name, delivered := range map[string][]byte{
		"other content": pack(t, "package/"+libName, "another"), "not a package": []byte("junk"), "nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			npm, _ := fakeRelease(t, "the library", delivered)
			dir := filepath.Join(t.TempDir(), "lib")
			if _, err := Setup(context.Background(), Options{Dir: dir, Npm: npm}); err == nil || !strings.Contains(err.Error(), "not the pinned one") {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something was installed")
			}
		})
	}
}

func TestMissingNpm(t *testing.T) {
	fakeRelease(t, "the library", nil)
	_, err := Setup(context.Background(), Options{Dir: filepath.Join(t.TempDir(), "lib"), Npm: "/nowhere/npm"})
	if err == nil || !strings.Contains(err.Error(), "npm is missing") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v; want one line that says what to install", err)
	}
}

func TestFind(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(Variable, "")
	if _, err := Find(); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("%v", err)
	}
	npm, _ := fakeRelease(t, "the library", nil)
	path, err := Setup(context.Background(), Options{Npm: npm})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Find(); got != path || err != nil {
		t.Errorf("%q, %v; want %q", got, err, path)
	}
	write(t, path, "cut")
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a library of another size: %v", err)
	}
	t.Setenv(Variable, npm)
	if got, err := Find(); got != npm || err != nil {
		t.Errorf("%q, %v; want what %s names", got, err, Variable)
	}
	t.Setenv(Variable, "/nowhere")
	if _, err := Find(); err == nil {
		t.Error("a library that is not there was found")
	}
}

// TestInstalled checks, where the real library is installed, that Setup leaves it.
func TestInstalled(t *testing.T) {
	path, err := Find()
	if err != nil {
		t.Skip(err)
	}
	if os.Getenv(Variable) != "" {
		t.Skip(Variable + " is set")
	}
	if got, err := Setup(context.Background(), Options{Npm: "/nowhere/npm"}); got != path || err != nil {
		t.Errorf("%q, %v; want %q without npm", got, err, path)
	}
}
