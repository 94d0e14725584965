package detectors

import "sync/atomic"

// Meter counts what several lanes' live engines found, for metrics; trials are counted
// apart. It may be used and read from any goroutine; a nil *Meter counts nothing.
type Meter struct {
	late    atomic.Int64
	signals map[string]*atomic.Int64
}

// NewMeter returns a meter that has counted nothing.
func NewMeter() *Meter {
	m := &Meter{signals: map[string]*atomic.Int64{}}
	for _, s := range Specs() {
		m.signals[s.Name] = new(atomic.Int64)
	}
	return m
}

// Late is how many records were behind their entity's clock by more than the lateness:
// recorded, and not scored.
func (m *Meter) Late() int64 { return m.late.Load() }

// Signals is how many signals each detector raised, by its name.
func (m *Meter) Signals() map[string]int64 {
	out := map[string]int64{}
	for name, n := range m.signals {
		out[name] = n.Load()
	}
	return out
}

func (e *Engine) countLate() {
	e.stats.late.Add(1)
	if m := e.cfg.Meter; m != nil && e.trial.name == "" {
		m.late.Add(1)
	}
}

func (e *Engine) countSignal(detector string) {
	e.stats.signals.Add(1)
	if m := e.cfg.Meter; m != nil && e.trial.name == "" {
		m.signals[detector].Add(1)
	}
}
