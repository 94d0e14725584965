package main

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/ingest/kafka/kafkatest"
)

// Processes with one data folder and a broker of their own start at the same time,
// again and again, the first time on a folder that is not there. On 76a1c02 one of
// them ended where another took away the file that it was about to rename.
func TestProcessesStartTogether(t *testing.T) {
	brokers := strings.Join(kafkatest.Embedded(t), ",")
	dir := filepath.Join(t.TempDir(), "data")
	env := []string{"HOLDFAST_KAFKA_BROKERS=" + brokers, "HOLDFAST_CLICKHOUSE_ADDR=127.0.0.1:1", "HOLDFAST_KAFKA_LANES=2", "HOLDFAST_KAFKA_REPLICATION=1"}
	create := command(t, "topics", "create", "--data-dir", dir)
	create.Env = append(create.Env, env...)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	for round := range 4 {
		var all []*exec.Cmd
		runs := make(chan bool, 3)
		for range 3 {
			c := command(t, "run", "--data-dir", dir, "--roles", "serve")
			c.Env = append(c.Env, env...)
			stderr, err := c.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			go func() { runs <- saysRuns(stderr) }()
		}
		for range all {
			if !<-runs {
				t.Errorf("round %d: a process ended before it ran", round)
			}
		}
		for _, c := range all {
			_ = c.Process.Signal(syscall.SIGTERM)
		}
		for _, c := range all {
			if err := c.Wait(); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
	}
}

// saysRuns reads a process's log until it says that it runs, and lets the rest go.
func saysRuns(log io.Reader) bool {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), "holdfast runs") {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return true
		}
	}
	return false
}
