package enrich

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"holdfast/schemas"
)

// Enricher looks addresses up. Of is safe for use by any number of goroutines, also
// while Run reads files again.
type Enricher struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	hosting []*source[ranges]
	vpn     []*source[ranges]
	city    []*source[database] // one or none
	asn     []*source[database] // one or none
	all     []watched
}

// New reads every file. It always returns an Enricher that works; the error joins what
// is wrong with the files that it had to leave out, which Run tries again.
func New(cfg Config, deps Deps) (*Enricher, error) {
	if cfg.ReloadEvery <= 0 {
		cfg.ReloadEvery = 30 * time.Second
	}
	e := &Enricher{cfg: cfg, log: deps.Logger, metrics: newMetrics(deps.Metrics)}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.hosting = add(e, KindHosting, parseRanges, cfg.Hosting...)
	e.vpn = add(e, KindVPN, parseRanges, cfg.VPN...)
	e.city = add(e, KindCity, openCity, cfg.City)
	e.asn = add(e, KindASN, openASN, cfg.ASN)
	var errs []error
	for _, w := range e.all {
		errs = append(errs, e.took(w, w.read()))
	}
	e.count()
	return e, errors.Join(errs...)
}

// add makes the sources of one kind; an empty path is none.
func add[T any](e *Enricher, k Kind, parse func(path string, data []byte) (*T, int, error), paths ...string) []*source[T] {
	var out []*source[T]
	for _, p := range paths {
		if p != "" {
			s := &source[T]{of: k, path: p, parse: parse}
			out, e.all = append(out, s), append(e.all, s)
		}
	}
	return out
}

// Lookup is Of, or nil where there is nothing to look anything up in.
func (e *Enricher) Lookup() func(netip.Addr) schemas.Network {
	if e == nil || len(e.all) == 0 && len(e.cfg.NAT64) == 0 {
		return nil
	}
	return e.Of
}

// Of tells what is known of an address.
func (e *Enricher) Of(a netip.Addr) (n schemas.Network) {
	if e == nil || !a.IsValid() {
		return n
	}
	four, translated := e.cfg.NAT64.Within(a)
	if len(e.all) == 0 && !translated {
		return n
	}
	a = schemas.NormalIP(a)
	if translated {
		a = four
	}
	for _, s := range e.city {
		if db := s.now.Load(); db != nil {
			n = db.lookUp(a)
		}
	}
	for _, s := range e.asn {
		if db := s.now.Load(); db != nil {
			n.ASN = db.lookUp(a).ASN
		}
	}
	n.Hosting, n.VPN = within(e.hosting, a, n.ASN), within(e.vpn, a, n.ASN)
	if translated {
		n.IPv4 = four.String()
	}
	return n
}

func within(lists []*source[ranges], a netip.Addr, asn uint32) bool {
	for _, s := range lists {
		if r := s.now.Load(); r != nil && r.has(a, asn) {
			return true
		}
	}
	return false
}

// Run looks at the files until ctx ends, which is no error.
func (e *Enricher) Run(ctx context.Context) error {
	t := time.NewTicker(e.cfg.ReloadEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			e.look()
		}
	}
}

// look reads the files that were changed.
func (e *Enricher) look() {
	for _, w := range e.all {
		if w.changed() {
			_ = e.took(w, w.read()) // told to the log
		}
	}
	e.count()
}

// took tells how reading a file went.
func (e *Enricher) took(w watched, err error) error {
	k := string(w.kind())
	switch {
	case err == nil:
		e.metrics.loads.WithLabelValues(k, "ok").Inc()
		e.log.Info("an enrichment file is in force", "kind", k, "file", w.name(), "entries", w.entries())
	case w.loaded():
		e.metrics.loads.WithLabelValues(k, "failed").Inc()
		e.log.Error("an enrichment file was changed and cannot be used; what was read before stays in force", "kind", k, "file", w.name(), "error", err)
	default:
		e.metrics.loads.WithLabelValues(k, "failed").Inc()
		e.log.Error("an enrichment file cannot be used; it is tried again when it changes", "kind", k, "file", w.name(), "error", err)
	}
	if err != nil {
		return fmt.Errorf("enrichment: %s: %w", k, err)
	}
	return nil
}

// count brings the gauges up to date.
func (e *Enricher) count() {
	for _, k := range Kinds() {
		var loaded, failing, entries int
		for _, w := range e.all {
			if w.kind() != k {
				continue
			}
			if w.loaded() {
				loaded++
			}
			if w.failed() {
				failing++
			}
			entries += w.entries()
		}
		e.metrics.loaded.WithLabelValues(string(k)).Set(float64(loaded))
		e.metrics.failing.WithLabelValues(string(k)).Set(float64(failing))
		e.metrics.entries.WithLabelValues(string(k)).Set(float64(entries))
	}
}

// Lacking says, one sentence for each kind that has no file in force, what is missed.
func (e *Enricher) Lacking() []string {
	var out []string
	for _, k := range Kinds() {
		if !slices.ContainsFunc(e.all, func(w watched) bool { return w.kind() == k && w.loaded() }) {
			out = append(out, fmt.Sprintf("no %s file: %s", k, lack[k]))
		}
	}
	if len(e.asn) == 0 && slices.ContainsFunc(slices.Concat(e.hosting, e.vpn), func(s *source[ranges]) bool { r := s.now.Load(); return r != nil && len(r.systems) > 0 }) {
		out = append(out, "lists name autonomous systems, which only an asn file can look up")
	}
	return out
}
