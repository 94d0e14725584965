// Package secret keeps the passwords of the embedded engines: made at the first
// start, one a file, in a folder that only its owner can open.
//
// Processes that start at once agree: a secret is written whole under another name
// and then linked into place, so that the first one wins and nobody reads a part.
package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast/ingest/embedded/folder"
)

// The secrets of an installation, by the names of their files.
const (
	Broker = "kafka"             // of the embedded broker's one user
	Store  = "clickhouse"        // of the embedded ClickHouse's full user
	Reader = "clickhouse-reader" // of its read-only user
)

// Dir is where a data folder keeps its secrets.
func Dir(dataDir string) string { return filepath.Join(dataDir, "secrets") }

// Path is the file of one secret.
func Path(dataDir, name string) string { return filepath.Join(Dir(dataDir), name) }

// Read returns a secret that is there.
func Read(dataDir, name string) (string, error) {
	path := Path(dataDir, name)
	if err := folder.CheckSecret(path); err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("secret file %s is empty: delete it, and the next start of `holdfast run` makes a new one", path)
	}
	return s, nil
}

// Ensure returns a secret, and makes it where it is missing: 32 random bytes,
// written as 43 letters, digits, - and _.
func Ensure(dataDir, name string) (string, error) {
	s, err := Read(dataDir, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err := os.MkdirAll(Dir(dataDir), 0o700); err != nil {
		return "", fmt.Errorf("folder of secrets: %w", err)
	}
	if err := create(Path(dataDir, name)); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return Read(dataDir, name)
}

// create writes a new secret to path unless one is there by then.
func create(path string) (err error) {
	var random [32]byte
	_, _ = rand.Read(random[:])
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(random[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return folder.SyncPath(filepath.Dir(path))
}
