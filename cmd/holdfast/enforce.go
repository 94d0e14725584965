package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/alerting/api"
	"holdfast/alerting/enforce"
	"holdfast/schemas"
)

type enforceCmd struct {
	List  enforceListCmd  `cmd:"" help:"List what receivers have not confirmed yet: since when, attempts, last error, next try."`
	Retry enforceRetryCmd `cmd:"" help:"Tell receivers now, including what was held or refused."`
}

type enforceListCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists what receivers have yet to confirm; the audit store is not needed.
func (l *enforceListCmd) Run(ctx context.Context, c *common) error {
	all, err := pages[api.Receipt](ctx, c, "/v1/receivers", nil, 0)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(all)
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

type enforceRetryCmd struct {
	Entity string `arg:"" optional:"" help:"kind:id, or the id of an account or an address alone."`
	All    bool   `help:"Everything that is not confirmed, except what is held."`
	Why    string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON   bool   `help:"As JSON."`
}

// Run asks enforcement, in whichever process it runs, and waits a little for the outcome.
func (r *enforceRetryCmd) Run(ctx context.Context, c *common) error {
	if (r.Entity == "") != r.All {
		return fmt.Errorf("name one entity, or give --all")
	}
	var only schemas.Entity
	in := api.RetryIn{Why: r.Why}
	if r.Entity != "" {
		var err error
		if only, err = c.entity(r.Entity); err != nil {
			return err
		}
		in.Entity = only.Key()
	}
	cl, err := c.api()
	if err != nil {
		return err
	}
	var out struct {
		Asked int `json:"asked"`
	}
	if _, err := cl.do(ctx, http.MethodPost, "/v1/receivers/retry", nil, in, &out); err != nil {
		return err
	}
	switch {
	case r.JSON:
		return printJSON(out)
	case r.All:
		_, err = fmt.Printf("%s told again now: see holdfast enforce list\n", count(out.Asked, "entity is", "entities are"))
		return err
	}
	fmt.Printf("%s is told again now\n", clean(only.Key()))
	return cl.tellEnforced(ctx, only)
}
