package proof

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	rows, batches, checkpoints *prometheus.CounterVec
	failures                   *prometheus.CounterVec
	leaves, signed, behind     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		rows:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_proof_rows_total", Help: "Rows that the log of proof has committed to, by journal."}, []string{"journal"}),
		batches:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_proof_batches_total", Help: "Batches that the log of proof has taken, by journal."}, []string{"journal"}),
		checkpoints: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_proof_checkpoints_total", Help: "Checkpoints that a target has taken, by target."}, []string{"target"}),
		failures:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_proof_failures_total", Help: "Checkpoints that a target has not taken, and rounds of the prover that failed (target prover)."}, []string{"target"}),
		leaves:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "holdfast_proof_leaves", Help: "Leaves of the log of proof."}),
		signed:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "holdfast_proof_signed_timestamp_seconds", Help: "When the newest checkpoint was signed, Unix time."}),
		behind:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "holdfast_proof_lag_records", Help: "Records of the journals that the log of proof does not cover yet, as of the last round."}),
	}
	if reg != nil {
		reg.MustRegister(m.rows, m.batches, m.checkpoints, m.failures, m.leaves, m.signed, m.behind)
	}
	return m
}
