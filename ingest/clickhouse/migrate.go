package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const createMigrations = `CREATE TABLE IF NOT EXISTS holdfast_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(applied)
ORDER BY version`

// ErrNewerStore says that the store was migrated by a newer binary.
var ErrNewerStore = errors.New("the store is newer than this binary")

// MigrateOptions says what Migrate does beside the numbered steps.
type MigrateOptions struct {
	// Retention is how many days each table keeps its rows, by the table's name;
	// 0 keeps them for ever. Tables not named are left as they are.
	Retention map[string]int
	Logger    *slog.Logger
	// steps replaces Migrations in tests.
	steps []Migration
}

// Migrate brings the store up to date and returns how many steps it applied. It
// can be run at any time, by several processes at once: every statement may run
// twice, so no lock is needed that a process could die with.
func Migrate(ctx context.Context, conn driver.Conn, o MigrateOptions) (int, error) {
	steps := o.steps
	if steps == nil {
		var err error
		if steps, err = Migrations(); err != nil {
			return 0, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := execAgain(ctx, conn, createMigrations); err != nil {
		return 0, fmt.Errorf("clickhouse: creating holdfast_migrations: %w", err)
	}
	applied, err := appliedSteps(ctx, conn)
	if err != nil {
		return 0, err
	}
	if err := compareSteps(applied, steps); err != nil {
		return 0, err
	}
	n := 0
	for _, m := range steps {
		if _, ok := applied[m.Version]; ok {
			continue
		}
		if err := apply(ctx, conn, m); err != nil {
			return n, err
		}
		o.Logger.Info("store migrated", "version", m.Version, "name", m.Name)
		n++
	}
	if err := tune(ctx, conn); err != nil {
		return n, err
	}
	return n, Retain(ctx, conn, o.Retention)
}

func appliedSteps(ctx context.Context, conn driver.Conn) (map[int]Migration, error) {
	rows, err := conn.Query(ctx, "SELECT version, name, checksum FROM holdfast_migrations FINAL")
	if err != nil {
		return nil, fmt.Errorf("clickhouse: reading holdfast_migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int]Migration{}
	for rows.Next() {
		var version uint32
		var m Migration
		if err := rows.Scan(&version, &m.Name, &m.Checksum); err != nil {
			return nil, fmt.Errorf("clickhouse: reading holdfast_migrations: %w", err)
		}
		m.Version = int(version)
		out[m.Version] = m
	}
	return out, rows.Err()
}

func compareSteps(applied map[int]Migration, steps []Migration) error {
	for version, a := range applied {
		if version > len(steps) {
			return fmt.Errorf("clickhouse: migration %d (%s) is in force, this binary knows %d: %w: use the newer one", version, a.Name, len(steps), ErrNewerStore)
		}
		if m := steps[version-1]; m.Checksum != a.Checksum {
			return fmt.Errorf("clickhouse: migration %d (%s) is not the one that was applied (%s, SHA-256 %.12s…): a step must not be changed once it is released; add another", version, m.Name, a.Name, a.Checksum)
		}
	}
	return nil
}

func apply(ctx context.Context, conn driver.Conn, m Migration) error {
	for i, s := range m.Statements {
		if err := execAgain(ctx, conn, s); err != nil {
			return fmt.Errorf("clickhouse: migration %d (%s), statement %d: %w", m.Version, m.Name, i+1, err)
		}
	}
	err := conn.Exec(ctx, "INSERT INTO holdfast_migrations (version, name, checksum, applied) SELECT ?, ?, ?, now64(3)", uint32(m.Version), m.Name, m.Checksum)
	if err != nil {
		return fmt.Errorf("clickhouse: noting migration %d: %w", m.Version, err)
	}
	return nil
}

// execAgain runs a repeatable statement, and again where another process was
// just running it: ClickHouse may answer either with an error.
func execAgain(ctx context.Context, conn driver.Conn, sql string) error {
	var err error
	for pause := 50 * time.Millisecond; pause < 2*time.Second; pause *= 2 {
		if err = conn.Exec(ctx, sql); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
	return err
}
