package enforce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// LetterItem is one record of the outbox and where it stands.
type LetterItem struct {
	Partition int32
	Offset    int64
	Letter    *notify.Letter
}

// Outbox hands out letters in log order within each partition, as Source does decisions.
// Those of other channels come too.
type Outbox interface {
	Next(ctx context.Context) ([]LetterItem, error)
	Commit(ctx context.Context, partition int32, offset int64) error
}

// Journal takes the outcome of notices. Known tells, once at the start, the ids of those
// that the owned partitions' journals already hold.
type Journal interface {
	Known(ctx context.Context, add func(id string)) error
	Notice(ctx context.Context, n schemas.Notice) error
}

// SenderDeps are what a Sender works with.
type SenderDeps struct {
	Notifier Notifier
	Outbox   Outbox
	Journal  Journal
	Metrics  *Metrics
	Logger   *slog.Logger
	// Now is the wall clock, time.Now where nil.
	Now func() time.Time
}

// Sender sends the letters of one channel: a place of its own in the outbox, a bound and
// workers of its own. Each is tried until it is sent, refused for good or Config.GiveUp
// has passed since it was written; its outcome is a notice in the journal before its
// offset is committed, and what stands there is not sent again. One entity's letters go
// in their order.
type Sender struct {
	cfg     Config
	deps    SenderDeps
	log     *slog.Logger
	now     func() time.Time
	seen    *recent[struct{}]
	offsets *offsets
	room    chan struct{} // one token a letter under way
	channel *channel
	work    sync.WaitGroup

	mu     sync.Mutex
	outage outage
}

// NewSender returns a Sender that does nothing until Run.
func NewSender(cfg Config, deps SenderDeps) *Sender {
	s := &Sender{cfg: cfg, deps: deps, log: deps.Logger, now: deps.Now, seen: newRecent[struct{}](), offsets: newOffsets(), room: make(chan struct{}, cfg.Pending)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.channel = newChannel(deps.Notifier.Name(), cfg.Concurrency, &s.work)
	return s
}

// Run sends until ctx ends or the outbox fails. What was under way then is not committed
// and comes again to the next owner.
func (s *Sender) Run(ctx context.Context) error {
	if err := s.cfg.Validate(); err != nil {
		return err
	}
	if err := s.deps.Journal.Known(ctx, func(id string) { s.seen.put(id, struct{}{}) }); err != nil {
		return fmt.Errorf("read which notices were sent: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		s.commitLoop(ctx)
	}()
	err := s.read(ctx)
	if ctx.Err() != nil {
		err = nil // being told to stop is no failure
	}
	stop()
	s.work.Wait()
	<-committed
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	s.commit(last)
	return err
}

func (s *Sender) read(ctx context.Context) error {
	for {
		items, err := s.deps.Outbox.Next(ctx)
		if err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		for _, it := range items {
			at := log{schemas.TopicOutbox, it.Partition}
			if it.Letter == nil || it.Letter.Channel != s.channel.name {
				s.offsets.begin(at, it.Offset)
				s.offsets.finish(at, it.Offset)
				continue
			}
			select {
			case s.room <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			s.offsets.begin(at, it.Offset)
			s.deps.Metrics.wait(s.channel.name, len(s.room))
			s.channel.put(ctx, it.Letter.Entity.Key(), func(ctx context.Context) {
				if s.send(ctx, it.Letter) {
					s.offsets.finish(at, it.Offset)
				}
				<-s.room
				s.deps.Metrics.wait(s.channel.name, len(s.room))
			})
		}
	}
}

// send returns false where ctx ended before the outcome was written down.
func (s *Sender) send(ctx context.Context, l *notify.Letter) bool {
	if s.seen.has(l.ID) {
		return true
	}
	out := s.call(ctx, l)
	if out.cut {
		return false
	}
	n := l.Notice()
	n.Time, n.Outcome, n.Attempts = s.now().UTC(), OutcomeSent, out.attempts
	if out.err != nil {
		n.Outcome, n.Detail = OutcomeFailed, notify.Clip(out.err.Error(), schemas.MaxText)
	}
	if !persist(ctx, s.cfg, s.log, "notice", func(ctx context.Context) error { return s.deps.Journal.Notice(ctx, n) }) {
		return false
	}
	s.seen.put(n.ID, struct{}{})
	s.deps.Metrics.notice(n)
	return true
}

func (s *Sender) commitLoop(ctx context.Context) {
	tick := time.NewTicker(s.cfg.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.commit(ctx)
		}
	}
}

func (s *Sender) commit(ctx context.Context) {
	for at, offset := range s.offsets.ready() {
		if err := s.deps.Outbox.Commit(ctx, at.partition, offset); err != nil {
			if !errors.Is(err, context.Canceled) {
				s.log.Warn("commit of sent notices failed, it is tried again", "partition", at.partition, "offset", offset, "error", err)
			}
			continue
		}
		s.offsets.committed(at, offset)
	}
}
