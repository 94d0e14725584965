package gate

import "sync/atomic"

// Meter shows a gate's state and what it answered, for metrics. It may be read from any
// goroutine; a nil *Meter shows nothing.
type Meter struct {
	tripped        atomic.Bool
	counted        atomic.Int64
	allowed, stays atomic.Int64
}

// Tripped reports whether the brake is on.
func (m *Meter) Tripped() bool { return m.tripped.Load() }

// Counted is how many automatic stops lay within the hour before the newest one, by
// event time; a release of the brake begins to count anew.
func (m *Meter) Counted() int64 { return m.counted.Load() }

// Answers is how many proposals of automatic stops were answered with go, and how many
// were braked.
func (m *Meter) Answers() (allowed, braked int64) { return m.allowed.Load(), m.stays.Load() }

func (m *Meter) answered(a answer) {
	switch {
	case m == nil:
	case a.goes():
		m.allowed.Add(1)
	default:
		m.stays.Add(1)
	}
}

func (m *Meter) show(b *brake) {
	if m == nil {
		return
	}
	m.tripped.Store(b.Tripped)
	n := 0
	if len(b.Times) > 0 {
		newest := b.Times[len(b.Times)-1]
		for _, t := range b.Times {
			if t > newest-longWindow {
				n++
			}
		}
	}
	m.counted.Store(int64(n))
}
