package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

// why are the flags of every command that changes something. Who acts is known from the
// token.
type whyFlags struct {
	Why    string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	DryRun bool   `help:"Only say what it would do."`
	JSON   bool   `help:"As JSON."`
}

type actCmd struct {
	Entity string `arg:"" help:"kind:id, or the id of an account or an address alone."`
	whyFlags
}

// stops are the acts that receivers carry out.
var stops = map[string]bool{"suspend": true, "block": true, "throttle": true, "revoke": true, "release": true}

// run asks for an act on an entity. What changes at the platform is not done before the
// platform has confirmed it: it says so.
func (a *actCmd) run(ctx context.Context, c *common, in api.ActIn) error {
	e, err := c.entity(a.Entity)
	if err != nil {
		return err
	}
	cl, err := c.api()
	if err != nil {
		return err
	}
	in.Why, in.DryRun = a.Why, a.DryRun
	out, err := cl.act(ctx, e, in, "")
	if err == nil {
		err = printAct(out, a.JSON)
	}
	if stops[in.Act] && !a.JSON && !a.DryRun && !out.Awaits {
		err = errors.Join(err, cl.tellEnforced(ctx, e))
	}
	return err
}

// Run asks for what the command's own name says.
func (a *actCmd) Run(ctx context.Context, k *kong.Context, c *common) error {
	return a.run(ctx, c, api.ActIn{Act: k.Selected().Name})
}

// suspendCmd suspends by hand.
type suspendCmd struct {
	actCmd
	For   string `placeholder:"TIME" help:"For how long: 4h, 7d (default: until it is released)."`
	Force bool   `help:"Suspend even if nothing is recorded about the name."`
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
	until, err := untilAfter(s.For)
	if err != nil {
		return err
	}
	err = s.run(ctx, c, api.ActIn{Act: "suspend", Force: s.Force, Until: until})
	if err != nil && strings.Contains(err.Error(), "use force if it is") {
		return fmt.Errorf("nothing is recorded about %s, no event and no decision: look whether the name is right, and add --force if it is", clean(e.Key()))
	}
	return err
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
	err = b.run(ctx, c, api.ActIn{Act: "block", Force: b.Force})
	if err == nil {
		return nil
	}
	if text, ok := strings.CutSuffix(err.Error(), "use force"); ok {
		return errors.New(text + "add --force")
	}
	return err
}

// untilAfter is the end of a length of time from now on; empty is none.
func untilAfter(length string) (time.Time, error) {
	if length == "" {
		return time.Time{}, nil
	}
	d, err := config.ParseDuration(length)
	if err != nil {
		return time.Time{}, fmt.Errorf("--for: %w: write 4h or 7d", err)
	}
	return time.Now().UTC().Add(d).Truncate(time.Second), nil
}

// throttleCmd limits by hand.
type throttleCmd struct {
	actCmd
	For string `placeholder:"TIME" help:"For how long: 4h, 7d (default: until it is released)."`
}

// Run throttles.
func (t *throttleCmd) Run(ctx context.Context, c *common) error {
	until, err := untilAfter(t.For)
	if err != nil {
		return err
	}
	return t.run(ctx, c, api.ActIn{Act: "throttle", Until: until})
}

type revokeCmd struct {
	Entity     string `arg:"" help:"The account."`
	Credential string `arg:"" help:"The credential that is taken away."`
	whyFlags
}

// Run revokes one credential.
func (r *revokeCmd) Run(ctx context.Context, c *common) error {
	a := actCmd{Entity: r.Entity, whyFlags: r.whyFlags}
	return a.run(ctx, c, api.ActIn{Act: "revoke", Item: r.Credential})
}

// confirmFor is how long a command waits for the platform's confirmation before it says
// that there is none yet.
const confirmFor = 3 * time.Second

// tellEnforced prints how far an entity's status is carried out, after a short wait for
// what is on its way.
func (c *client) tellEnforced(ctx context.Context, e schemas.Entity) error {
	end := time.Now().Add(confirmFor)
	for {
		var v api.EntityView
		if _, err := c.do(ctx, http.MethodGet, entityPath(e), nil, nil, &v); err != nil || !v.Decided {
			return err
		}
		if p := progress(v.CarriedOut); p.settled() || time.Now().After(end) {
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

type brakeCmd struct {
	Show  brakeShowCmd  `cmd:"" help:"How the brake on automatic stops stands."`
	Reset brakeResetCmd `cmd:"" aliases:"release" help:"Let policies stop by themselves again, after having looked."`
}

type brakeShowCmd struct {
	JSON bool `help:"As JSON."`
}

// Run shows the brake.
func (b *brakeShowCmd) Run(ctx context.Context, c *common) error {
	x, err := ask[api.Brake](ctx, c, "/v1/brake", nil)
	if err != nil {
		return err
	}
	if b.JSON {
		return printJSON(x)
	}
	switch {
	case x.Off:
		fmt.Println("the brake is off (respond.brake: false): policies stop as many as they decide to")
	case !x.Known:
		fmt.Println("not known: another process has the gate; its metric holdfast_gate_tripped tells")
	case x.Tripped:
		fmt.Printf("the brake is on: no policy stops anybody by itself; %s within the hour before it\n", count(x.Stops, "automatic stop", "automatic stops"))
	default:
		fmt.Printf("the brake is released: %s within the hour\n", count(x.Stops, "automatic stop", "automatic stops"))
	}
	return nil
}

type brakeResetCmd struct {
	Why  string `required:"" placeholder:"TEXT" help:"The reason, kept for auditors."`
	JSON bool   `help:"As JSON."`
}

// Run asks the gate.
func (b *brakeResetCmd) Run(ctx context.Context, c *common) error {
	cl, err := c.api()
	if err != nil {
		return err
	}
	var out api.ActOut
	_, err = cl.do(ctx, http.MethodPost, "/v1/brake/release", nil, map[string]string{"why": b.Why}, &out, "Idempotency-Key", newKey())
	if err != nil {
		return refusal("releasing", "the brake", err)
	}
	return printAct(out, b.JSON)
}
