package record

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/ingest/kafka"
)

// metrics count what the recorder does. Their labels are journals, partitions
// and words of this package, never anything a record says.
type metrics struct {
	lag       *prometheus.GaugeVec
	rows      *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	inserts   *prometheus.CounterVec
	retries   *prometheus.CounterVec
	skipped   *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	gaps      *prometheus.CounterVec
	swallowed *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	duration  *prometheus.HistogramVec
	memory    prometheus.Gauge
	checks    prometheus.Counter
	checkTime prometheus.Gauge
	checked   *prometheus.CounterVec
	missing   *prometheus.CounterVec
	again     *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "record", Name: name, Help: help}, append([]string{"journal"}, labels...))
	}
	m := &metrics{
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "record", Name: "lag_records",
			Help: "Records of a partition that are not in the audit store yet."}, []string{"journal", "partition"}),
		rows:      counter("rows_total", "Rows stored."),
		bytes:     counter("bytes_total", "Bytes of the inserts stored, before compression."),
		inserts:   counter("inserts_total", "Inserts stored."),
		retries:   counter("retries_total", "Inserts sent again: the outcome was unknown, or the store refused them.", "cause"),
		skipped:   counter("skipped_total", "Records that give no row: fences, and events that their lane rejects.", "cause"),
		rejected:  counter("rejected_total", "Records that the store cannot hold, written to the rejected topic."),
		gaps:      counter("gaps_total", "Stretches of a log that were deleted before they were recorded."),
		swallowed: counter("swallowed_total", "Inserts whose token the store knew without having the rows, stored under another."),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "holdfast", Subsystem: "record", Name: "latency_seconds",
			Help:    "From the arrival of the oldest record of an insert until it is stored.",
			Buckets: []float64{.1, .25, .5, 1, 2, 3, 5, 10, 20, 60, 300, 1800, 7200}}, []string{"journal"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "holdfast", Subsystem: "record", Name: "insert_seconds",
			Help:    "From sending an insert until its outcome is known, retries included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600}}, []string{"journal"}),
		memory: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "record", Name: "held_bytes",
			Help: "Bytes of rows that wait or are being inserted."}),
		checks: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "record", Name: "checks_total",
			Help: "Comparisons of the audit store with the log that were completed."}),
		checkTime: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "record", Name: "check_timestamp_seconds",
			Help: "When the audit store was last compared with the log."}),
		checked: counter("checked_records_total", "Offsets of the log that were compared with the audit store, once a comparison."),
		missing: counter("missing_rows_total", "Rows that the audit store had acknowledged and was found to lack."),
		again:   counter("recorded_again_total", "Missing rows that were recorded again from the log."),
	}
	if r != nil {
		r.MustRegister(m.lag, m.rows, m.bytes, m.inserts, m.retries, m.skipped, m.rejected, m.gaps, m.swallowed, m.latency, m.duration, m.memory, m.checks, m.checkTime, m.checked, m.missing, m.again)
	}
	return m
}

// setLag tells what the store lacks of a partition.
func (m *metrics) setLag(s *stream) {
	if s.high >= 0 {
		m.lag.WithLabelValues(string(s.place.topic), strconv.Itoa(int(s.tp.Partition))).Set(float64(max(s.high-s.stored, 0)))
	}
}

// forget drops the partitions that somebody else records now.
func (m *metrics) forget(streams map[kafka.TopicPartition]*stream) {
	for _, s := range streams {
		m.lag.DeleteLabelValues(string(s.place.topic), strconv.Itoa(int(s.tp.Partition)))
	}
}
