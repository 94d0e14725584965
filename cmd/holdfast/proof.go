package main

import (
	"context"
	"fmt"

	"holdfast/cmd/internal/app"
)

type proofCmd struct {
	Key proofKeyCmd `cmd:"" help:"Print the public key that checkpoints and certificates are verified with; make the pair where there is none."`
}

type proofKeyCmd struct {
	JSON bool `help:"As JSON."`
}

// Run prints the key.
func (k *proofKeyCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	keys, err := app.ProofKeys(&cfg, "")
	if err != nil {
		// The name of a new pair is the installation's id, which the log knows.
		cfg, client, cerr := c.cluster()
		if cerr != nil {
			return err
		}
		defer client.Close()
		in, cerr := app.ReadInstallation(ctx, client, &cfg)
		if cerr != nil {
			return cerr
		}
		if keys, err = app.ProofKeys(&cfg, in.ID); err != nil {
			return err
		}
	}
	if k.JSON {
		return printJSON(map[string]string{"origin": keys.Verifier.Name(), "key": keys.Public})
	}
	_, err = fmt.Println(keys.Public)
	return err
}
