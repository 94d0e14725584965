package replay

import (
	"sync/atomic"
	"time"
)

// StuckAfter is how long a line may take before it is named.
const StuckAfter = 10 * time.Second

// watch looks once a second which lines are at hand, until it is told to stop. That
// costs a line one store in each stage.
func (r *Replay) watch() (stop func()) {
	if r.deps.Stuck == nil {
		return func() {}
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		var seen [lanes + 1]struct {
			line  int64
			since time.Time
			told  bool
		}
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				for i, at := range r.atHand() {
					s := &seen[i]
					line := at.Load()
					if line != s.line {
						s.line, s.since, s.told = line, now, false
					}
					if busy := now.Sub(s.since); line != 0 && !s.told && busy >= StuckAfter {
						s.told = true
						r.deps.Stuck(line, busy)
					}
				}
			}
		}
	}()
	return func() {
		close(done)
		<-gone
	}
}

// atHand are where the stages say which line they are at.
func (r *Replay) atHand() (all [lanes + 1]*atomic.Int64) {
	for i := range r.detection.lanes {
		all[i] = &r.detection.lanes[i].now
	}
	all[lanes] = &r.now
	return all
}

// busyWith is the first line that a stage is at, 0 for none.
func (r *Replay) busyWith() (line int64) {
	for _, at := range r.atHand() {
		if n := at.Load(); n != 0 && (line == 0 || n < line) {
			line = n
		}
	}
	return line
}
