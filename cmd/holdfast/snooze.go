package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/alerting/api"
)

type snoozeCmd struct {
	Add  snoozeAddCmd  `cmd:"" default:"withargs" help:"Suppress an entity's signals for a while: no decision follows from them."`
	List snoozeListCmd `cmd:"" help:"List snoozes: who, until when, by whom and why, and how many signals each has hidden."`
	End  snoozeEndCmd  `cmd:"" help:"End a snooze: decisions follow from signals again."`
}

type snoozeAddCmd struct {
	actCmd
	For string `default:"24h" placeholder:"TIME" help:"For how long: 4h, 7d; at most respond.snooze_max (30d)."`
}

// Run asks for the snooze.
func (s *snoozeAddCmd) Run(ctx context.Context, c *common) error {
	until, err := untilAfter(s.For)
	if err != nil {
		return err
	}
	return s.run(ctx, c, api.ActIn{Act: "snooze", Until: until})
}

type snoozeEndCmd struct{ actCmd }

// Run asks for the snooze's end.
func (s *snoozeEndCmd) Run(ctx context.Context, c *common) error {
	return s.run(ctx, c, api.ActIn{Act: "unsnooze"})
}

type snoozeListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists the snoozes that hold.
func (s *snoozeListCmd) Run(ctx context.Context, c *common) error {
	all, err := ask[api.Expected](ctx, c, "/v1/expected", nil)
	if err != nil {
		return err
	}
	return printExpected(all.Snoozes, s.JSON, "nothing is snoozed")
}

// printExpected lists snoozes or allowances.
func printExpected(all []api.Allow, asJSON bool, none string) error {
	if asJSON {
		return printJSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Println(none)
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTITY\tDETECTOR\tUNTIL\tHAS HIDDEN\tBY\tSINCE\tWHY")
	for _, z := range all {
		until, hidden, detector := "not known: asked for by an earlier version", "not known", "all"
		if !z.Until.IsZero() {
			until = z.Until.UTC().Format(time.RFC3339)
		}
		if z.Hidden != nil {
			hidden = count(*z.Hidden, "signal", "signals")
		}
		if z.Detector != "" {
			detector = z.Detector
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(z.Entity.Key()), clean(detector), until, hidden, clean(z.By), z.Since.UTC().Format(time.RFC3339), clean(z.Why))
	}
	return w.Flush()
}

type allowCmd struct {
	List allowListCmd `cmd:"" help:"What is allowed, by people and by the policy file, and how many signals that has hidden."`
	Add  allowAddCmd  `cmd:"" help:"Let an entity raise one detector's signals for a while: none of them is answered."`
	End  allowEndCmd  `cmd:"" help:"End an allowance: the detector's signals are answered again."`
}

type allowListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists what is allowed.
func (a *allowListCmd) Run(ctx context.Context, c *common) error {
	all, err := ask[api.Expected](ctx, c, "/v1/expected", nil)
	if err != nil {
		return err
	}
	return printExpected(all.Allows, a.JSON, "nothing is allowed")
}

type allowAddCmd struct {
	Entity   string `arg:"" help:"kind:id, or the id of an account or an address alone."`
	Detector string `arg:"" help:"The detector."`
	For      string `default:"30d" placeholder:"TIME" help:"For how long: 4h, 7d."`
	whyFlags
}

// Run asks for it.
func (a *allowAddCmd) Run(ctx context.Context, c *common) error {
	until, err := untilAfter(a.For)
	if err != nil {
		return err
	}
	x := actCmd{Entity: a.Entity, whyFlags: a.whyFlags}
	return x.run(ctx, c, api.ActIn{Act: "allow", Item: a.Detector, Until: until})
}

type allowEndCmd struct {
	Entity   string `arg:"" help:"kind:id, or the id of an account or an address alone."`
	Detector string `arg:"" help:"The detector."`
	whyFlags
}

// Run asks for it.
func (a *allowEndCmd) Run(ctx context.Context, c *common) error {
	x := actCmd{Entity: a.Entity, whyFlags: a.whyFlags}
	return x.run(ctx, c, api.ActIn{Act: "disallow", Item: a.Detector})
}
