package detectors

import "sync/atomic"

// Meter counts what several lanes' live engines found, for metrics; trials are counted
// apart. It may be used and read from any goroutine; a nil *Meter counts nothing.
type Meter struct {
	late    atomic.Int64
	ahead   atomic.Int64
	anew    atomic.Int64
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

// Ahead is how many records were days ahead of those around them and were taken back.
func (m *Meter) Ahead() int64 { return m.ahead.Load() }

// Anew is how many accounts in their first week began anew with imported history.
func (m *Meter) Anew() int64 { return m.anew.Load() }

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

func (e *Engine) countAhead(n int64) {
	e.stats.ahead.Add(n)
	if m := e.cfg.Meter; m != nil && e.trial.name == "" {
		m.ahead.Add(n)
	}
}

func (e *Engine) countAnew() {
	e.stats.anew.Add(1)
	if m := e.cfg.Meter; m != nil && e.trial.name == "" {
		m.anew.Add(1)
	}
}

func (e *Engine) countSignal(detector string) {
	e.stats.signals.Add(1)
	if m := e.cfg.Meter; m != nil && e.trial.name == "" {
		m.signals[detector].Add(1)
	}
}
