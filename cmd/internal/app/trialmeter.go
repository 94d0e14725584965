package app

import (
	"sync"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/detectors"
)

// trialMeter shows what the trial of this process's lanes costs and finds. A fold
// whose lane went to another process is not kept for it.
type trialMeter struct {
	mu    sync.Mutex
	folds map[int32]weak.Pointer[detectors.Fold]
	gone  detectors.TrialStats // counted by folds that were replaced
}

var (
	trialLanes    = prometheus.NewDesc("holdfast_trial_lanes", "Lanes of this process beside whose live engine numbers on trial run.", nil, nil)
	trialEntities = prometheus.NewDesc("holdfast_trial_entities", "Entities of which the trial keeps state of its own: the memory that it costs.", nil, nil)
	trialSignals  = prometheus.NewDesc("holdfast_trial_signals_total", "Signals that numbers on trial raised.", nil, nil)
	trialFailed   = prometheus.NewDesc("holdfast_trial_failed_total", "Records and state values that the trial could not take; the live engine is not concerned.", nil, nil)
)

func newTrialMeter(reg prometheus.Registerer) *trialMeter {
	m := &trialMeter{folds: map[int32]weak.Pointer[detectors.Fold]{}}
	reg.MustRegister(m)
	return m
}

// add puts a lane's new fold in the place of the one before.
func (m *trialMeter) add(lane int32, f *detectors.Fold) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.folds[lane].Value(); old != nil {
		s := old.TrialStats()
		m.gone.Signals, m.gone.Failed = m.gone.Signals+s.Signals, m.gone.Failed+s.Failed
	}
	m.folds[lane] = weak.Make(f)
}

// Describe implements prometheus.Collector.
func (m *trialMeter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{trialLanes, trialEntities, trialSignals, trialFailed} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *trialMeter) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lanes, sum := 0, m.gone
	for _, p := range m.folds {
		f := p.Value()
		if f == nil {
			continue
		}
		s := f.TrialStats()
		if s.Trials > 0 {
			lanes++
		}
		sum.Entities, sum.Signals, sum.Failed = sum.Entities+s.Entities, sum.Signals+s.Signals, sum.Failed+s.Failed
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	out <- prometheus.MustNewConstMetric(trialLanes, gauge, float64(lanes))
	out <- prometheus.MustNewConstMetric(trialEntities, gauge, float64(sum.Entities))
	out <- prometheus.MustNewConstMetric(trialSignals, counter, float64(sum.Signals))
	out <- prometheus.MustNewConstMetric(trialFailed, counter, float64(sum.Failed))
}
