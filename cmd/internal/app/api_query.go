package app

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/api"
	"holdfast/ingest/clickhouse"
)

// queryTime bounds one question in SQL, maxCells and maxCellBytes its answer: some 16 MiB.
const (
	queryTime    = 30 * time.Second
	maxCells     = 200_000
	maxCellBytes = 64 << 10
	maxTable     = 16 << 20
)

// newReader makes what runs a person's SQL, as a user of ClickHouse who can only read: the
// embedded engine's own, or the one that the configuration names. Without one nobody may
// ask by SQL.
func (a *App) newReader() func(context.Context, string, int) (api.Table, error) {
	cfg := a.cfg
	cfg.ClickHouse.User, cfg.ClickHouse.Password, cfg.ClickHouse.PasswordFile = cfg.API.ReaderUser, "", cfg.API.ReaderPasswordFile
	if l := a.at.ReaderLogin; cfg.ClickHouse.User == "" && a.engines.clickhouse != nil && l != nil {
		cfg.ClickHouse.User, cfg.ClickHouse.PasswordFile = l.User, l.PasswordFile
	}
	if cfg.ClickHouse.User == "" {
		return nil
	}
	var mu sync.Mutex
	var store *clickhouse.Client
	turn := make(chan struct{}, 4) // questions at once
	return func(ctx context.Context, sql string, limit int) (api.Table, error) {
		ctx, cancel := context.WithTimeout(ctx, queryTime)
		defer cancel()
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return api.Table{}, awayFrom(ctx.Err())
		}
		mu.Lock()
		if store == nil {
			var err error
			if store, err = OpenStore(&cfg, a.log); err != nil {
				mu.Unlock()
				return api.Table{}, awayFrom(err)
			}
		}
		mu.Unlock()
		return table(ctx, store, sql, limit)
	}
}

// table runs one SELECT within another, which bounds its rows and lets nothing else be one.
func table(ctx context.Context, store *clickhouse.Client, sql string, limit int) (api.Table, error) {
	begin := time.Now()
	rows, err := store.Query(ctx, fmt.Sprintf("SELECT * FROM (\n%s\n) LIMIT %d", strings.TrimRight(strings.TrimSpace(sql), ";"), limit+1))
	if err != nil {
		if clickhouse.Passing(err) {
			return api.Table{}, awayFrom(err)
		}
		return api.Table{}, api.Refusal("the audit store refuses the question: " + err.Error())
	}
	defer func() { _ = rows.Close() }()
	out := api.Table{Columns: rows.Columns(), Types: []string{}, Rows: [][]jsontext.Value{}}
	types := rows.ColumnTypes()
	for _, t := range types {
		out.Types = append(out.Types, t.DatabaseTypeName())
	}
	size := 0
	for rows.Next() {
		dest := make([]any, len(types))
		for i, t := range types {
			dest[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(dest...); err != nil {
			return out, api.Refusal("the answer cannot be read: " + err.Error())
		}
		if len(out.Rows) == limit || len(out.Rows)*len(types) > maxCells || size > maxTable {
			out.Cut = true
			break
		}
		row := make([]jsontext.Value, len(dest))
		for i, d := range dest {
			row[i] = jsonCell(d)
			size += len(row[i])
		}
		out.Rows = append(out.Rows, row)
	}
	if err := rows.Err(); err != nil && !out.Cut {
		return out, api.Refusal("the audit store refuses the question: " + err.Error())
	}
	out.Took = time.Since(begin).Seconds()
	return out, nil
}

// jsonCell is a value as JSON; what JSON cannot say is text.
func jsonCell(v any) jsontext.Value {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		b, _ = json.Marshal(fmt.Sprint(reflect.ValueOf(v).Elem()), jsontext.AllowInvalidUTF8(true))
	}
	if len(b) > maxCellBytes {
		b, _ = json.Marshal(string(b[:1024])+"…", jsontext.AllowInvalidUTF8(true))
	}
	return b
}
