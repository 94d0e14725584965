package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/embedded/clickhouse"
)

// engines are the broker and the database of one machine, each only where the
// configuration names none.
type engines struct {
	broker     *broker.Broker
	clickhouse *clickhouse.Supervisor

	passwordFiles map[string]string // by the names of package secret
}

// start opens what is wanted and writes addresses and logins into cfg.
func (e *engines) start(cfg *config.Config, log *slog.Logger) error {
	peers := cfg.Embedded.Auth == authPeer
	readerPassword, err := e.ensureLogins(cfg)
	if err != nil {
		return err
	}
	if cfg.EmbeddedBroker() {
		b := broker.New(broker.Config{
			Dir: filepath.Join(cfg.DataDir, "kafka"), Addr: cfg.Kafka.Listen, Logger: log,
			User: cfg.Kafka.SASL.User, Password: cfg.Kafka.SASL.Password, Peers: peers,
		})
		if err := b.Start(); err != nil {
			return fmt.Errorf("embedded broker: %w", err)
		}
		e.broker = b
		cfg.Kafka.Brokers = []string{b.Addr()}
		log.Info("embedded broker: meant for up to 100,000 accounts", "addr", b.Addr(), "previous_stop", string(b.Previous()))
	}
	if cfg.EmbeddedClickHouse() {
		s := clickhouse.New(clickhouse.Config{
			Dir: filepath.Join(cfg.DataDir, "clickhouse"), Addr: cfg.ClickHouse.Listen,
			MaxMemory: cfg.ClickHouse.MaxMemory, Logger: log, OnRestart: func() { log.Warn("the embedded clickhouse was started again") },
			Access: clickhouse.Access{
				User: cfg.ClickHouse.User, Password: cfg.ClickHouse.Password, Peers: peers,
				Reader: readerUser, ReaderPassword: readerPassword, ReaderDatabase: cfg.ClickHouse.Database,
			},
		})
		if err := s.Start(); err != nil {
			return fmt.Errorf("embedded clickhouse: %w", err)
		}
		e.clickhouse = s
		cfg.ClickHouse.Addr, cfg.ClickHouse.Protocol = []string{s.Addr()}, "http"
	}
	return nil
}

// abandon closes what start opened, when nothing will run it.
func (e *engines) abandon() {
	if e.broker != nil {
		_ = e.broker.Close()
	}
}

func (e *engines) ready(ctx context.Context) error {
	if e.clickhouse == nil {
		return nil
	}
	if err := e.clickhouse.WaitReady(ctx); err != nil {
		return fmt.Errorf("embedded clickhouse: %w", err)
	}
	return nil
}
