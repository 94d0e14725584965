package app

import (
	"errors"
	"fmt"
	"syscall"

	"holdfast/cmd/internal/config"
)

// What a process needs of open files, measured with room to spare: an idle instance
// with embedded engines and 8 lanes has 212 open, half of them files of the log.
const (
	ownFiles        = 128  // libraries, logs, files of the operator
	filesPartition  = 2    // of the embedded broker's log: data and index
	socketsLane     = 16   // to the brokers; the embedded broker has the other ends too
	clickhouseFiles = 1024 // of the ClickHouse child, which has the same limit
)

// ErrFewFiles says that the limit on open files is below what is needed.
var ErrFewFiles = errors.New("the limit on open files is too low")

// filesNeeded is how many files a process with this configuration may have open.
func filesNeeded(cfg *config.Config) uint64 {
	need, sockets := ownFiles, socketsLane*cfg.Kafka.Lanes
	if cfg.EmbeddedBroker() {
		sockets *= 2
		for _, t := range topicSpecs(cfg) {
			need += filesPartition * t.Partitions
		}
	}
	need += sockets
	if cfg.Observability.Listen != "" {
		need += obsConnections
	}
	if h := cfg.Intake.HTTP; h.Listen != "" {
		need += h.MaxConnections
	}
	if cfg.EmbeddedClickHouse() {
		need = max(need, clickhouseFiles)
	}
	return uint64(need)
}

// raiseFiles raises the limit on open files as far as this user may, and reports
// one that is too low even so: started on it, the log would fail in the midst.
func raiseFiles(cfg *config.Config) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("ask for the limit on open files: %w", err)
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return fmt.Errorf("raise the limit on open files to %d: %w", limit.Max, err)
		}
	}
	return enoughFiles(cfg, limit.Cur)
}

func enoughFiles(cfg *config.Config, limit uint64) error {
	need := filesNeeded(cfg)
	if limit >= need {
		return nil
	}
	hint := ""
	if cfg.Intake.HTTP.Listen != "" {
		hint = ", or lower intake.http.max_connections"
	}
	return fmt.Errorf("%w: %d, and this configuration needs %d: run `ulimit -n %d` as root before it, or set LimitNOFILE=%d in its systemd unit%s", ErrFewFiles, limit, need, need, need, hint)
}
