package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/unpack"
)

//go:embed testdata
var own embed.FS

// patience bounds the wait for what an instance does in the background.
const patience = 60 * time.Second

// harness runs commands, and an instance once one is needed.
type harness struct {
	ctx    context.Context
	binary string
	inputs string // folder
	temp   string
	runs   int // numbers files and sources
	live   *instance
}

func newHarness(ctx context.Context, binary, inputs string) (*harness, error) {
	temp, err := os.MkdirTemp("", "holdfast-cases-")
	if err != nil {
		return nil, err
	}
	return &harness{ctx: ctx, binary: binary, inputs: inputs, temp: temp}, nil
}

func (h *harness) close() error {
	var err error
	if h.live != nil {
		err = h.live.stop()
	}
	return errors.Join(err, os.RemoveAll(h.temp))
}

// bytes are an input's, unpacked where it is gzip and text is asked for.
func (h *harness) bytes(name string) ([]byte, error) {
	if b, err := os.ReadFile(filepath.Join(h.inputs, name)); err == nil {
		return b, nil
	}
	return fs.ReadFile(own, "testdata/"+name)
}

func (h *harness) text(name string) (string, error) {
	b, err := h.bytes(name)
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return string(b), err
	}
	plain, err := unpack.New(bytes.NewReader(b), name, "replay")
	if err != nil {
		return "", err
	}
	b, err = io.ReadAll(plain)
	return string(b), err
}

// file writes content under a name of its own in a folder of its own.
func (h *harness) file(name, content string) (string, error) {
	h.runs++
	dir := filepath.Join(h.temp, fmt.Sprint(h.runs))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// input copies an input, changed by change where that is not nil.
func (h *harness) input(name string, change func(string) string) (string, error) {
	if change == nil {
		b, err := h.bytes(name)
		if err != nil {
			return "", err
		}
		return h.file(name, string(b))
	}
	s, err := h.text(name)
	if err != nil {
		return "", err
	}
	return h.file(strings.TrimSuffix(name, ".gz"), change(s))
}

// result is what a command said.
type result struct {
	out, err string
	status   int
}

// said is all of it, for messages.
func (r result) said() string {
	return strings.TrimSpace(strings.TrimSpace(r.out) + "\n" + strings.TrimSpace(r.err))
}

// command runs holdfast. It is an error only where it cannot run.
func (h *harness) command(env []string, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	defer cancel()
	c := exec.CommandContext(ctx, h.binary, args...)
	c.Dir = h.temp
	c.Env = append(environment(), env...) // of two values the last counts
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	r := result{out.String(), errs.String(), c.ProcessState.ExitCode()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	return r, err
}

// environment is this process's without what would change the values.
func environment() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TZ=") && !strings.HasPrefix(v, "HOLDFAST_") {
			out = append(out, v)
		}
	}
	return append(out, "TZ=UTC", "GOTRACEBACK=single")
}

// finding is what is looked at of decisions and signals.
type finding struct {
	Verdict  string `json:"verdict"`
	Policy   string `json:"policy"`
	Detector string `json:"detector"`
	Severity string `json:"severity"`
	Entity   struct {
		Kind string `json:"kind"`
		ID   string `json:"id"`
	} `json:"entity"`
}

// found is what a replay found: decisions as "block ip:192.0.2.1 (policy)", signals as
// "takeover critical account:a", each once.
type found struct {
	result
	decisions, signals []string
}

func (h *harness) replay(path string) (found, error) {
	decisions, signals := path+".decisions", path+".signals"
	r, err := h.command(nil, "replay", path, "--decisions", decisions, "--signals", signals)
	f := found{result: r}
	if err != nil {
		return f, err
	}
	err = eachFinding(decisions, func(x finding) {
		f.decisions = once(f.decisions, fmt.Sprintf("%s %s:%s (%s)", x.Verdict, x.Entity.Kind, x.Entity.ID, x.Policy))
	})
	return f, errors.Join(err, eachFinding(signals, func(x finding) {
		f.signals = once(f.signals, fmt.Sprintf("%s %s %s:%s", x.Detector, x.Severity, x.Entity.Kind, x.Entity.ID))
	}))
}

func eachFinding(path string, f func(finding)) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range bytes.Lines(b) {
		var x finding
		if err := json.Unmarshal(line, &x); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f(x)
	}
	return err
}

func once(all []string, s string) []string {
	for _, a := range all {
		if a == s {
			return all
		}
	}
	return append(all, s)
}

// replayed replays an input, changed or not.
func (h *harness) replayed(name string, change func(string) string) (found, error) {
	path, err := h.input(name, change)
	if err != nil {
		return found{}, err
	}
	return h.replay(path)
}

func write(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }
