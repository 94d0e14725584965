package app

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/pressure"
)

// WatchMachine watches what is left of memory, of files that may be opened, and of
// the file system of the data folder where an embedded engine writes to it. The
// registerer may be nil.
func WatchMachine(cfg *config.Config, reg prometheus.Registerer, log *slog.Logger) *pressure.Watcher {
	return watchMachine(cfg, cfg.EmbeddedBroker() || cfg.EmbeddedClickHouse(), pressure.Deps{Logger: log, Metrics: reg})
}

// WatchInstance is WatchMachine for a command beside the instance that runs on the
// data folder, if one does.
func WatchInstance(cfg *config.Config, log *slog.Logger) *pressure.Watcher {
	_, err := readEndpoints(cfg.DataDir)
	return watchMachine(cfg, err == nil, pressure.Deps{Logger: log})
}

func watchMachine(cfg *config.Config, disk bool, deps pressure.Deps) *pressure.Watcher {
	c := pressure.Config{DiskFree: cfg.Pressure.DiskFree, MemoryFree: cfg.Pressure.MemoryFree, FilesFree: cfg.Pressure.FilesFree}
	if disk {
		c.Dir = cfg.DataDir
	}
	return pressure.New(c, deps)
}

// tellShort lists what is short, a line each.
func (a *App) tellShort(w io.Writer) {
	for _, s := range a.machine.Short() {
		fmt.Fprintln(w, s)
	}
}
