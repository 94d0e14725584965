package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

type enforceCmd struct {
	List  enforceListCmd  `cmd:"" help:"List what receivers have not confirmed yet: since when, attempts, last error, next try."`
	Retry enforceRetryCmd `cmd:"" help:"Tell receivers now, including what was held or refused."`
}

type enforceListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run reads the topic enforced; neither the audit store nor any role is needed.
func (l *enforceListCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := undelivered(ctx, client, &cfg)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(append([]enforce.Undelivered{}, all...))
	}
	if len(all) == 0 {
		_, err = fmt.Println("every receiver has confirmed everything")
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RECEIVER\tENTITY\tSTATUS\tSTATE\tSINCE\tATTEMPTS\tNEXT TRY\tLAST ERROR")
	for _, u := range all {
		next := at(u.Next)
		if u.State == enforce.StateHeld {
			next = "when asked"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", clean(u.Receiver), clean(u.Entity.Key()), clean(u.Status), u.State, u.Since.UTC().Format(time.RFC3339), u.Attempts, next, clean(u.Error))
	}
	return w.Flush()
}

// undelivered lists what receivers have yet to confirm, oldest first.
func undelivered(ctx context.Context, client *kafka.Client, cfg *config.Config) ([]enforce.Undelivered, error) {
	states, err := app.ReadAllEnforced(ctx, client, cfg)
	if err != nil {
		return nil, err
	}
	var out []enforce.Undelivered
	for _, s := range states {
		out = append(out, s.Undelivered()...)
	}
	slices.SortFunc(out, func(a, b enforce.Undelivered) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Entity.Key(), b.Entity.Key()), cmp.Compare(a.Receiver, b.Receiver))
	})
	return out, nil
}

type enforceRetryCmd struct {
	Entity string `arg:"" optional:"" help:"kind:id, or the id of an account or an address alone."`
	All    bool   `help:"Everything that is not confirmed, except what is held."`
	Why    string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	Actor  string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	JSON   bool   `help:"As JSON."`
}

// Run asks enforcement, in whichever process it runs, and waits a little for the outcome.
func (r *enforceRetryCmd) Run(ctx context.Context, c *common) error {
	if (r.Entity == "") != r.All {
		return fmt.Errorf("name one entity, or give --all")
	}
	var only schemas.Entity
	if r.Entity != "" {
		var err error
		if only, err = c.entity(r.Entity); err != nil {
			return err
		}
	}
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := undelivered(ctx, client, &cfg)
	if err != nil {
		return err
	}
	asked := map[schemas.Entity]bool{}
	act := actCmd{Actor: r.Actor}
	for _, u := range all {
		if asked[u.Entity] || r.All && u.State == enforce.StateHeld || !r.All && u.Entity != only {
			continue
		}
		asked[u.Entity] = true
		if err := app.AskRetry(ctx, client, &cfg, u.Entity, act.actor(), r.Why); err != nil {
			return err
		}
	}
	switch {
	case len(asked) == 0 && !r.All:
		return fmt.Errorf("no receiver has anything of %s to confirm: see holdfast status", clean(only.Key()))
	case r.JSON:
		return printJSON(map[string]int{"asked": len(asked)})
	case r.All:
		_, err = fmt.Printf("%s told again now: see holdfast enforce list\n", count(len(asked), "entity is", "entities are"))
		return err
	}
	fmt.Printf("%s is told again now\n", clean(only.Key()))
	return tellRetried(ctx, client, &cfg, only)
}

// tellRetried prints what came of it, as far as it is known after a short wait.
func tellRetried(ctx context.Context, client *kafka.Client, cfg *config.Config, e schemas.Entity) error {
	end := time.Now().Add(confirmFor)
	for {
		x, err := app.ReadEnforced(ctx, client, cfg, e)
		if err != nil || x == nil {
			return err
		}
		if len(x.Undelivered()) == 0 || time.Now().After(end) {
			st := schemas.Status{Entity: e, Status: x.Last.Status, Decision: x.Last.Decision, Episode: x.Last.Episode, Step: x.Last.Step}
			for _, line := range progressOf(st, x).lines() {
				fmt.Println(" ", line)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
