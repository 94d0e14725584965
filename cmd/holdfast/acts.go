package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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
		if r.Act == "unsnooze" {
			return fmt.Errorf("ending the snooze of %s was refused: %s", subject(r), op.Refused)
		}
		return fmt.Errorf("%s %s was refused: %s", r.Act, subject(r), op.Refused)
	}
	if !asJSON {
		fmt.Println(done(r, op))
	}
	return nil
}

// suspendCmd suspends by hand.
type suspendCmd struct {
	actCmd
	Force bool `help:"Suspend even if nothing is recorded about the name."`
}

// Run suspends, and says whether the platform has confirmed it.
func (s *suspendCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(s.Entity)
	if err != nil {
		return err
	}
	if e.Kind == schemas.KindIP {
		return fmt.Errorf("addresses are blocked, accounts and employees suspended: holdfast block %s --why …", schemas.MailArg(e.Key()))
	}
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	if !s.Force {
		switch is, err := knows(ctx, client, cfg, e); {
		case is == unknown:
			return fmt.Errorf("nothing is recorded about %s, no event and no decision: look whether the name is right, and add --force if it is", clean(e.Key()))
		case is == unlooked:
			fmt.Fprintf(os.Stderr, "holdfast: nothing was ever decided about %s, and the audit store does not say whether it was ever seen (%v): look whether the name is right\n", clean(e.Key()), err)
		case err != nil:
			return err
		}
	}
	err = ask(ctx, client, &cfg, schemas.Request{Entity: e, Act: "suspend", Why: s.Why, Actor: s.actor()}, s.JSON)
	if s.JSON {
		return err
	}
	return errors.Join(err, tellEnforced(ctx, client, &cfg, e))
}

// confirmFor is how long a command waits for the platform's confirmation before it says
// that there is none yet.
const confirmFor = 3 * time.Second

// tellEnforced prints how far an entity's status is carried out, after a short wait for
// what is on its way.
func tellEnforced(ctx context.Context, client *kafka.Client, cfg *config.Config, e schemas.Entity) error {
	end := time.Now().Add(confirmFor)
	for {
		st, ok, err := app.ReadStatus(ctx, client, cfg, e)
		if err != nil || !ok {
			return err
		}
		x, err := app.ReadEnforced(ctx, client, cfg, e)
		if err != nil {
			return err
		}
		if p := progressOf(st, x); p.settled() || time.Now().After(end) {
			for _, line := range p.lines() {
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

// What is known of an entity.
type acquaintance byte

const (
	known     acquaintance      = iota // something was decided about it or recorded of it
	unknown                            // nothing was, as far as can be seen
	unlooked                           // the audit store could not be asked
	lookFor   = 5 * time.Second        // what has just come in becomes a row within that
	lookAgain = 500 * time.Millisecond
)

// knows tells whether anything is known of an entity: its name may be mistyped.
func knows(ctx context.Context, client *kafka.Client, cfg config.Config, e schemas.Entity) (acquaintance, error) {
	if _, ok, err := app.ReadStatus(ctx, client, &cfg, e); ok || err != nil {
		return known, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	for asked := false; ; {
		seen, err := recordedEver(ctx, cfg, e)
		switch {
		case seen:
			return known, nil
		case err != nil && asked:
			return unknown, nil
		case err != nil:
			return unlooked, err
		}
		asked = true
		select {
		case <-ctx.Done():
			return unknown, nil
		case <-time.After(lookAgain):
		}
	}
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
	case "unsnooze":
		return fmt.Sprintf("%s: the snooze has ended, and it is %s as before", subject(r), phrase(op.After))
	case "snooze":
		return fmt.Sprintf("%s: snoozed until %s, and %s as before", subject(r), r.Until.Format(time.RFC3339), phrase(op.After))
	case "confirm":
		return fmt.Sprintf("%s: confirmed, and %s as before", subject(r), phrase(op.After))
	case "dismiss":
		return fmt.Sprintf("%s: dismissed; %s, before it was %s", subject(r), phrase(op.After), phrase(op.Before))
	}
	return fmt.Sprintf("%s: %s, before it was %s", subject(r), phrase(op.After), phrase(op.Before))
}

// phrase is a status within a sentence.
func phrase(status string) string {
	if status == "review" {
		return "under review"
	}
	return status
}

// subject is what a request is about.
func subject(r schemas.Request) string {
	if r.Act == gate.ActRelease {
		return "the gate"
	}
	return r.Entity.Key()
}

// blockCmd blocks by hand.
type blockCmd struct {
	actCmd
	Force bool `help:"Block even an address that many may share: a private one, or a trusted proxy."`
}

// Run blocks, and says whether the platform has confirmed it.
func (b *blockCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(b.Entity)
	if err != nil {
		return err
	}
	if e.Kind != schemas.KindIP {
		return fmt.Errorf("addresses are blocked, accounts and employees suspended: holdfast suspend %s --why …", schemas.MailArg(e.Key()))
	}
	if !b.Force {
		if err := c.unshared(e); err != nil {
			return err
		}
	}
	return b.confirmed(ctx, c, schemas.Request{Entity: e, Act: "block"})
}

// unshared refuses an address that no policy would block, by the policies that are
// configured here.
func (c *common) unshared(e schemas.Entity) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	by, err := policies("", cfg.Respond.PoliciesFile)
	if err != nil {
		return err
	}
	if what := by.set.SharedAddress(e.ID); what != "" {
		return fmt.Errorf("%s is %s: whoever is behind it would be blocked too. If a proxy of yours hides its clients, let it hand on their addresses; to block it all the same, add --force", clean(e.ID), what)
	}
	return nil
}

// releaseCmd releases by hand.
type releaseCmd struct{ actCmd }

// Run releases, and says whether the platform has confirmed it.
func (a *releaseCmd) Run(ctx context.Context, c *common) error {
	e, err := c.entity(a.Entity)
	if err != nil {
		return err
	}
	return a.confirmed(ctx, c, schemas.Request{Entity: e, Act: "release"})
}

// Run asks for what the command's own name says.
func (a *actCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	e, err := c.entity(a.Entity)
	if err != nil {
		return err
	}
	return a.ask(ctx, c, schemas.Request{Entity: e, Act: k.Selected().Name})
}

// confirmed asks for what changes at the platform and is not done before the platform has
// confirmed it, and says so.
func (a *actCmd) confirmed(ctx context.Context, c *common, r schemas.Request) error {
	if a.JSON {
		return a.ask(ctx, c, r)
	}
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	r.Why, r.Actor = a.Why, a.actor()
	if err := ask(ctx, client, &cfg, r, false); err != nil {
		return err
	}
	return tellEnforced(ctx, client, &cfg, r.Entity)
}

type gateCmd struct {
	Release gateReleaseCmd `cmd:"" help:"Release the brake, after a person has looked."`
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
