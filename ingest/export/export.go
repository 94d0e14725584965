// Package export takes rows out of the audit store for other programs: as CSV, NDJSON or
// Parquet, table by table, or as events and findings of OCSF, the Open Cybersecurity
// Schema Framework.
//
// It reads each record once, in the order of time, from one moment to another; it never
// changes anything. Values are those of the table; OCSF holds what its classes have a
// place for, and the row's id and position, by which the rest is found.
package export

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"holdfast/ingest/clickhouse"
	"holdfast/schemas"
)

// Query says which rows.
type Query struct {
	Table    schemas.Table
	From, To time.Time // of the record's own time; zero: open
	// Account takes rows that are about an account, or that name it among others.
	Account string
	Entity  string // kind:id
	Every   bool   // every row, also of records that were sent or written again
	where   string // what a class of OCSF adds
}

// Row is one row: its columns' values by name, see clickhouse.Value.
type Row map[string]any

func (r Row) text(name string) string { s, _ := r[name].(string); return s }

func (r Row) moment(name string) time.Time { t, _ := r[name].(time.Time); return t }

func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func (q *Query) sql() string {
	from := q.Table.Unique()
	if q.Every {
		from = q.Table.Name
	}
	where := []string{"1"}
	if !q.From.IsZero() {
		where = append(where, fmt.Sprintf("time >= fromUnixTimestamp64Milli(%d, 'UTC')", q.From.UnixMilli()))
	}
	if !q.To.IsZero() {
		where = append(where, fmt.Sprintf("time < fromUnixTimestamp64Milli(%d, 'UTC')", q.To.UnixMilli()))
	}
	if q.Account != "" {
		by := fmt.Sprintf("account = %s OR entity = %s", literal(q.Account), literal("account:"+q.Account))
		if q.Table.Topic == schemas.TopicEvents {
			by += fmt.Sprintf(" OR has(accounts, %s)", literal(q.Account))
		}
		where = append(where, "("+by+")")
	}
	if q.Entity != "" {
		where = append(where, "entity = "+literal(q.Entity))
	}
	if q.where != "" {
		where = append(where, q.where)
	}
	return "SELECT log_id, " + clickhouse.NewCanonical(q.Table).Select() + " FROM " + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY time, partition, offset"
}

// Rows calls f with each row.
func Rows(ctx context.Context, conn driver.Conn, q Query, f func(Row) error) error {
	rows, err := conn.Query(ctx, q.sql())
	if err != nil {
		return fmt.Errorf("export: %s: %w", q.Table.Name, err)
	}
	defer func() { _ = rows.Close() }()
	form := clickhouse.NewCanonical(q.Table)
	for rows.Next() {
		var log, raw string
		if err := rows.Scan(&log, &raw); err != nil {
			return fmt.Errorf("export: %s: %w", q.Table.Name, err)
		}
		values, err := form.Values(raw)
		if err != nil {
			return err
		}
		row := make(Row, len(q.Table.Columns))
		for _, c := range q.Table.Columns {
			row[c.Name] = clickhouse.Value(c.Kind, values[c.Name])
		}
		row[schemas.ColumnLogID] = log
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Writer writes rows in one format.
type Writer interface {
	Write(Row) error
	// Close writes what is left; the file below stays open.
	Close() error
}

// Formats lists the formats.
func Formats() []string { return []string{"ndjson", "csv", "parquet"} }

// NewWriter writes rows of a table.
func NewWriter(format string, t schemas.Table, to io.Writer) (Writer, error) {
	switch format {
	case "ndjson":
		return newLines(t, to), nil
	case "csv":
		return newCSV(t, to)
	case "parquet":
		return newParquet(t, to), nil
	}
	return nil, fmt.Errorf("format %q is unknown: use one of %s, or --ocsf", format, strings.Join(Formats(), ", "))
}
