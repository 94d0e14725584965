package intake

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"holdfast/schemas"
)

// Metrics counts what comes in. One serves all parts of intake; label values
// come from the configuration and from closed lists only.
type Metrics struct {
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
	ignored  *prometheus.CounterVec
	batches  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	seconds  prometheus.Histogram
	buffered prometheus.Gauge
	ages     *ages
}

// NewMetrics registers the metrics; with a nil registerer they are counted and
// shown nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "intake", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		ages:     &ages{newest: map[string]*atomic.Int64{}},
		accepted: counter("accepted_total", "Records that were checked and acknowledged by the broker.", "source"),
		refused:  counter("refused_total", "Records that were refused, by reason.", "source", "reason"),
		ignored:  counter("ignored_total", "Lines or records that are not events and need not be.", "source"),
		batches:  counter("batches_total", "Batches that the broker acknowledged.", "topic"),
		retries:  counter("retries_total", "Writes that were tried again.", "topic"),
		seconds: f.NewHistogram(prometheus.HistogramOpts{Namespace: "holdfast", Subsystem: "intake", Name: "write_seconds",
			Help: "Time from handing a batch to the broker until its acknowledgement.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		buffered: f.NewGauge(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "intake", Name: "buffered_bytes",
			Help: "Bytes handed over and not yet acknowledged."}),
	}
	if reg != nil {
		reg.MustRegister(m.ages)
	}
	return m
}

// ages shows how old each source's newest event is.
type ages struct {
	mu     sync.Mutex
	newest map[string]*atomic.Int64 // by source: event time, Unix milliseconds
}

var ageDesc = prometheus.NewDesc("holdfast_intake_newest_event_age_seconds",
	"Age of the newest event that this process accepted from a source, by event time: how long the source has been silent, or is behind.", []string{"source"}, nil)

// Describe implements prometheus.Collector.
func (a *ages) Describe(out chan<- *prometheus.Desc) { out <- ageDesc }

// Collect implements prometheus.Collector.
func (a *ages) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for source, ms := range a.newest {
		out <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, now.Sub(time.UnixMilli(ms.Load())).Seconds(), source)
	}
}

// of is a source's newest event time.
func (a *ages) of(source string) *atomic.Int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.newest[source]
	if n == nil {
		n = new(atomic.Int64)
		a.newest[source] = n
	}
	return n
}

// raise sets n to at least ms.
func raise(n *atomic.Int64, ms int64) {
	for {
		old := n.Load()
		if ms <= old || n.CompareAndSwap(old, ms) {
			return
		}
	}
}

// Accepted counts n acknowledged records of a source.
func (m *Metrics) Accepted(src *Source, n int) { m.accepted.WithLabelValues(src.Name).Add(float64(n)) }

// Refused counts one refused record.
func (m *Metrics) Refused(src *Source, reason schemas.Reason) {
	m.refused.WithLabelValues(src.Name, string(reason)).Inc()
}

// Ignored counts n lines that are not events.
func (m *Metrics) Ignored(src *Source, n int) { m.ignored.WithLabelValues(src.Name).Add(float64(n)) }

func (m *Metrics) wrote(topic schemas.Topic, since time.Time) {
	m.batches.WithLabelValues(string(topic)).Inc()
	m.seconds.Observe(time.Since(since).Seconds())
}
