package app

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/alerting/gate"
	"holdfast/detectors"
)

var (
	signalsDesc = prometheus.NewDesc("holdfast_detect_signals_total", "Signals that the live detectors raised, by detector; a restart may raise the newest again.", []string{"detector"}, nil)
	lateDesc    = prometheus.NewDesc("holdfast_detect_late_total", "Records that lay behind their entity's clock by more than the lateness of 10 minutes: recorded, not scored.", nil, nil)
	aheadDesc   = prometheus.NewDesc("holdfast_detect_ahead_total", "Imported records that lay days ahead of those around them, and of which the effect was taken back.", nil, nil)
	anewDesc    = prometheus.NewDesc("holdfast_detect_accounts_restarted_total", "Accounts in their first week whose baseline was reset for imported history.", nil, nil)

	trippedDesc = prometheus.NewDesc("holdfast_gate_tripped", "1 while the brake on automatic stops is on, otherwise 0.", nil, nil)
	countedDesc = prometheus.NewDesc("holdfast_gate_stops", "Automatic stops that the gate counts within an hour of event time, up to the newest.", nil, nil)
	answersDesc = prometheus.NewDesc("holdfast_gate_answers_total", "Proposals of automatic stops that were answered, with go or braked.", []string{"answer"}, nil)
)

// detectMeter shows what the live detectors of this process's lanes found.
type detectMeter struct{ *detectors.Meter }

// Describe implements prometheus.Collector.
func (m detectMeter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{signalsDesc, lateDesc, aheadDesc, anewDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m detectMeter) Collect(out chan<- prometheus.Metric) {
	for detector, n := range m.Signals() {
		out <- prometheus.MustNewConstMetric(signalsDesc, prometheus.CounterValue, float64(n), detector)
	}
	out <- prometheus.MustNewConstMetric(lateDesc, prometheus.CounterValue, float64(m.Late()))
	out <- prometheus.MustNewConstMetric(aheadDesc, prometheus.CounterValue, float64(m.Ahead()))
	out <- prometheus.MustNewConstMetric(anewDesc, prometheus.CounterValue, float64(m.Anew()))
}

// gateMeter shows the gate where this process has had its lane; elsewhere nothing.
type gateMeter struct {
	meter *gate.Meter
	here  atomic.Bool
}

// Describe implements prometheus.Collector.
func (m *gateMeter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{trippedDesc, countedDesc, answersDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *gateMeter) Collect(out chan<- prometheus.Metric) {
	if !m.here.Load() {
		return
	}
	tripped := 0.0
	if m.meter.Tripped() {
		tripped = 1
	}
	allowed, braked := m.meter.Answers()
	out <- prometheus.MustNewConstMetric(trippedDesc, prometheus.GaugeValue, tripped)
	out <- prometheus.MustNewConstMetric(countedDesc, prometheus.GaugeValue, float64(m.meter.Counted()))
	out <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(allowed), "go")
	out <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(braked), "braked")
}

// Version is what this binary is called; set when a release is built.
var Version = "unreleased"

// newBuildInfo is 1, with what the binary was built from as labels.
func newBuildInfo() prometheus.Collector {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "holdfast_build_info", Help: "1, with the version, the commit and the Go release that this binary was built from.",
		ConstLabels: prometheus.Labels{"version": Version, "revision": revision, "goversion": runtime.Version()}}, func() float64 { return 1 })
}
