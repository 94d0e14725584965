package main

import (
	"context"

	"holdfast/cmd/internal/app"
)

type edgeCmd struct{}

// Help says more than one line.
func (edgeCmd) Help() string {
	return `The edge answers mail servers and proxies from its own copy of the status topic, on disk
and in memory. It goes on answering when Kafka, ClickHouse and every other process of
Holdfast are gone, and says how old its knowledge is.

Set where it listens under "edge" in the configuration: edge.http.listen,
edge.postfix.listen (Postfix policy delegation), edge.line.listen (one line, as Exim's
readsocket). deploy/docs/edge.md has a tested example for each mail server.`
}

// Run answers until it is told to stop.
func (edgeCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	e, err := app.NewEdge(cfg, logger(cfg.Observability.Log))
	if err != nil {
		return err
	}
	return e.Run(ctx)
}
