package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

type snoozeCmd struct {
	Add  snoozeAddCmd  `cmd:"" default:"withargs" help:"Suppress an entity's signals for a while: no decision follows from them."`
	List snoozeListCmd `cmd:"" help:"List snoozes: who, until when, by whom and why."`
	End  snoozeEndCmd  `cmd:"" help:"End a snooze: decisions follow from signals again."`
}

type snoozeAddCmd struct {
	actCmd
	For string `default:"24h" placeholder:"TIME" help:"For how long: 4h, 7d; at most respond.snooze_max (30d)."`
}

// Run asks for the snooze.
func (s *snoozeAddCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(s.Entity)
	if err != nil {
		return err
	}
	d, err := config.ParseDuration(s.For)
	if err != nil {
		return fmt.Errorf("--for: %w: write 4h or 7d", err)
	}
	return s.ask(ctx, c, schemas.Request{Entity: e, Act: "snooze", Until: time.Now().UTC().Add(d).Truncate(time.Second)})
}

type snoozeEndCmd struct{ actCmd }

// Run asks for the snooze's end.
func (s *snoozeEndCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(s.Entity)
	if err != nil {
		return err
	}
	return s.ask(ctx, c, schemas.Request{Entity: e, Act: "unsnooze"})
}

type snoozeListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run reads who asked for snoozes; the audit store is not needed.
func (s *snoozeListCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := app.ReadSnoozes(ctx, client, &cfg, time.Now())
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(append([]app.Snooze{}, all...))
	}
	if len(all) == 0 {
		_, err = fmt.Println("nothing is snoozed")
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTITY\tUNTIL\tBY\tSINCE\tWHY")
	for _, z := range all {
		until := "not known: asked for by an earlier version"
		if !z.Until.IsZero() {
			until = z.Until.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", clean(z.Entity.Key()), until, clean(z.By), z.Since.UTC().Format(time.RFC3339), clean(z.Why))
	}
	return w.Flush()
}
