package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/app"
)

type listCmd struct {
	Verdict []string `placeholder:"VERDICT" enum:"review,throttle,suspend,block,revoke" help:"Only these: review, throttle, suspend, block, revoke; separated by commas."`
	JSON    bool     `help:"As JSON."`
}

// Run lists who is not active; the audit store is not needed.
func (l *listCmd) Run(ctx context.Context, c *common) error {
	query := url.Values{"limit": {"1000"}}
	if len(l.Verdict) > 0 {
		query.Set("verdict", strings.Join(l.Verdict, ","))
	}
	rows, err := pages[api.StandingLine](ctx, c, "/v1/entities", query, 0)
	if err != nil {
		return err
	}
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", clean(r.Entity.Key()), clean(r.Status.Status), r.Since.UTC().Format(time.RFC3339), progress(r.CarriedOut).word(), clean(by), clean(r.Reason))
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
		case r.State == app.StateNone || r.State == app.StateNotTold || r.State == app.StateOthers:
			return "-"
		case r.State != app.StateConfirmed:
			worst = r.State
		}
	}
	return worst
}
