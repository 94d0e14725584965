// Package goldentest keeps golden files of state: for each layout that was ever landed,
// the state of a fold that has lived, as a program of that time wrote it, and what comes
// after it. A test restores the state by the present program, applies what comes, and
// compares what is found.
//
// A golden file is never written again: it is what installations out there hold. Beside
// it stand the outputs that are expected, which may change when detection does.
package goldentest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Golden is a fold's state and what comes after.
type Golden struct {
	Layout  string   `json:"layout"` // which it is, in the fold's own words
	Control []Value  `json:"control"`
	State   []Value  `json:"state"`
	Inputs  []Record `json:"inputs"`
}

// Value is a record of control or of a state projection.
type Value struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Record is an input of a fold.
type Record struct {
	Topic   schemas.Topic  `json:"topic"`
	Offset  int64          `json:"offset"`
	Arrival int64          `json:"arrival"`
	Kind    schemas.Kind   `json:"kind"`
	ID      string         `json:"id"`
	Origin  schemas.Origin `json:"origin,omitempty"`
	Key     string         `json:"key"`
	Value   []byte         `json:"value"`
}

// Of notes an input.
func Of(in *schemas.Input) Record {
	return Record{in.Topic, in.Offset, in.Arrival, in.Kind, in.ID, in.Origin, strings.Clone(in.Key), bytes.Clone(in.Value)}
}

// Input is the record as a fold takes it.
func (r *Record) Input() schemas.Input {
	return schemas.Input{Topic: r.Topic, Offset: r.Offset, Arrival: r.Arrival, Kind: r.Kind, ID: r.ID, Origin: r.Origin, Source: "golden", Key: r.Key, Value: bytes.Clone(r.Value)}
}

// Fold is what golden files are played through.
type Fold interface {
	Control(key string, value []byte) error
	Restore(key string, value []byte) error
	Apply(in *schemas.Input, emit func(schemas.Output)) (touched bool, err error)
	Save(key string, emit func(key string, value []byte)) error
}

// Files are the golden files of testdata/golden, oldest first by name.
func Files(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/golden/*.json.gz")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no golden files: %v", err)
	}
	slices.Sort(names)
	return names
}

// Read reads a golden file.
func Read(t testing.TB, name string) *Golden {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	g := new(Golden)
	if err := json.UnmarshalRead(io.LimitReader(z, 64<<20), g); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return g
}

// Write writes a golden file that is not there yet, and the outputs that a fold gives
// which has lived all along.
func Write(t testing.TB, name string, g *Golden, outputs []string) {
	t.Helper()
	if _, err := os.Stat(name); err == nil {
		t.Fatalf("%s is there: what was landed is never written again", name)
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err := json.MarshalWrite(z, g, json.Deterministic(true)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	WriteOutputs(t, name, outputs)
}

func outputsOf(name string) string { return strings.TrimSuffix(name, ".json.gz") + ".txt" }

// Outputs are those that are expected after a golden state.
func Outputs(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile(outputsOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// WriteOutputs writes down which are expected.
func WriteOutputs(t testing.TB, name string, outputs []string) {
	t.Helper()
	if err := os.WriteFile(outputsOf(name), []byte(strings.Join(outputs, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Restore gives a fold the golden state and then what control held, as a lane does. more
// are values of control beside those.
func (g *Golden) Restore(t testing.TB, f Fold, more ...Value) {
	t.Helper()
	for _, v := range g.State {
		if err := f.Restore(v.Key, bytes.Clone(v.Value)); err != nil {
			t.Fatalf("restore %s: %v", v.Key, err)
		}
	}
	for _, v := range slices.Concat(g.Control, more) {
		if err := f.Control(v.Key, v.Value); err != nil {
			t.Fatalf("control %s: %v", v.Key, err)
		}
	}
}

// Play applies what comes after and returns the outputs, each once, sorted.
func (g *Golden) Play(t testing.TB, f Fold) []string {
	t.Helper()
	seen := map[string]bool{}
	for i := range g.Inputs {
		in := g.Inputs[i].Input()
		if _, err := f.Apply(&in, func(o schemas.Output) {
			seen[Line(t, &o)] = true
		}); err != nil {
			t.Fatalf("input %s: %v", in.ID, err)
		}
	}
	var out []string
	for line := range seen {
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// Line is what an output says, in short: where it goes, its kind, key and id, and the words
// by which it counts.
func Line(t testing.TB, o *schemas.Output) string {
	t.Helper()
	var v struct {
		Detector string `json:"detector"`
		Level    int    `json:"level"`
		Verdict  string `json:"verdict"`
		Mode     string `json:"mode"`
		Status   any    `json:"status"`
		Go       bool   `json:"go"`
	}
	if err := json.Unmarshal(o.Value, &v); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("%s %s %s %s", o.Topic, o.Kind, o.Key, o.ID)
	switch o.Kind {
	case schemas.KindSignal, schemas.KindTrial:
		return fmt.Sprintf("%s %s/%d", line, v.Detector, v.Level)
	case schemas.KindDecision:
		return fmt.Sprintf("%s %s %s", line, v.Verdict, v.Mode)
	case schemas.KindStatus:
		return fmt.Sprintf("%s %v", line, v.Status)
	case schemas.KindAnswer:
		return fmt.Sprintf("%s go=%v", line, v.Go)
	}
	return line
}

// Compare says which outputs are missing and which are too many.
func Compare(t testing.TB, name string, got, want []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s: missing: %s", name, line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s: extra: %s", name, line)
		}
	}
}

// Save is the present state of the golden file's entities.
func (g *Golden) Save(t testing.TB, f Fold) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, v := range g.State {
		if err := f.Save(v.Key, func(key string, value []byte) {
			if value != nil {
				out[key] = value
			}
		}); err != nil {
			t.Fatalf("save %s: %v", v.Key, err)
		}
	}
	return out
}
