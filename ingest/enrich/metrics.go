package enrich

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics has one series for each kind, never one for each file.
type metrics struct {
	loaded  *prometheus.GaugeVec
	failing *prometheus.GaugeVec
	entries *prometheus.GaugeVec
	loads   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	gauge := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "enrichment", Name: name, Help: help}, []string{"kind"})
	}
	return &metrics{
		loaded:  gauge("loaded", "Files in force; 0: addresses are not looked up in this kind."),
		failing: gauge("failing", "Files that cannot be used as they are now; the last usable one stays in force."),
		entries: gauge("entries", "Ranges, or nodes of a database's tree, in force."),
		loads: f.NewCounterVec(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "enrichment", Name: "loads_total",
			Help: "Loads of new or changed files, by result."}, []string{"kind", "result"}),
	}
}
