package edge

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The ways by which lookups come.
const (
	viaHTTP    = "http"
	viaPostfix = "postfix"
	viaLine    = "line"
)

// Metrics count what an Edge does. A nil *Metrics counts nothing.
type Metrics struct {
	lookups map[string]map[string]prometheus.Counter // by way and word
	stale   prometheus.Counter
	silent  *prometheus.CounterVec
	unnamed prometheus.Counter
	changes prometheus.Counter
	outages prometheus.Counter
	lags    prometheus.Counter
}

// NewMetrics registers the edge's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "edge", Name: name, Help: help}
	}
	m := &Metrics{
		lookups: map[string]map[string]prometheus.Counter{},
		stale:   f.NewCounter(opts("stale_answers_total", "Answers from a copy that is older than edge.stale_after.")),
		silent:  f.NewCounterVec(opts("unanswered_total", "Requests that were not understood and got no answer."), []string{"protocol"}),
		unnamed: f.NewCounter(opts("unnamed_total", "Policy requests in which no configured attribute names an account.")),
		changes: f.NewCounter(opts("changes_total", "Changes of status that were read.")),
		outages: f.NewCounter(opts("follow_failures_total", "Failed attempts at reading the status topic.")),
		lags:    f.NewCounter(opts("copy_failures_total", "Batches that could not be written to the copy on disk.")),
	}
	byWord := f.NewCounterVec(opts("lookups_total", "Answers by protocol and status."), []string{"protocol", "status"})
	for _, way := range []string{viaHTTP, viaPostfix, viaLine} {
		m.lookups[way] = map[string]prometheus.Counter{}
		for _, word := range []string{"active", "review", statusThrottled, statusRevoked, statusSuspended, statusBlocked, statusUnknown, "other"} {
			m.lookups[way][word] = byWord.WithLabelValues(way, word)
		}
		m.silent.WithLabelValues(way)
	}
	return m
}

// Watch registers what the edge itself knows: entities, stopped ones and the copy's age.
func (m *Metrics) Watch(reg prometheus.Registerer, e *Edge) {
	f := promauto.With(reg)
	gauge := func(name, help string, labels prometheus.Labels, v func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "edge", Name: name, Help: help, ConstLabels: labels}, v)
	}
	gauge("streams", "Streams of changes that are open.", nil, func() float64 { return float64(e.streams.Load()) })
	gauge("entities", "Entities in the copy.", nil, func() float64 { return float64(e.table.Len()) })
	for _, status := range []string{statusThrottled, statusRevoked, statusSuspended, statusBlocked} {
		gauge("stopped_entities", "Entities by status.", prometheus.Labels{"status": status}, func() float64 { return float64(e.table.Counts()[status]) })
	}
	gauge("age_seconds", "How long ago the copy last held all that the status topic had; -1: never.", nil, func() float64 {
		asOf, age, _ := e.freshness()
		if asOf.IsZero() {
			return -1
		}
		return age.Seconds()
	})
}

func (m *Metrics) lookup(way string, a *Answer) {
	if m == nil {
		return
	}
	c := m.lookups[way][a.Word()]
	if c == nil {
		c = m.lookups[way]["other"]
	}
	c.Inc()
	if a.Stale {
		m.stale.Inc()
	}
}

func (m *Metrics) unanswered(way string) {
	if m != nil {
		m.silent.WithLabelValues(way).Inc()
	}
}

func (m *Metrics) nameless() {
	if m != nil {
		m.unnamed.Inc()
	}
}

func (m *Metrics) took(n int) {
	if m != nil {
		m.changes.Add(float64(n))
	}
}

func (m *Metrics) outage() {
	if m != nil {
		m.outages.Inc()
	}
}

func (m *Metrics) behind() {
	if m != nil {
		m.lags.Inc()
	}
}
