package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/setup"
)

type runCmd struct {
	Roles  []app.Role `help:"Only these roles: intake, detect, respond, record, serve." sep:","`
	NewLog bool       `help:"The topics were created anew: record them from the beginning under a new log id."`
}

// Run runs until it is told to stop.
func (r *runCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.checked(app.CheckOptions{Roles: r.Roles, Starting: true})
	if err != nil {
		return err
	}
	a, err := app.New(cfg, app.Options{Roles: r.Roles, NewLog: r.NewLog}, logger(cfg.Observability.Log))
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-a.Ready():
			if link := a.FirstLink(); link != "" {
				fmt.Printf("Nobody may sign in yet. Set the password of the first admin here, once, within a day:\n  %s\n", link)
			}
		}
	}()
	return a.Run(ctx)
}

type setupCmd struct{}

// Run fetches the library.
func (setupCmd) Run(ctx context.Context) error {
	path, err := setup.Setup(ctx, setup.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	_, err = fmt.Println(path)
	return err
}

type topicsCmd struct {
	Create topicsCreateCmd `cmd:"" help:"Create the topics that are missing."`
	Check  topicsCheckCmd  `cmd:"" help:"Report topics that are missing or differ from what Holdfast needs."`
}

type topicsCreateCmd struct{}

// Run creates the topics and the installation.
func (topicsCreateCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := app.CreateTopics(ctx, client, &cfg); err != nil {
		return err
	}
	in, err := app.EnsureInstallation(ctx, client, &cfg)
	if err != nil {
		return err
	}
	if err := app.EnsureVersions(ctx, client, &cfg); err != nil {
		return err
	}
	_, err = fmt.Printf("topics %s* are there, with %d lanes\n", cfg.Kafka.Prefix, in.Lanes)
	return err
}

type topicsCheckCmd struct {
	JSON bool `help:"As JSON."`
}

// Run prints what differs.
func (t *topicsCheckCmd) Run(ctx context.Context, c *common) error {
	cfg, client, err := c.cluster()
	if err != nil {
		return err
	}
	defer client.Close()
	diffs, err := app.CheckTopics(ctx, client, &cfg)
	if err != nil {
		return err
	}
	if t.JSON {
		if err := printJSON(append([]app.Difference{}, diffs...)); err != nil {
			return err
		}
	} else {
		for _, d := range diffs {
			fmt.Println(d)
		}
	}
	if len(diffs) > 0 {
		return fmt.Errorf("%d things differ", len(diffs))
	}
	if !t.JSON {
		fmt.Println("all topics are as they must be")
	}
	return nil
}

type migrateCmd struct{}

// Run migrates.
func (migrateCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.running()
	if err != nil {
		return err
	}
	n, err := app.Migrate(ctx, &cfg, quiet())
	if err != nil {
		return err
	}
	_, err = fmt.Printf("the audit store is up to date: %d steps applied\n", n)
	return err
}

type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Print every setting in force, secrets hidden."`
	Check configCheckCmd `cmd:"" help:"Check the configuration; report every mistake."`
}

type configPrintCmd struct {
	File string `arg:"" optional:"" help:"The configuration (default: that of --config)."`
	JSON bool   `help:"As JSON."`
}

// Run prints the configuration.
func (p *configPrintCmd) Run(c *common) error {
	cfg, _, err := c.of(p.File).places()
	if err != nil {
		return err
	}
	if p.JSON {
		v, err := cfg.Values()
		if err != nil {
			return err
		}
		return printJSON(v)
	}
	b, err := cfg.Print()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(b)
	return err
}

type configCheckCmd struct {
	File string `arg:"" optional:"" help:"The configuration (default: that of --config)."`
}

// Run checks the configuration and every file that it names, as run does at start.
func (p *configCheckCmd) Run(c *common) error {
	cfg, err := c.of(p.File).checked(app.CheckOptions{})
	if err != nil {
		return err
	}
	networks, err := app.OpenEnrichment(&cfg, nil, nil)
	if err != nil {
		return err
	}
	for _, missed := range networks.Lacking() {
		fmt.Println("enrichment:", missed)
	}
	_, err = fmt.Println("configuration OK")
	return err
}

// checked loads the configuration and prints every mistake in it, each on a line.
func (c *common) checked(o app.CheckOptions) (config.Config, error) {
	cfg, places, err := c.places()
	wrong := app.Check(&cfg, places, err, o)
	if len(wrong) == 0 {
		return cfg, nil
	}
	for _, w := range wrong {
		fmt.Fprintln(os.Stderr, w)
	}
	return cfg, errors.New(count(len(wrong), "mistake", "mistakes") + " in the configuration")
}
