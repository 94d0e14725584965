package importer

import (
	"context"
	"time"
)

// pacer spreads records over time. What was missed while the broker was slow is
// not made up for beyond a second's worth.
type pacer struct {
	rate float64 // a second; 0 is no limit
	due  time.Time
}

func (p *pacer) wait(ctx context.Context) error {
	if p.rate == 0 {
		return nil
	}
	now := time.Now()
	if now.Sub(p.due) > time.Second {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(float64(time.Second) / p.rate))
	ahead := p.due.Sub(now)
	if ahead < 5*time.Millisecond {
		return nil
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
