package app

import (
	"errors"
	"strings"
	"testing"
)

// The limit is refused one below what is needed, with what to do, and more lanes,
// connections and engines need more.
func TestTheLimitOnOpenFiles(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	base := filesNeeded(&cfg)
	if err := enoughFiles(&cfg, base); err != nil {
		t.Errorf("just enough: %v", err)
	}
	err := enoughFiles(&cfg, base-1)
	if !errors.Is(err, ErrFewFiles) || !strings.Contains(err.Error(), "ulimit -n 1024") || !strings.Contains(err.Error(), "LimitNOFILE=1024") {
		t.Errorf("one too few: %v", err)
	}
	cfg.Kafka.Lanes = 64
	lanes := filesNeeded(&cfg)
	cfg.Intake.HTTP.Listen = "127.0.0.1:0"
	listening := filesNeeded(&cfg)
	if lanes <= base || listening != lanes+uint64(cfg.Intake.HTTP.MaxConnections) {
		t.Errorf("%d files, with 64 lanes %d, with intake %d", base, lanes, listening)
	}
}
