package main

import (
	"context"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"holdfast/alerting/gate"
	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/history"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// askFor bounds the wait for a request's answer.
const askFor = 30 * time.Second

func ask(ctx context.Context, client *kafka.Client, cfg *config.Config, r schemas.Request, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	op, err := app.Ask(ctx, client, cfg, r)
	if err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(op); err != nil {
			return err
		}
	}
	if op.Refused != "" {
		if r.Act == gate.ActRelease {
			return fmt.Errorf("releasing the gate was refused: %s", op.Refused)
		}
		return fmt.Errorf("%s %s was refused: %s", r.Act, subject(r), op.Refused)
	}
	if !asJSON {
		fmt.Println(done(r, op))
	}
	return nil
}

// lookFor bounds the search for an entity, which an act does not depend on.
const lookFor = 2 * time.Second

// unheardOf says so where nothing is known of an entity: it may not have begun yet, or
// its name is mistyped.
func unheardOf(ctx context.Context, client *kafka.Client, cfg config.Config, e schemas.Entity) string {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	if _, known, err := app.ReadStatus(ctx, client, &cfg, e); known || err != nil { // the act itself will meet the error
		return ""
	}
	switch seen, err := recordedEver(ctx, cfg, e); {
	case err != nil:
		return fmt.Sprintf("nothing was ever decided about %s, and the audit store does not say whether it was ever seen (%v): look whether the name is right", clean(e.Key()), err)
	case !seen:
		return fmt.Sprintf("nothing is recorded about %s, no event and no decision: look whether the name is right", clean(e.Key()))
	}
	return ""
}

// recordedEver asks the audit store.
func recordedEver(ctx context.Context, cfg config.Config, e schemas.Entity) (bool, error) {
	if _, err := app.FindRunning(&cfg); err != nil {
		return false, err
	}
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return false, err
	}
	defer store.Close()
	for _, err := range history.New(store).Timeline(ctx, e, time.Time{}, 1) {
		return err == nil, err
	}
	return false, nil
}

// done says what came of a request. Some acts leave the status as it is.
func done(r schemas.Request, op schemas.Operator) string {
	switch r.Act {
	case "snooze":
		return fmt.Sprintf("%s: snoozed until %s, and %s as before", subject(r), r.Until.Format(time.RFC3339), op.After)
	case "confirm":
		return fmt.Sprintf("%s: confirmed, and %s as before", subject(r), op.After)
	case "dismiss":
		return fmt.Sprintf("%s: dismissed; %s, before it was %s", subject(r), op.After, op.Before)
	}
	return fmt.Sprintf("%s: %s, before it was %s", subject(r), op.After, op.Before)
}

// subject is what a request is about.
func subject(r schemas.Request) string {
	if r.Act == gate.ActRelease {
		return "the gate"
	}
	return r.Entity.Key()
}

// Run asks for what the command's own name says.
func (a *actCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	e, err := entity(a.Entity)
	if err != nil {
		return err
	}
	return a.ask(ctx, c, schemas.Request{Entity: e, Act: k.Selected().Name})
}

type snoozeCmd struct {
	actCmd
	For string `default:"24h" placeholder:"TIME" help:"For how long: 4h, 7d."`
}

// Run asks for the snooze.
func (s *snoozeCmd) Run(ctx context.Context, c *common) error {
	e, err := entity(s.Entity)
	if err != nil {
		return err
	}
	d, err := config.ParseDuration(s.For)
	if err != nil {
		return fmt.Errorf("--for: %w: write 4h or 7d", err)
	}
	return s.ask(ctx, c, schemas.Request{Entity: e, Act: "snooze", Until: time.Now().UTC().Add(d)})
}

type gateCmd struct {
	Release gateReleaseCmd `cmd:"" help:"Release the brake after having looked."`
}

type gateReleaseCmd struct {
	Why   string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	Actor string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	JSON  bool   `help:"As JSON."`
}

// Run asks the gate.
func (g *gateReleaseCmd) Run(ctx context.Context, c *common) error {
	a := actCmd{Why: g.Why, Actor: g.Actor, JSON: g.JSON}
	return a.ask(ctx, c, schemas.Request{Act: gate.ActRelease})
}
