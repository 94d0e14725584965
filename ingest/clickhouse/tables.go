package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"holdfast/schemas"
)

// Check compares the store with what the tables declare and with what exactly
// once stands on, and returns everything that differs in one error.
func Check(ctx context.Context, conn driver.Conn) error {
	var errs []error
	for _, t := range schemas.Tables() {
		if err := checkTable(ctx, conn, t); err != nil {
			errs = append(errs, fmt.Errorf("clickhouse: table %s: %w", t.Name, err))
		}
	}
	return errors.Join(errs...)
}

func checkTable(ctx context.Context, conn driver.Conn, t schemas.Table) error {
	var engine, full, sortKey, partitionKey string
	err := conn.QueryRow(ctx, "SELECT engine, engine_full, sorting_key, partition_key FROM system.tables WHERE database = currentDatabase() AND name = ?", t.Name).
		Scan(&engine, &full, &sortKey, &partitionKey)
	if err != nil {
		return fmt.Errorf("cannot be seen: %w: run `holdfast migrate`", err)
	}
	var errs []error
	differ := func(what, is, want string) {
		errs = append(errs, fmt.Errorf("%s is %s, not %s", what, is, want))
	}
	if !strings.HasSuffix(engine, "ReplacingMergeTree") {
		differ("the engine", engine, "ReplacingMergeTree")
	}
	if want := strings.Join(t.SortKey(), ", "); plainNames(sortKey) != want {
		differ("the sort key", sortKey, want)
	}
	if want := "toYYYYMM(" + schemas.ColumnArrival + ")"; plainNames(partitionKey) != want {
		differ("the partition key", partitionKey, want)
	}
	for _, name := range windowSettings(engine) {
		if want := schemas.TableSettings()[name]; settingOf(full, name) != want {
			differ("setting "+name, orNone(settingOf(full, name)), want+": ALTER TABLE "+t.Name+" MODIFY SETTING "+name+" = "+want)
		}
	}
	columns, err := columnsOf(ctx, conn, t.Name)
	if err != nil {
		return err
	}
	for _, c := range t.Columns {
		if is := columns[c.Name]; is != c.Type() {
			differ("column "+c.Name, orNone(is), c.Type()+": run `holdfast migrate`")
		}
	}
	shown, err := columnsOf(ctx, conn, t.Unique())
	if err != nil {
		return err
	}
	for _, c := range t.Columns {
		if shown[c.Name] == "" {
			errs = append(errs, fmt.Errorf("its view %s does not show %s: run `holdfast migrate`", t.Unique(), c.Name))
			break
		}
	}
	return errors.Join(errs...)
}

// windowSettings are the settings that hold the tokens of a table's kind.
func windowSettings(engine string) []string {
	if strings.HasPrefix(engine, "Replicated") || strings.HasPrefix(engine, "Shared") {
		return []string{"replicated_deduplication_window", "replicated_deduplication_window_seconds"}
	}
	return []string{"non_replicated_deduplication_window"}
}

func columnsOf(ctx context.Context, conn driver.Conn, table string) (map[string]string, error) {
	rows, err := conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = ?", table)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]string{}
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			return nil, err
		}
		out[name] = typ
	}
	return out, rows.Err()
}

func plainNames(s string) string { return strings.ReplaceAll(s, "`", "") }

func settingOf(full, name string) string {
	m := regexp.MustCompile(`\b` + name + ` = '?([0-9]+)`).FindStringSubmatch(full)
	if m == nil {
		return ""
	}
	return m[1]
}

func orNone(s string) string {
	if s == "" {
		return "missing"
	}
	return s
}

// mergeBase has merges take about ten parts of one size at once instead of five:
// rows are merged two thirds as often, which saves a quarter of all that the store
// computes for an event, measured; some tens of parts more stand beside each other.
const mergeBase = "10"

// codeUnknownSetting is ClickHouse's code for a setting that it does not have.
const codeUnknownSetting = 115

// tune sets what only newer servers know, where they do.
func tune(ctx context.Context, conn driver.Conn) error {
	for _, t := range schemas.Tables() {
		var full string
		err := conn.QueryRow(ctx, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?", t.Name).Scan(&full)
		if err != nil {
			return fmt.Errorf("clickhouse: looking at table %s: %w", t.Name, err)
		}
		if settingOf(full, "merge_selector_base") == mergeBase {
			continue
		}
		err = asRefused(conn.Exec(ctx, "ALTER TABLE "+t.Name+" MODIFY SETTING merge_selector_base = "+mergeBase))
		if refused, ok := errors.AsType[*Refused](err); ok && refused.Code == codeUnknownSetting {
			return nil
		}
		if err != nil {
			return fmt.Errorf("clickhouse: tuning table %s: %w", t.Name, err)
		}
	}
	return nil
}

var ttlDays = regexp.MustCompile(`TTL [^\n]*?toIntervalDay\(([0-9]+)\)`)

// Retain sets how many days each table keeps its rows, where that differs; 0
// keeps them for ever. What is over its time goes with its whole part.
func Retain(ctx context.Context, conn driver.Conn, days map[string]int) error {
	var names []string
	for name := range days {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.ContainsFunc(schemas.Tables(), func(t schemas.Table) bool { return t.Name == name }) {
			return fmt.Errorf("clickhouse: retention of table %q: there is no such table", name)
		}
		if err := retain(ctx, conn, name, days[name]); err != nil {
			return fmt.Errorf("clickhouse: retention of table %s: %w", name, err)
		}
	}
	return nil
}

func retain(ctx context.Context, conn driver.Conn, table string, days int) error {
	var full string
	err := conn.QueryRow(ctx, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?", table).Scan(&full)
	if err != nil {
		return err
	}
	now := "0"
	if m := ttlDays.FindStringSubmatch(full); m != nil {
		now = m[1]
	}
	if now == fmt.Sprint(days) {
		return nil
	}
	sql := fmt.Sprintf("ALTER TABLE %s MODIFY TTL toDateTime(%s) + toIntervalDay(%d)", table, schemas.ColumnArrival, days)
	if days == 0 {
		sql = "ALTER TABLE " + table + " REMOVE TTL"
	}
	// Parts written earlier follow at their next merge; rewriting them all at once
	// would stop the store for hours.
	return conn.Exec(ctx, sql+" SETTINGS materialize_ttl_after_modify = 0")
}
