package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/enrich"
	"holdfast/schemas"
)

// OpenEnrichment reads the files that cfg names. The Enricher works even where err
// reports files that it had to leave out.
func OpenEnrichment(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) (*enrich.Enricher, error) {
	c := cfg.Enrichment
	nat64, err := schemas.ParseNAT64(c.NAT64Prefixes)
	if err != nil {
		err = fmt.Errorf("enrichment.nat64_prefixes: %w", err)
	}
	e, missing := enrich.New(enrich.Config{Hosting: c.HostingFiles, VPN: c.VPNFiles, City: c.CityFile, ASN: c.ASNFile, ReloadEvery: c.ReloadEvery, NAT64: nat64},
		enrich.Deps{Logger: log, Metrics: reg})
	return e, errors.Join(err, missing)
}

// startEnrichment says what intake cannot tell, and keeps the files fresh. A file that
// is broken when a process starts is no reason to take no events: protection goes on
// without it, and it is tried again when it changes.
func (a *App) startEnrichment(ctx context.Context, g *errgroup.Group) *enrich.Enricher {
	e, _ := OpenEnrichment(&a.cfg, a.log, a.reg) // each file's error was logged
	for _, missed := range e.Lacking() {
		a.log.Info("detection works without some enrichment", "lacks", missed)
	}
	g.Go(func() error { return e.Run(ctx) })
	return e
}
