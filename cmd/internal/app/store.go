package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/proof"
	"holdfast/schemas"
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
		days[table] = inDays(limit)
	}
	if cfg.Proof.Enabled { // rows expire by the log of proof, which knows of holds
		for _, t := range schemas.Tables() {
			days[t.Name] = 0
		}
	}
	n, err := clickhouse.Migrate(ctx, c, clickhouse.MigrateOptions{Retention: days, Logger: log})
	if err != nil {
		return n, fmt.Errorf("migrate the audit store: %w", err)
	}
	return n, nil
}

func inDays(l config.Limit) int { return int(l.Duration() / (24 * time.Hour)) }

// retention says how long rows are kept.
func retention(cfg *config.Config) proof.Retention {
	out := proof.Retention{Days: map[string]int{}, Plans: map[string]int{}}
	for _, t := range schemas.Tables() {
		out.Days[t.Name] = t.Days
		if limit, ok := cfg.ClickHouse.TTL[t.Name]; ok {
			out.Days[t.Name] = inDays(limit)
		}
	}
	for plan, limit := range cfg.ClickHouse.TTLByPlan {
		out.Plans[plan] = inDays(limit)
	}
	return out
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
