package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A process that may open too few files ends at once and says what it needs. On
// 76a1c02 it ran, and its lanes failed one after the other.
func TestTooFewFiles(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -n 100 && exec "$0" run --data-dir "$1"`, exe, t.TempDir())
	c.Env = append(os.Environ(), asHoldfast+"=1", "HOLDFAST_OBSERVABILITY_LISTEN=127.0.0.1:0", "HOLDFAST_API_LISTEN=127.0.0.1:0")
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Run(); err == nil || !strings.Contains(errs.String(), "`ulimit -n 1024`") || strings.Count(errs.String(), "\n") > 2 {
		t.Errorf("%v: %s", err, errs.String())
	}
}
