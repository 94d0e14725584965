package kumomta

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count what a Reconciler does. A nil *Metrics counts nothing.
type Metrics struct {
	acts     *prometheus.CounterVec
	failures prometheus.Counter
	wanted   prometheus.Gauge
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		acts: f.NewCounterVec(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "edge", Name: "kumomta_acts_total",
			Help: "Suspensions set or renewed at the KumoMTA node, and lifted."}, []string{"act"}),
		failures: f.NewCounter(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "edge", Name: "kumomta_failures_total",
			Help: "Failed attempts at reconciling the KumoMTA node."}),
		wanted: f.NewGauge(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "edge", Name: "kumomta_suspended",
			Help: "Tenants that the KumoMTA node held suspended when it was last reconciled."}),
	}
	m.acts.WithLabelValues("suspend")
	m.acts.WithLabelValues("lift")
	return m
}

func (m *Metrics) did(act string) {
	if m != nil {
		m.acts.WithLabelValues(act).Inc()
	}
}

func (m *Metrics) failed() {
	if m != nil {
		m.failures.Inc()
	}
}

func (m *Metrics) reconciled(n int) {
	if m != nil {
		m.wanted.Set(float64(n))
	}
}
