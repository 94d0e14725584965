package lane

// Sweeper is a fold that may leave values on its projection that are of no use any
// more, as those of a trial that has ended.
type Sweeper interface {
	// Sweep returns at most n keys of such values, each once. The lane saves them as
	// it saves what was touched: Save deletes what stands under them.
	Sweep(n int) []string
}

// sweepAtOnce is how many left values are taken up at a look, and beside how many
// unsaved changes: what lives goes first.
const sweepAtOnce = 1024

// sweep takes up values that are of no use any more.
func (l *lane) sweep() {
	s, ok := l.fold.(Sweeper)
	if !ok || l.dirty.order.len() > sweepAtOnce {
		return
	}
	err := guarded(func() error {
		for _, key := range s.Sweep(sweepAtOnce) {
			l.dirty.leave(key, l.now)
		}
		return nil
	})
	if err != nil {
		l.r.metrics.panics.Inc()
		l.log.Error("what is of no use any more cannot be swept", "error", err)
	}
}
