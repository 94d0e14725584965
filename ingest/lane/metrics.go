package lane

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/schemas"
)

// metrics are one role's collectors. Labels are roles, partitions, topics and
// reasons: all from closed lists.
type metrics struct {
	role string

	records, duplicates, forwarded *prometheus.CounterVec // role, partition(, topic)
	outputs                        *prometheus.CounterVec // role, topic
	rejected                       *prometheus.CounterVec // role, reason
	lag                            *prometheus.GaugeVec   // role, topic, partition
	unsaved, restoring, stuck      *prometheus.GaugeVec   // role, partition

	panics, withheld, gaps, retries, restarts prometheus.Counter
	saved, saveBatches, saveErrors            prometheus.Counter
	controlErrors                             prometheus.Counter
	lanes, assigned                           prometheus.Gauge
	latency                                   prometheus.Observer
}

// newMetrics registers the collectors, which all roles of a process share.
func newMetrics(reg prometheus.Registerer, role string) (*metrics, error) {
	s := &registering{reg: reg, role: role}
	m := &metrics{
		role:       role,
		records:    s.counterVec("records_total", "Records folded in, by input topic; fences are left out.", "topic", "partition"),
		duplicates: s.counterVec("duplicates_total", "Duplicates: records whose id and source are among the 65,536 offsets before.", "partition"),
		forwarded:  s.counterVec("forwarded_total", "Records sent on to the partition that their key maps to.", "partition"),
		outputs:    s.counterVec("outputs_total", "Outputs acknowledged, by topic.", "topic"),
		rejected:   s.counterVec("rejected_total", "Records rejected, by reason.", "reason"),
		lag:        s.gaugeVec("lag_records", "Offsets between what a lane has folded and its log's end.", "topic", "partition"),
		unsaved:    s.gaugeVec("unsaved_seconds", "Age of the oldest unsaved change.", "partition"),
		restoring:  s.gaugeVec("restore_seconds", "How long the lane's last restore took.", "partition"),

		stuck: s.gaugeVec("stuck_seconds", "How long a fold has been busy with one record, where that is 10 s or longer; otherwise 0.", "partition"),

		panics:        s.counter("panics_total", "Panics of a fold that were caught."),
		withheld:      s.counter("withheld_total", "Outputs withheld: not newer than the value on the guarded projection, or published before a restart."),
		gaps:          s.counter("gaps_total", "Stretches of a log that could not be read."),
		retries:       s.counter("retries_total", "Requests that failed and were tried again."),
		restarts:      s.counter("restarts_total", "Lanes that were restored again after an error."),
		saved:         s.counter("saved_entities_total", "Entities whose state was saved."),
		saveBatches:   s.counter("save_batches_total", "Batches of state written."),
		saveErrors:    s.counter("save_errors_total", "Entities whose state could not be encoded."),
		controlErrors: s.counter("control_errors_total", "Control values that the fold refused."),
		lanes:         s.gaugeVec("lanes", "Lanes that are restored and work.").WithLabelValues(role),
		assigned:      s.gaugeVec("assigned_lanes", "Lanes that the group has given to this process: more than lanes while some do not work.").WithLabelValues(role),
		latency: s.histogram("output_seconds", "From an input's arrival at the broker to its outputs' acknowledgement.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600}),
	}
	return m, errors.Join(s.errs...)
}

// registering makes collectors with a label for the role, or finds those that
// another role of the process registered.
type registering struct {
	reg  prometheus.Registerer
	role string
	errs []error
}

func register[C prometheus.Collector](s *registering, c C) C {
	if s.reg == nil {
		return c
	}
	err := s.reg.Register(c)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := known.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		s.errs = append(s.errs, err)
	}
	return c
}

func (s *registering) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(s, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "lane", Name: name, Help: help}, append([]string{"role"}, labels...)))
}

func (s *registering) counter(name, help string) prometheus.Counter {
	return s.counterVec(name, help).WithLabelValues(s.role)
}

func (s *registering) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(s, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "lane", Name: name, Help: help}, append([]string{"role"}, labels...)))
}

func (s *registering) histogram(name, help string, buckets []float64) prometheus.Observer {
	return register(s, prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "holdfast", Subsystem: "lane", Name: name, Help: help, Buckets: buckets}, []string{"role"})).WithLabelValues(s.role)
}

func (m *metrics) output(topic schemas.Topic, n int) {
	m.outputs.WithLabelValues(m.role, string(topic)).Add(float64(n))
}

// laneMetrics are one lane's, found once.
type laneMetrics struct {
	records               [maxInputs]prometheus.Counter
	lag                   [maxInputs]prometheus.Gauge
	duplicates, forwarded prometheus.Counter
	unsaved, restore      prometheus.Gauge
	stuck                 prometheus.Gauge
}

func (m *metrics) lane(n int32, inputs []Input) laneMetrics {
	p := strconv.Itoa(int(n))
	l := laneMetrics{
		duplicates: m.duplicates.WithLabelValues(m.role, p), forwarded: m.forwarded.WithLabelValues(m.role, p),
		unsaved: m.unsaved.WithLabelValues(m.role, p), restore: m.restoring.WithLabelValues(m.role, p),
		stuck: m.stuck.WithLabelValues(m.role, p),
	}
	for i, in := range inputs {
		l.records[i] = m.records.WithLabelValues(m.role, string(in.Topic), p)
		l.lag[i] = m.lag.WithLabelValues(m.role, string(in.Topic), p)
	}
	return l
}

// gone removes the gauges of a lane that this process no longer has: another one
// shows them now.
func (m *metrics) gone(n int32) {
	labels := prometheus.Labels{"role": m.role, "partition": strconv.Itoa(int(n))}
	for _, g := range []*prometheus.GaugeVec{m.lag, m.unsaved, m.restoring, m.stuck} {
		g.DeletePartialMatch(labels)
	}
}
