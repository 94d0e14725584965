package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/backtest"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

type backtestCmd struct {
	From   string `required:"" help:"Since when decisions count: a length of time (30d) or a time (2026-01-02T15:04:05Z)."`
	To     string `help:"Until when (default: now)."`
	WarmUp string `default:"28d" name:"warm-up" help:"How much before that is replayed, so that accounts have a past."`
	Policy string `placeholder:"FILE" help:"Policies and detectors' numbers to try (default: the configuration's)."`
	Shadow bool   `help:"Look at what policies in shadow decide."`
	JSON   bool   `help:"As JSON."`
	Limit  int    `default:"50" help:"Name at most so many of each kind; 0 is all."`
}

// Run replays history and prints what would have been decided.
func (b *backtestCmd) Run(ctx context.Context, c *common) error {
	from, err := sinceTime(b.From, time.Now())
	if err != nil {
		return err
	}
	to := time.Now()
	if b.To != "" {
		if to, err = sinceTime(b.To, time.Now()); err != nil {
			return err
		}
	}
	if !from.Before(to) {
		return fmt.Errorf("--from %s is not before --to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	warm, err := config.ParseDuration(b.WarmUp)
	if err != nil {
		return fmt.Errorf("--warm-up: %w", err)
	}
	cfg, err := c.running()
	if err != nil {
		return err
	}
	set, params, err := policies(b.Policy, cfg.Respond.PoliciesFile)
	if err != nil {
		return err
	}
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return err
	}
	defer store.Close()
	mode := schemas.ModeLive
	if b.Shadow {
		mode = schemas.ModeShadow
	}
	res, err := backtest.Run(ctx, backtest.Config{From: from.UTC(), To: to.UTC(), WarmUp: warm, Policies: set, Parameters: params, Mode: mode}, history.New(store))
	if err != nil {
		return fmt.Errorf("back-test: %w", err)
	}
	if b.JSON {
		return printJSON(res)
	}
	return b.print(res)
}

func (b *backtestCmd) print(res *backtest.Result) error {
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "%d events replayed in %s\n\n", res.Events, res.Elapsed)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "policy\tverdict\tthen\tnow")
	for _, t := range res.Tallies {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", clean(t.Policy), t.Verdict, t.Then, t.Now)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	kinds := []struct {
		title string
		is    func(s *backtest.Stop) bool
	}{
		{"would be stopped now, and was not", func(s *backtest.Stop) bool { return s.Now != nil && s.Then == nil }},
		{"was stopped, and would not be now", func(s *backtest.Stop) bool { return s.Now == nil && s.Then != nil }},
		{"stopped then and now", func(s *backtest.Stop) bool { return s.Now != nil && s.Then != nil }},
	}
	for _, k := range kinds {
		n := 0
		for i := range res.Stops {
			if s := &res.Stops[i]; k.is(s) {
				if n++; n == 1 {
					fmt.Fprintf(out, "\n%s:\n", k.title)
				}
				if b.Limit == 0 || n <= b.Limit {
					fmt.Fprintf(out, "  %s\n", stopLine(s))
				}
			}
		}
		if b.Limit > 0 && n > b.Limit {
			fmt.Fprintf(out, "  and %d more\n", n-b.Limit)
		}
	}
	fmt.Fprintln(out)
	for i, when := range []string{"then", "now"} {
		a := res.Accuracy[i]
		p, ok := a.Precision()
		if !ok {
			fmt.Fprintf(out, "precision %s: nobody who was stopped has been confirmed or dismissed\n", when)
		} else {
			fmt.Fprintf(out, "precision %s: %.0f %% (%d of %d that people judged)\n", when, 100*p, a.Right, a.Stopped)
		}
		if r, ok := a.Recall(); ok {
			fmt.Fprintf(out, "recall %s: %.0f %% (%d of %d confirmed)\n", when, 100*r, a.Right, a.Confirmed)
		}
	}
	return out.Flush()
}

func stopLine(s *backtest.Stop) string {
	text := clean(s.Entity.Key()) + " by " + clean(s.Policy)
	if s.Then != nil {
		text += ", then at " + s.Then.UTC().Format(time.RFC3339)
	}
	if s.Now != nil {
		text += ", now at " + s.Now.UTC().Format(time.RFC3339)
	}
	if s.Confirmed != nil {
		text += map[bool]string{true: " (confirmed)", false: " (dismissed)"}[*s.Confirmed]
	}
	if s.Reason != "" {
		text += ": " + clean(s.Reason)
	}
	return text
}
