package app_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// allowed says which of our own packages each part may import.
var allowed = map[string][]string{
	"schemas":   {"schemas"},
	"ingest":    {"ingest", "schemas"},
	"detectors": {"detectors", "schemas"},
	"alerting":  {"alerting", "schemas"},
	"cmd":       {"cmd", "ingest", "detectors", "alerting", "schemas"},
}

// Imports go one way: a part that reached into another would tie detection to the
// broker, or the response to detection.
func TestImportDirection(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	seen := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "." && d.Name() != ".." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		part, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		seen[part]++
		checkImports(t, path, rel, part)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for part := range allowed {
		if seen[part] == 0 {
			t.Errorf("no Go file below %s was looked at", part)
		}
	}
}

func checkImports(t *testing.T, path, rel, part string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		rest, ours := strings.CutPrefix(name, "holdfast/")
		if !ours {
			continue
		}
		to, _, _ := strings.Cut(rest, "/")
		if !contains(allowed[part], to) {
			t.Errorf("%s imports %s: %s may import only %v", rel, name, part, allowed[part])
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
