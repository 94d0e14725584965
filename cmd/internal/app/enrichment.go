package app

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/enrich"
)

// OpenEnrichment reads the files that cfg names. The Enricher works even where err
// reports files that it had to leave out.
func OpenEnrichment(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) (*enrich.Enricher, error) {
	c := cfg.Enrichment
	return enrich.New(enrich.Config{Hosting: c.HostingFiles, VPN: c.VPNFiles, City: c.CityFile, ASN: c.ASNFile, ReloadEvery: c.ReloadEvery},
		enrich.Deps{Logger: log, Metrics: reg})
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
