package lane

import (
	"errors"
	"time"

	"holdfast/ingest/kafka"
)

// committer moves the lane's committed offsets up.
type committer struct {
	done    [maxInputs]int64 // what is committed
	offer   [maxInputs]int64 // what is on the way
	flying  bool
	next    time.Time         // when to look again
	again   time.Time         // when to try again after a failure
	under   *kafka.Assignment // what the one on the way is committed under
	refused *kafka.Assignment // commits under it are over
}

// floor is how far an input may be committed: up to the first record with an unsaved
// change or an unacknowledged output.
func (l *lane) floor(input int) int64 {
	f := min(l.pos[input], l.dirty.floor(input))
	if o, waits := l.out.floor(input); waits && !l.r.cfg.faults.noAckBeforeCommit {
		f = min(f, o)
	}
	// What is folded again from a block's start was committed before.
	return max(f, l.commit.done[input])
}

// due tells whether a commit would change something.
func (c *committer) due(l *lane) bool {
	if c.flying {
		return true
	}
	if c.refused == l.own.Load() {
		return false
	}
	for i := range l.r.cfg.Role.Inputs {
		if l.floor(i) != c.done[i] {
			return true
		}
	}
	return false
}

// commitSome begins a commit if one is due: at intervals, or when stopping as soon
// as nothing holds the offsets back.
func (l *lane) commitSome(stopping bool) {
	c := &l.commit
	if c.flying || l.now.Before(c.again) || !stopping && l.now.Before(c.next) || stopping && (!l.out.empty() || !l.save.idle() || l.dirty.order.len() > 0) {
		return
	}
	c.next = l.now.Add(l.r.cfg.Commit)
	if !c.due(l) {
		return
	}
	c.flying, c.under = true, l.own.Load()
	offsets := make(map[kafka.TopicPartition]kafka.Committed, len(l.r.cfg.Role.Inputs))
	for i := range l.r.cfg.Role.Inputs {
		c.offer[i] = l.floor(i)
		offsets[l.input(i)] = kafka.Committed{Offset: c.offer[i]}
	}
	under := *c.under
	l.senders.Go(func() {
		err := l.r.deps.Broker.Commit(l.ctx, under, offsets)
		select {
		case l.done <- sent{commit: true, err: err}:
		case <-l.ctx.Done():
		}
	})
}

// committed takes a commit's end. A refused one says that the group moves on: the
// runner will say whether this lane stays, and until then it goes on under its epoch,
// which is what keeps a stale one from doing harm.
func (l *lane) committed(err error) error {
	c := &l.commit
	c.flying = false
	switch {
	case err == nil:
		c.done = c.offer
	case errors.Is(err, kafka.ErrStaleGeneration):
		c.refused = c.under
		l.log.Info("the group has moved on; committing waits for its next generation", "generation", c.under.Generation)
	default:
		c.again = l.now.Add(l.r.cfg.Commit)
		l.r.metrics.retries.Inc()
		l.log.Warn("committing failed; it is tried again", "error", err)
	}
	return nil
}

func (l *lane) input(i int) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: l.r.cfg.topic(l.r.cfg.Role.Inputs[i].Topic), Partition: l.n}
}
