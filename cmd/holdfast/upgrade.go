package main

import (
	"cmp"
	"context"
	"fmt"

	"holdfast/cmd/internal/app"
)

type upgradeCmd struct {
	Status upgradeStatusCmd `cmd:"" help:"Show the installation's feature level, and which processes could work at the newest."`
	Finish upgradeFinishCmd `cmd:"" help:"Let processes write what only this version reads, once no older one runs. There is no way back."`
}

type upgradeStatusCmd struct {
	JSON bool `help:"As JSON."`
}

// Run prints how far the upgrade has come.
func (u *upgradeStatusCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	up, err := app.ReadUpgrade(ctx, client, &cfg)
	if err != nil {
		return err
	}
	if u.JSON {
		return printJSON(up)
	}
	fmt.Printf("feature level %d, this version knows %d\n", up.Level, up.Newest)
	for _, m := range up.Members {
		fmt.Printf("%-8s %s at %s reads level %d\n", m.Role, m.ID, m.Host, m.Level)
	}
	for _, change := range up.Changes {
		fmt.Println("still to come, by `holdfast upgrade finish`:", change)
	}
	return nil
}

type upgradeFinishCmd struct {
	Why    string `help:"Why, for the audit trail." default:"the upgrade is finished"`
	Actor  string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	DryRun bool   `help:"Show what would change, and change nothing."`
}

// Run raises the installation's level.
func (u *upgradeFinishCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	if u.DryRun {
		return (&upgradeStatusCmd{}).Run(ctx, c)
	}
	up, err := app.FinishUpgrade(ctx, client, &cfg, cmp.Or(u.Actor, app.Actor()), u.Why)
	if err != nil {
		return err
	}
	if up.Level == up.Newest {
		fmt.Printf("the installation is at feature level %d already\n", up.Level)
		return nil
	}
	for _, change := range up.Changes {
		fmt.Println(change)
	}
	fmt.Printf("the installation's feature level was %d and is %d now\n", up.Level, up.Newest)
	return nil
}
