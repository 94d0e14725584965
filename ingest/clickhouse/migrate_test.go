package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

// The steps, applied one after another, must come to what schemas declares. The
// engine is asked, not the text.
func TestStepsComeToWhatIsDeclared(t *testing.T) {
	c := open(t)
	ctx := t.Context()
	if _, err := Migrate(ctx, c, MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := Check(ctx, c); err != nil {
		t.Error(err)
	}
	migrated := describe(t, c)
	if err := c.Exec(ctx, "DROP VIEW "+schemas.SignalsView); err != nil {
		t.Fatal(err)
	}
	for _, v := range schemas.Views() {
		if err := c.Exec(ctx, "DROP VIEW "+v.Name); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range schemas.Tables() {
		for _, s := range append([]string{"DROP VIEW " + table.Unique(), "DROP TABLE " + table.Name, "DROP TABLE " + table.Twin()}, table.DDL()...) {
			if err := c.Exec(ctx, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	if err := tune(ctx, c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(t, c), migrated); diff != "" {
		t.Errorf("the migrated store differs from the declarations (add a step):\n%s", diff)
	}
}

// describe asks the engine what its tables are.
func describe(t *testing.T, c *Client) []string {
	t.Helper()
	var out []string
	for _, q := range []string{
		"SELECT concat(table, '.', name, ' ', type, ' ', compression_codec) FROM system.columns WHERE database = currentDatabase() AND table NOT LIKE 'holdfast%' ORDER BY table, name",
		"SELECT concat(name, ' ', engine_full, ' ', as_select) FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE 'holdfast%' ORDER BY name",
		"SELECT concat(table, '.', name, ' ', type_full, ' ', expr, ' ', toString(granularity)) FROM system.data_skipping_indices WHERE database = currentDatabase() ORDER BY table, name",
	} {
		rows, err := c.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	c := open(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Migrate(t.Context(), c, MigrateOptions{Retention: map[string]int{"events": 30}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n, err := Migrate(t.Context(), c, MigrateOptions{})
	if n != 0 || err != nil {
		t.Errorf("a last run applied %d steps (%v), want none", n, err)
	}
	if err := Check(t.Context(), c); err != nil {
		t.Error(err)
	}
	steps, _ := Migrations()
	var noted uint64
	if err := c.QueryRow(t.Context(), "SELECT count() FROM holdfast_migrations FINAL").Scan(&noted); err != nil || int(noted) != len(steps) {
		t.Errorf("%d steps are noted (%v), want %d", noted, err, len(steps))
	}
}

func TestMigrateRefuses(t *testing.T) {
	c := open(t)
	steps, err := Migrations()
	if err != nil {
		t.Fatal(err)
	}
	next := Migration{Version: len(steps) + 1, Name: "next", Checksum: "c", Statements: []string{"CREATE TABLE IF NOT EXISTS next (n Int8) ENGINE = Memory"}}
	if _, err := Migrate(t.Context(), c, MigrateOptions{steps: append(steps, next)}); err != nil {
		t.Fatal(err)
	}
	if _, err := Migrate(t.Context(), c, MigrateOptions{}); !errors.Is(err, ErrNewerStore) {
		t.Errorf("a store with one step more: %v, want ErrNewerStore", err)
	}
	next.Checksum = "changed"
	if _, err := Migrate(t.Context(), c, MigrateOptions{steps: append(steps, next)}); err == nil || !strings.Contains(err.Error(), "must not be changed") {
		t.Errorf("a changed step: %v, want a refusal", err)
	}
}

// A step that was cut off in the middle goes on with the next run.
func TestMigrateAfterACut(t *testing.T) {
	c := open(t)
	steps, err := Migrations()
	if err != nil {
		t.Fatal(err)
	}
	cut := steps[0]
	cut.Statements = append(append([]string{}, cut.Statements[:3]...), "CREATE TABLE broken (")
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Migrate(ctx, c, MigrateOptions{steps: []Migration{cut}}); err == nil {
		t.Fatal("a broken statement was accepted")
	}
	cancel()
	if n, err := Migrate(t.Context(), c, MigrateOptions{}); err != nil || n != len(steps) {
		t.Errorf("applied %d steps (%v), want %d", n, err, len(steps))
	}
}

func TestRetain(t *testing.T) {
	c := open(t)
	ctx := t.Context()
	for _, days := range []int{400, 7, 7, 0, 0, 90} {
		if _, err := Migrate(ctx, c, MigrateOptions{Retention: map[string]int{"events": days}}); err != nil {
			t.Fatalf("%d days: %v", days, err)
		}
		var full string
		if err := c.QueryRow(ctx, "SELECT engine_full FROM system.tables WHERE name = 'events'").Scan(&full); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("toIntervalDay(%d)", days); strings.Contains(full, want) != (days > 0) || days == 0 && strings.Contains(full, "TTL") {
			t.Errorf("after %d days: %s", days, full)
		}
	}
	if _, err := Migrate(ctx, c, MigrateOptions{Retention: map[string]int{"evnets": 1}}); err == nil {
		t.Error("a table that does not exist was accepted")
	}
}

func TestCheckTellsWhatDiffers(t *testing.T) {
	c := open(t)
	ctx := t.Context()
	if _, err := Migrate(ctx, c, MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 5",
		"ALTER TABLE actions MODIFY COLUMN target LowCardinality(String)",
		"DROP TABLE cases",
		"DROP VIEW decisions_unique",
	} {
		if err := c.Exec(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	err := Check(ctx, c)
	for _, want := range []string{"events: setting non_replicated_deduplication_window is 5", "actions: column target", "table cases", "its view decisions_unique"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the check says %v, want it to name %q", err, want)
		}
	}
}
