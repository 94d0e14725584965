package enforce

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

// Metrics counts what enforcement did. Its labels are closed lists and the names
// of configured policies, receivers and channels, never an account or an address. Make one
// for a process and hand it to each Enforcer and Sender; a nil *Metrics counts nothing.
type Metrics struct {
	decisions  *prometheus.CounterVec
	actions    *prometheus.CounterVec
	notices    *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	reconciles *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	pending    *prometheus.GaugeVec
	refused    *prometheus.GaugeVec
	oldest     *prometheus.GaugeVec
}

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		decisions:  counter("holdfast_enforce_decisions_total", "Decisions read.", "policy", "verdict", "mode"),
		actions:    counter("holdfast_enforce_actions_total", "Outcomes of changes at receivers, by receiver.", "channel", "outcome"),
		notices:    counter("holdfast_enforce_notices_total", "Notices by their outcome.", "channel", "audience", "outcome"),
		attempts:   counter("holdfast_enforce_attempts_total", "Attempts at changes and notices, by receiver or channel, and by outcome (confirmed, failed, refused).", "channel", "outcome"),
		reconciles: counter("holdfast_enforce_reconciles_total", "Statuses compared with the receiver's, by result (same, told, differs, failed).", "channel", "result"),
		seconds:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "holdfast_enforce_call_seconds", Help: "How long one attempt took.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 12)}, []string{"channel"}),
		pending:    gauge("holdfast_enforce_pending", "Entities whose status a receiver has yet to confirm, and notices under way, by receiver or channel.", "channel"),
		refused:    gauge("holdfast_enforce_refused", "Of the pending ones, those that the receiver refuses as they are.", "channel"),
		oldest:     gauge("holdfast_enforce_oldest_undelivered_seconds", "Age of the oldest change that the receiver has yet to confirm; 0 where there is none.", "channel"),
	}
	reg.MustRegister(m.decisions, m.actions, m.notices, m.attempts, m.reconciles, m.seconds, m.pending, m.refused, m.oldest)
	return m
}

func (m *Metrics) decision(r *decision.Record) {
	if m != nil {
		m.decisions.WithLabelValues(r.Policy, string(r.Verdict), string(r.Mode)).Inc()
	}
}

func (m *Metrics) action(a schemas.Action) {
	if m != nil {
		m.actions.WithLabelValues(a.Target, a.Outcome).Inc()
	}
}

func (m *Metrics) notice(n schemas.Notice) {
	if m != nil {
		m.notices.WithLabelValues(n.Channel, n.Audience, n.Outcome).Inc()
	}
}

func (m *Metrics) attempt(channel, outcome string) {
	if m != nil {
		m.attempts.WithLabelValues(channel, outcome).Inc()
	}
}

func (m *Metrics) reconcile(channel, result string) {
	if m != nil {
		m.reconciles.WithLabelValues(channel, result).Inc()
	}
}

func (m *Metrics) call(channel string, d time.Duration) {
	if m != nil {
		m.seconds.WithLabelValues(channel).Observe(d.Seconds())
	}
}

func (m *Metrics) summary(s Summary) {
	if m != nil {
		m.pending.WithLabelValues(s.Receiver).Set(float64(s.Undelivered))
		m.refused.WithLabelValues(s.Receiver).Set(float64(s.Refused))
		m.oldest.WithLabelValues(s.Receiver).Set(s.Oldest.Seconds())
	}
}

func (m *Metrics) wait(channel string, n int) {
	if m != nil {
		m.pending.WithLabelValues(channel).Set(float64(n))
	}
}
