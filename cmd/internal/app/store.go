package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/clickhouse"
)

// OpenStore makes a client of the audit store that cfg names.
func OpenStore(cfg *config.Config, log *slog.Logger) (*clickhouse.Client, error) {
	t, err := tlsConfig(cfg.ClickHouse.TLS)
	if err != nil {
		return nil, fmt.Errorf("clickhouse.tls: %w", err)
	}
	password, err := config.Secret(cfg.ClickHouse.Password, cfg.ClickHouse.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return clickhouse.Open(clickhouse.Config{
		Addrs: cfg.ClickHouse.Addr, Protocol: clickhouse.Protocol(cfg.ClickHouse.Protocol), TLS: t,
		Database: cfg.ClickHouse.Database, User: cfg.ClickHouse.User, Password: password, Logger: log,
	})
}

// Migrate brings the audit store up to date: its database, its tables, and how long
// each keeps its rows.
func Migrate(ctx context.Context, cfg *config.Config, log *slog.Logger) (int, error) {
	if err := createDatabase(ctx, cfg, log); err != nil {
		return 0, err
	}
	c, err := OpenStore(cfg, log)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	days := map[string]int{}
	for table, limit := range cfg.ClickHouse.TTL {
		days[table] = int(limit.Duration() / (24 * time.Hour))
	}
	n, err := clickhouse.Migrate(ctx, c, clickhouse.MigrateOptions{Retention: days, Logger: log})
	if err != nil {
		return n, fmt.Errorf("migrate the audit store: %w", err)
	}
	return n, nil
}

func createDatabase(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	plain := *cfg
	plain.ClickHouse.Database = "default"
	c, err := OpenStore(&plain, log)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Exec(ctx, "CREATE DATABASE IF NOT EXISTS `"+cfg.ClickHouse.Database+"`"); err != nil {
		return fmt.Errorf("create the database %s at %s: %w", cfg.ClickHouse.Database, strings.Join(cfg.ClickHouse.Addr, ","), err)
	}
	return nil
}

// migrateOrCheck migrates the embedded store, which is ours alone; any other is
// only checked, since its tables belong to whoever runs it.
func (a *App) migrateOrCheck(ctx context.Context) error {
	if a.engines.clickhouse != nil {
		_, err := Migrate(ctx, &a.cfg, a.log)
		return err
	}
	c, err := OpenStore(&a.cfg, a.log)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := clickhouse.Check(ctx, c); err != nil {
		if clickhouse.Passing(err) {
			return err
		}
		return fmt.Errorf("%w: %w", errStoreOld, err)
	}
	return nil
}
