package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/ingest/proof"
)

type eraseCmd struct {
	Account string `required:"" placeholder:"ID" help:"The account whose rows go."`
	Why     string `required:"" placeholder:"TEXT" help:"The reason; it stays, so it should not name the customer."`
	Actor   string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	JSON    bool   `help:"As JSON."`
}

// Run erases.
func (e *eraseCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.running()
	if err != nil {
		return err
	}
	client, err := app.Connect(&cfg, quiet())
	if err != nil {
		return err
	}
	defer client.Close()
	out, err := app.Erase(ctx, client, &cfg, e.Account, actorOr(e.Actor), e.Why, func() {
		fmt.Fprintln(os.Stderr, "waiting until the log of proof covers the newest rows …")
	})
	if err != nil {
		return err
	}
	if e.JSON {
		return printJSON(out)
	}
	total := int64(0)
	for _, table := range slices.Sorted(maps.Keys(out.Rows)) {
		if n := out.Rows[table]; n > 0 {
			fmt.Printf("%-10s %d rows erased\n", table, n)
			total += n
		}
	}
	for _, table := range slices.Sorted(maps.Keys(out.Held)) {
		if n := out.Held[table]; n > 0 {
			fmt.Printf("%-10s %d rows stay, since somebody holds them (`holdfast hold list`)\n", table, n)
		}
	}
	if total == 0 {
		return errors.New("nothing was erased: the audit store has no row about this account that may go")
	}
	_, err = fmt.Printf("%d rows, under %s; all other proofs hold. Journals keep their records for up to 30 days.\n", total, out.ID)
	return err
}

func actorOr(name string) string {
	if name != "" {
		return name
	}
	return app.Actor()
}

type holdCmd struct {
	Add  holdAddCmd  `cmd:"" help:"Keep rows from being erased and from expiring, for a litigation or an investigation."`
	List holdListCmd `cmd:"" help:"What is held, by whom and why."`
	End  holdEndCmd  `cmd:"" help:"End a hold."`
}

type holdAddCmd struct {
	Entity string    `arg:"" help:"kind:id, the id of an account alone, or * for everything."`
	From   time.Time `format:"2006-01-02" placeholder:"YYYY-MM-DD" help:"Rows that arrived from this day on (default: all)."`
	To     time.Time `format:"2006-01-02" placeholder:"YYYY-MM-DD" help:"Rows that arrived before this day (default: no end)."`
	Why    string    `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	Actor  string    `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	JSON   bool      `help:"As JSON."`
}

// Run adds a hold.
func (h *holdAddCmd) Run(ctx context.Context, c *common) error {
	of := h.Entity
	if of != "*" {
		e, err := entity(of)
		if err != nil {
			return err
		}
		of = e.Key()
	}
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	out, err := app.AddHold(ctx, client, &cfg, proof.Hold{Entity: of, From: h.From, To: h.To, Why: h.Why, By: actorOr(h.Actor)})
	if err != nil {
		return err
	}
	if h.JSON {
		return printJSON(out)
	}
	_, err = fmt.Printf("%s is held: %s\n", clean(out.Entity), out.ID)
	return err
}

type holdListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists the holds.
func (h *holdListCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	holds, err := app.ReadHolds(ctx, client, &cfg)
	if err != nil {
		return err
	}
	if h.JSON {
		return printJSON(holds)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "HOLD\tOF\tSINCE\tBY\tWHY\tENDED")
	for _, x := range holds {
		ended := "-"
		if !x.Ended.IsZero() {
			ended = x.Ended.Format(time.RFC3339) + " by " + x.EndBy
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, clean(x.Entity), x.At.Format(time.RFC3339), clean(x.By), clean(x.Why), clean(ended))
	}
	return out.Flush()
}

type holdEndCmd struct {
	ID    string `arg:"" help:"The hold, as list shows it."`
	Why   string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	Actor string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
}

// Run ends a hold.
func (h *holdEndCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	out, err := app.EndHold(ctx, client, &cfg, h.ID, actorOr(h.Actor), h.Why)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s is no longer held by %s; what is over its time goes within the hour\n", clean(out.Entity), out.ID)
	return err
}
