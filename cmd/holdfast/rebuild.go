package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/rebuild"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

type rebuildCmd struct {
	Since    string `placeholder:"WHEN" help:"Read what arrived since then: a duration (90d), a time or a day (default: everything in the store)."`
	ToPrefix string `placeholder:"PREFIX" help:"Make new topics with this prefix instead of replacing the state of the present ones."`
	Lanes    int    `help:"How many lanes the new topics have (default: as many as now)."`
	Notes    string `placeholder:"FILE" help:"Holds the progress, so that an interrupted rebuild can continue (default: rebuild.zst in the data folder)."`
	DryRun   bool   `help:"Rebuild in memory and compare with what was decided; write nothing."`
	Actor    string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	JSON     bool   `help:"As JSON."`
}

// Help tells what a rebuild needs.
func (rebuildCmd) Help() string {
	return "The state of detect, respond and the gate is rebuilt from the audit store: events in the order of their arrival, with origin, network and arrival as recorded, " +
		"and what people asked for in between. The broker and the store must run, the roles detect and respond must not. Statuses and ids stay; nothing is published. " +
		"What is older than the store's retention is forgotten, but for the statuses of entities, which are taken from the status topic. " +
		"With --to-prefix, set kafka.prefix and kafka.lanes afterwards and start once with --new-log."
}

// Run rebuilds.
func (r *rebuildCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.running()
	if err != nil {
		return err
	}
	opts := app.RebuildOptions{Prefix: r.ToPrefix, Lanes: r.Lanes, DryRun: r.DryRun, Actor: cmp.Or(r.Actor, app.Actor()),
		Notes: cmp.Or(r.Notes, filepath.Join(cfg.DataDir, "rebuild.zst"))}
	if r.Lanes != 0 && r.ToPrefix == "" {
		return fmt.Errorf("--lanes needs --to-prefix: the lanes of topics that are there are fixed")
	}
	if opts.Since, err = pastTime("--since", r.Since, time.Now()); err != nil {
		return err
	}
	client, err := app.Connect(&cfg, quiet())
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return err
	}
	defer store.Close()
	begun := time.Now()
	told := begun
	opts.Progress = func(p rebuild.Progress) {
		if time.Since(told) < 2*time.Second {
			return
		}
		told = time.Now()
		from := ""
		if p.Resumed {
			from = ", begun in a former run"
		}
		fmt.Fprintf(os.Stderr, "%d events, up to %s, in %s%s\n", p.Events, p.Arrival.Format(time.RFC3339), time.Since(begun).Round(time.Second), from)
	}
	out, err := app.Rebuild(ctx, client, &cfg, history.New(store), opts)
	if err != nil {
		return err
	}
	if !r.DryRun {
		_ = os.Remove(opts.Notes) // it is done
	}
	if r.JSON {
		return printJSON(out)
	}
	did := "written"
	if r.DryRun {
		did = "not written (--dry-run)"
	}
	fmt.Printf("%d events and %d requests in %s; state of %d entities in detect and %d in respond %s, %d deleted, %d statuses taken from the status topic\n", out.Events, out.Requests,
		time.Since(begun).Round(time.Millisecond), out.Values[schemas.TopicStateDetect], out.Values[schemas.TopicStateRespond], did, out.Deleted, out.Adopted)
	fmt.Printf("decisions: %d follow again, %d in the store do not, %d follow that were never made\n", out.Same, len(out.Missing), len(out.Extra))
	if r.ToPrefix != "" && !r.DryRun {
		fmt.Printf("now set kafka.prefix: %s and kafka.lanes: %d, and start once with --new-log\n", r.ToPrefix, cmp.Or(r.Lanes, cfg.Kafka.Lanes))
	}
	return nil
}
