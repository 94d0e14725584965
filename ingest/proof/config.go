package proof

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"holdfast/ingest/kafka"
)

// Config says what the prover works on.
type Config struct {
	// Prefix stands before every topic's name on the broker ("holdfast.").
	Prefix string
	// Lanes is the number of partitions of every journal.
	Lanes int
	// LogID names the logs that are read now; NewLog says that they are new ones.
	LogID  string
	NewLog bool
	// Dir is the folder of the tree.
	Dir string
	// Every is the time between two checkpoints, and the longest stretch of arrival
	// that one batch covers (default 1 min).
	Every time.Duration
	// Slack is how long after a stretch's end its batch is closed: by how much clocks
	// of brokers may differ from this one (default 5 s).
	Slack time.Duration
}

// Deps is what the prover works with.
type Deps struct {
	Broker  *kafka.Client
	Store   driver.Conn
	Keys    *Keys
	Targets []Target
	Metrics prometheus.Registerer // optional
	Logger  *slog.Logger          // optional
	// After is called after each checkpoint, for what is due from time to time.
	After func(ctx context.Context) error
}

func (c *Config) setDefaults() error {
	if c.Lanes <= 0 || c.LogID == "" || c.Dir == "" {
		return errors.New("proof: the number of lanes, the log id and the folder are needed")
	}
	if c.Prefix == "" {
		c.Prefix = "holdfast."
	}
	if c.Every <= 0 {
		c.Every = time.Minute
	}
	if c.Slack <= 0 {
		c.Slack = 5 * time.Second
	}
	return nil
}
