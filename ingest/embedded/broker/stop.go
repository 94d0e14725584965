package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast/ingest/embedded/folder"
)

// Stop tells how the broker that had the folder before ended.
type Stop string

const (
	// StopNone says that no broker has used this folder; its logs are new.
	StopNone Stop = "none"
	// StopClean says that it was closed; its logs are whole.
	StopClean Stop = "clean"
	// StopKilled says that its process ended without closing, under the kernel
	// that still runs. Everything acknowledged is there.
	StopKilled Stop = "killed"
	// StopMachine says that the machine went down, or was started again since. What was
	// acknowledged in the last second before may be lost.
	StopMachine Stop = "machine"
)

// Clean tells whether the logs may go on under the log id that they had.
func (s Stop) Clean() bool { return s == StopClean }

// TailLost tells whether acknowledged records may be missing at the logs' ends.
func (s Stop) TailLost() bool { return s == StopMachine }

type stopFile struct {
	State string `json:"state"` // running or stopped
	Boot  string `json:"boot"`  // the kernel's boot id
}

func stopPath(dir string) string { return filepath.Join(dir, "broker.json") }

func previousStop(dir string) (Stop, error) {
	data, err := os.ReadFile(stopPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return StopNone, nil
	}
	if err != nil {
		return "", fmt.Errorf("broker: read how it stopped: %w", err)
	}
	var f stopFile
	whole := json.Unmarshal(data, &f) == nil
	switch {
	case !whole:
		return StopMachine, nil // a power failure damaged the file
	case f.State == "stopped":
		return StopClean, nil
	case f.Boot != "" && f.Boot == bootID():
		return StopKilled, nil
	default:
		return StopMachine, nil
	}
}

func markRunning(dir string) error { return writeStop(dir, "running") }
func markStopped(dir string) error { return writeStop(dir, "stopped") }

func writeStop(dir, state string) error {
	data, err := json.Marshal(stopFile{State: state, Boot: bootID()})
	if err != nil {
		return err
	}
	if err := folder.WriteFile(stopPath(dir), data); err != nil {
		return fmt.Errorf("broker: note that it is %s: %w", state, err)
	}
	return nil
}

// bootID is the kernel's random id of this boot, empty where there is none.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
