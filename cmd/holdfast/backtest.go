package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/backtest"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

type backtestCmd struct {
	From     string   `required:"" placeholder:"WHEN" help:"Compare decisions since then: a duration (30d), a time (2026-01-02T15:04:05Z) or a day."`
	To       string   `placeholder:"WHEN" help:"Compare decisions before this time (default: now)."`
	WarmUp   string   `default:"28d" name:"warm-up" help:"Replay this much before --from first, so that accounts have a baseline."`
	Policy   string   `placeholder:"FILE" help:"Policies and detectors' numbers to try (default: those in force at each time)."`
	Accounts []string `placeholder:"ID" sep:"," help:"Report only these: account ids, or kind:id. All are replayed."`
	AsLive   bool     `help:"Treat imported events as live events that arrived when they happened."`
	Limit    int      `default:"50" help:"List at most this many stops of each kind; 0: all."`
	JSON     bool     `help:"One JSON object a line: a summary, then policies, stops, cases and what is missing."`
}

// Run replays history and prints what would have been decided.
func (b *backtestCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.running()
	if err != nil {
		return err
	}
	t, err := b.trial(time.Now())
	if err != nil {
		return err
	}
	if err := b.judges(ctx, &cfg, &t); err != nil {
		return err
	}
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return err
	}
	defer store.Close()
	begin := time.Now()
	res, err := backtest.Try(ctx, t, history.New(store))
	if err != nil {
		return fmt.Errorf("back-test: %w", err)
	}
	// The time it took is no part of the answer, which is the same each time.
	fmt.Fprintf(os.Stderr, "%d events replayed in %s\n", res.Summary.Events, time.Since(begin).Round(time.Millisecond))
	p := backtestPrinter{limit: b.Limit, width: 120}
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 60 {
		p.width = w
	}
	if b.JSON {
		return p.ndjson(os.Stdout, res)
	}
	return p.text(os.Stdout, res)
}

// trial reads the flags that say which stretch of time, and of whom is told.
func (b *backtestCmd) trial(now time.Time) (t backtest.Config, err error) {
	if t.From, err = pastTime("--from", b.From, now); err != nil {
		return t, err
	}
	if t.To, err = pastTime("--to", b.To, now); err != nil {
		return t, err
	}
	if t.To.IsZero() {
		t.To = now
	}
	if !t.From.Before(t.To) {
		return t, fmt.Errorf("--from %s is not before --to %s", t.From.Format(time.RFC3339), t.To.Format(time.RFC3339))
	}
	if t.WarmUp, err = config.ParseDuration(b.WarmUp); err != nil {
		return t, fmt.Errorf("--warm-up: %w", err)
	}
	for _, a := range b.Accounts {
		e, err := entity(a)
		if err != nil {
			return t, fmt.Errorf("--accounts: %w", err)
		}
		t.Only = append(t.Only, e)
	}
	t.AsLive = b.AsLive
	return t, nil
}

// judges sets by what is judged. The installation's secret is part of it: sketches
// at their margin depend on it.
func (b *backtestCmd) judges(ctx context.Context, cfg *config.Config, t *backtest.Config) error {
	client, err := app.Connect(cfg, quiet())
	if err != nil {
		return err
	}
	defer client.Close()
	in, err := app.ReadInstallation(ctx, client, cfg)
	if err != nil {
		return err
	}
	t.HashSecret, t.AgeLimit, t.Brake = in.HashSecret, cfg.Respond.AgeLimit.Duration(), cfg.Respond.Brake
	if b.Policy != "" {
		by, err := policies(b.Policy, "")
		t.Policies, t.Parameters, t.Trial = by.set, by.parameters, by.trial
		return err
	}
	t.Control, err = app.ReadVersions(ctx, client, cfg)
	if err == nil && t.Control[schemas.ControlPolicies] == nil {
		err = fmt.Errorf("control holds no policies: name a file with --policy")
	}
	return err
}
