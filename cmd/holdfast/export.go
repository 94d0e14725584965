package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/ingest/export"
	"holdfast/schemas"
)

type exportCmd struct {
	Table   string `default:"events" placeholder:"NAME" help:"Which table: events, inbox, decisions, actions, notices, cases, operator, gaps, rejected."`
	Format  string `default:"ndjson" enum:"ndjson,csv,parquet" help:"${enum}."`
	OCSF    string `name:"ocsf" placeholder:"VERSION" help:"In place of a table: logins, credentials, mail, signals and cases as OCSF, version 1.9 or 1.8."`
	From    string `placeholder:"WHEN" help:"From this time on: 30d, 24h, 2026-01-02 or 2026-01-02T15:04:05Z (default: all)."`
	To      string `placeholder:"WHEN" help:"Before this time (default: no end)."`
	Account string `placeholder:"ID" help:"What is about this account, or names it."`
	Entity  string `placeholder:"KIND:ID" help:"What is about this entity."`
	Every   bool   `help:"Every row, also of records that came twice."`
	Out     string `short:"o" placeholder:"FILE" help:"Write here, not to standard output."`
}

// Run exports.
func (x *exportCmd) Run(ctx context.Context, c *common) (err error) {
	q, err := x.query()
	if err != nil {
		return err
	}
	cfg, err := c.running()
	if err != nil {
		return err
	}
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	to := io.Writer(os.Stdout)
	if x.Out != "" {
		f, ferr := os.OpenFile(x.Out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- the user names it
		if ferr != nil {
			return ferr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		to = f
	}
	if x.OCSF != "" {
		if !slices.Contains(export.Versions(), x.OCSF) {
			return fmt.Errorf("--ocsf %s is unknown: use one of %s", x.OCSF, strings.Join(export.Versions(), ", "))
		}
		lines := bufio.NewWriter(to)
		o := &export.OCSF{Version: x.OCSF + ".0", Product: app.Version}
		if err := o.Write(ctx, store, q, func(v export.Object) error { return jsonLine(lines, v) }); err != nil {
			return err
		}
		return lines.Flush()
	}
	w, err := export.NewWriter(x.Format, q.Table, to)
	if err != nil {
		return err
	}
	if err := export.Rows(ctx, store, q, w.Write); err != nil {
		return err
	}
	return w.Close()
}

func (x *exportCmd) query() (q export.Query, err error) {
	i := slices.IndexFunc(schemas.Tables(), func(t schemas.Table) bool { return t.Name == x.Table })
	if i < 0 {
		return q, fmt.Errorf("there is no table %q", x.Table)
	}
	q = export.Query{Table: schemas.Tables()[i], Account: x.Account, Every: x.Every}
	if x.Entity != "" {
		e, err := entity(x.Entity)
		if err != nil {
			return q, err
		}
		q.Entity = e.Key()
	}
	if q.From, err = when("--from", x.From); err != nil {
		return q, err
	}
	q.To, err = when("--to", x.To)
	return q, err
}

// when reads a time, a day, or how long ago; nothing is the zero time.
func when(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return pastTime(flag, s, time.Now())
}
