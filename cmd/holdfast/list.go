package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/schemas"
)

type listCmd struct {
	Verdict []string `placeholder:"VERDICT" enum:"review,throttle,suspend,block,revoke" help:"Only these: review, throttle, suspend, block, revoke; separated by commas."`
	JSON    bool     `help:"As JSON."`
}

// row is one entity that is not active.
type row struct {
	schemas.Status
	CarriedOut progress `json:"carried_out"`
}

// Run reads the topics status and enforced; the audit store is not needed.
func (l *listCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	statuses, err := app.ReadStatuses(ctx, client, &cfg)
	if err != nil {
		return err
	}
	enforced, err := app.ReadAllEnforced(ctx, client, &cfg)
	if err != nil {
		return err
	}
	rows := []row{}
	for key, st := range statuses {
		if st.Status != "active" && (len(l.Verdict) == 0 || slices.Contains(l.Verdict, string(st.Verdict))) {
			rows = append(rows, row{st, progressOf(st, enforced[key])})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(b.Verdict.Rank()-a.Verdict.Rank(), b.Since.Compare(a.Since), cmp.Compare(a.Entity.Key(), b.Entity.Key()))
	})
	if l.JSON {
		return printJSON(rows)
	}
	if len(rows) == 0 {
		_, err = fmt.Println("nothing is stopped, throttled or to be reviewed" + of(l.Verdict))
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTITY\tSTATUS\tSINCE\tCARRIED OUT\tBY\tREASON")
	for _, r := range rows {
		by := r.By
		if by == "" {
			by = "policy"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", clean(r.Entity.Key()), clean(r.Status.Status), r.Since.UTC().Format(time.RFC3339), r.CarriedOut.word(), clean(by), clean(r.Reason))
	}
	return w.Flush()
}

func of(verdicts []string) string {
	if len(verdicts) == 0 {
		return ""
	}
	return " by verdict " + strings.Join(verdicts, ", ")
}

// word is the progress in a word or two: that of the receiver that is least far.
func (p progress) word() string {
	worst := "yes"
	for _, r := range p {
		switch {
		case r.State == stateNone || r.State == stateNotTold:
			return "-"
		case r.State != stateConfirmed:
			worst = r.State
		}
	}
	return worst
}
