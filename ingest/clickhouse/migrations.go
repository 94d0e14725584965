package clickhouse

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one numbered step. Its statements can each be run again: they
// create or change something only where that has not been done.
type Migration struct {
	Version    int
	Name       string
	Statements []string
	Checksum   string // SHA-256 of the file
}

// Migrations lists the steps that this binary knows, in their order.
func Migrations() ([]Migration, error) { return readMigrations(migrationFiles) }

func readMigrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var out []Migration
	for i, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("clickhouse: migration %s: %w", name, err)
		}
		number, title, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("clickhouse: migration %s: number %d is missing, or the name does not begin with a number", name, i+1)
		}
		sum := sha256.Sum256(data)
		out = append(out, Migration{Version: version, Name: title, Statements: statements(string(data)), Checksum: hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// statements cuts a file at lines that hold a semicolon alone, so that a
// semicolon within a text cannot be taken for an end. Lines that begin with --
// are left out.
func statements(text string) []string {
	var out []string
	var lines []string
	flush := func() {
		if s := strings.TrimSpace(strings.Join(lines, "\n")); s != "" {
			out = append(out, s)
		}
		lines = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == ";":
			flush()
		case !strings.HasPrefix(line, "--"):
			lines = append(lines, line)
		}
	}
	flush()
	return out
}
