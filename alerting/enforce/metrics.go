package enforce

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// Metrics counts what enforcement did. Its labels are closed lists and the names
// of configured policies and channels, never an account or an address. Make one
// for a process and hand it to each Enforcer; a nil *Metrics counts nothing.
type Metrics struct {
	decisions *prometheus.CounterVec
	actions   *prometheus.CounterVec
	notices   *prometheus.CounterVec
	retries   *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	pending   prometheus.Gauge
}

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_enforce_decisions_total", Help: "Decisions read."}, []string{"policy", "verdict", "mode"}),
		actions:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_enforce_actions_total", Help: "Actions by their outcome."}, []string{"channel", "outcome"}),
		notices:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_enforce_notices_total", Help: "Notices by their outcome."}, []string{"channel", "audience", "outcome"}),
		retries:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_enforce_retries_total", Help: "Attempts that failed and were tried again."}, []string{"channel"}),
		seconds:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "holdfast_enforce_call_seconds", Help: "How long one attempt took.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 12)}, []string{"channel"}),
		pending:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "holdfast_enforce_pending", Help: "Decisions fetched and not yet carried out."}),
	}
	reg.MustRegister(m.decisions, m.actions, m.notices, m.retries, m.seconds, m.pending)
	return m
}

func (m *Metrics) decision(r *decision.Record) {
	if m != nil {
		m.decisions.WithLabelValues(r.Policy, string(r.Verdict), string(r.Mode)).Inc()
	}
}

func (m *Metrics) action(a schemas.Action) {
	if m != nil {
		m.actions.WithLabelValues(a.Channel, a.Outcome).Inc()
	}
}

func (m *Metrics) notice(n schemas.Notice) {
	if m != nil {
		m.notices.WithLabelValues(n.Channel, n.Audience, n.Outcome).Inc()
	}
}

func (m *Metrics) retry(channel string) {
	if m != nil {
		m.retries.WithLabelValues(channel).Inc()
	}
}

func (m *Metrics) call(channel string, d time.Duration) {
	if m != nil {
		m.seconds.WithLabelValues(channel).Observe(d.Seconds())
	}
}

func (m *Metrics) wait(n int) {
	if m != nil {
		m.pending.Set(float64(n))
	}
}
