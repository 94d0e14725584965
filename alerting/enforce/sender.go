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

// Journal takes the outcome of notices, each under the key of its letter. Known tells, once
// at the start, of those that the owned partitions' journals already hold, oldest first.
type Journal interface {
	Known(ctx context.Context, add func(n *schemas.Notice)) error
	Notices(ctx context.Context, n []Told) error
}

// Told is a notice and the key of its record, its letter's.
type Told struct {
	Key    string
	Notice schemas.Notice
}

// Threader is a Notifier whose receiver names a message, so that what follows in its case
// can be put below it: notify.Message.Thread is what it called the first.
type Threader interface {
	SendIn(ctx context.Context, m notify.Message) (ref string, retry bool, err error)
}

// SenderDeps are what a Sender works with.
type SenderDeps struct {
	Notifier Notifier
	Writer   *notify.Writer // makes the words; nil: Holdfast's own
	Outbox   Outbox
	Journal  Journal
	Metrics  *Metrics
	Logger   *slog.Logger
	// Now is the wall clock, time.Now where nil.
	Now func() time.Time
}

// Sender sends the letters of one channel: a place of its own in the outbox, a bound and
// workers of its own. Each is tried until it is sent, refused for good or Config.GiveUp
// has passed since it was due; its outcome is a notice in the journal before its offset is
// committed, and what stands there is not sent again. One entity's letters go in their order.
//
// A letter may wait for what follows in its case, and many that come at once may be gathered
// into one message: see waiting.
type Sender struct {
	cfg     Config
	deps    SenderDeps
	log     *slog.Logger
	now     func() time.Time
	seen    *recent[struct{}]
	threads *recent[string] // what the receiver called a case's first message
	offsets *offsets
	room    chan struct{} // one token a letter under way
	channel *channel
	waiting *waiting
	work    sync.WaitGroup

	mu     sync.Mutex
	outage outage
}

// NewSender returns a Sender that does nothing until Run.
func NewSender(cfg Config, deps SenderDeps) *Sender {
	s := &Sender{
		cfg: cfg, deps: deps, log: deps.Logger, now: deps.Now, seen: newRecent[struct{}](), threads: newRecent[string](), offsets: newOffsets(),
		room: make(chan struct{}, cfg.Pending), waiting: newWaiting(),
	}
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
	if err := s.deps.Journal.Known(ctx, s.known); err != nil {
		return fmt.Errorf("read which notices were sent: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	loops.Go(func() { s.commitLoop(ctx) })
	loops.Go(func() { s.releaseLoop(ctx) })
	err := s.read(ctx)
	if ctx.Err() != nil {
		err = nil // being told to stop is no failure
	}
	stop()
	loops.Wait()
	s.work.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	s.commit(last)
	return err
}

// known takes in a notice that an earlier owner has written down.
func (s *Sender) known(n *schemas.Notice) {
	if n.Outcome == OutcomeSending {
		if n.Channel == s.channel.name {
			s.waiting.claim(n)
		}
		return
	}
	s.seen.put(n.ID, struct{}{})
	if n.Channel != s.channel.name {
		return
	}
	s.waiting.settled(n)
	if n.Ref != "" {
		s.threads.put(threadOf(n.To, n.Case), n.Ref)
	}
}

func threadOf(to, of string) string { return to + "\n" + of }

func (s *Sender) read(ctx context.Context) error {
	for {
		items, err := s.deps.Outbox.Next(ctx)
		if err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		for _, it := range items {
			at := log{schemas.TopicOutbox, it.Partition}
			s.offsets.begin(at, it.Offset)
			if it.Letter == nil || it.Letter.Channel != s.channel.name || s.seen.has(it.Letter.ID) {
				s.offsets.finish(at, it.Offset)
				continue
			}
			h := &held{letter: it.Letter, id: it.Letter.ID, done: []func(){func() { s.offsets.finish(at, it.Offset) }}}
			if !s.start(ctx, s.waiting.take(s.now(), h)) {
				return nil
			}
		}
	}
}

// start has messages sent; false says that ctx ended first.
func (s *Sender) start(ctx context.Context, all []parcel) bool {
	for _, p := range all {
		select {
		case s.room <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		s.deps.Metrics.wait(s.channel.name, len(s.room))
		s.channel.put(ctx, p.order(), func(ctx context.Context) {
			if s.send(ctx, p) {
				for _, h := range p.letters {
					s.waiting.finish(h)
				}
			}
			<-s.room
			s.deps.Metrics.wait(s.channel.name, len(s.room))
		})
	}
	return true
}

// releaseLoop sends what has waited long enough.
func (s *Sender) releaseLoop(ctx context.Context) {
	for {
		ready, next := s.waiting.due(s.now())
		if !s.start(ctx, ready) {
			return
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-s.waiting.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// send returns false where ctx ended before the outcome was written down.
func (s *Sender) send(ctx context.Context, p parcel) bool {
	if p.superseded {
		return s.note(ctx, p, "", sent{}, OutcomeSuperseded)
	}
	first := p.letters[0].letter
	if len(p.letters) == 1 && p.id == "" {
		if s.seen.has(first.ID) {
			return true
		}
		m := first.Message(s.deps.Writer)
		m.Thread, _ = s.threads.get(threadOf(first.To, first.Case()))
		out := s.call(ctx, m, p.due)
		return !out.cut && s.note(ctx, p, m.ID, out, "")
	}
	letters := make([]*notify.Letter, len(p.letters))
	for i, h := range p.letters {
		letters[i] = h.letter
	}
	// Which letters this message is about is written down first, so that after a kill the same
	// ones go again under the same id.
	if !p.claimed && !s.note(ctx, p, p.id, sent{}, OutcomeSending) {
		return false
	}
	out := s.call(ctx, notify.Digest(s.deps.Writer, p.id, letters), p.due)
	return !out.cut && s.note(ctx, p, p.id, out, "")
}

// note writes the outcome of each letter down.
func (s *Sender) note(ctx context.Context, p parcel, message string, out sent, outcome string) bool {
	all := make([]Told, 0, len(p.letters))
	for _, h := range p.letters {
		n := h.letter.Notice()
		if n.Subject == "" && len(p.letters) == 1 {
			text := h.letter.Message(s.deps.Writer)
			n.Subject, n.Body = text.Subject, text.Body
		}
		n.Time, n.Outcome, n.Attempts, n.Ref = s.now().UTC(), outcome, out.attempts, out.ref
		if message != n.ID {
			n.Message = message
		}
		if h.letter.Spree != nil {
			n.Spree = h.letter.Spree.Name
		}
		switch {
		case outcome != "":
		case out.err != nil:
			n.Outcome, n.Detail = OutcomeFailed, notify.Clip(out.err.Error(), schemas.MaxText)
		default:
			n.Outcome = OutcomeSent
		}
		all = append(all, Told{h.letter.RecordKey(), n})
	}
	if !persist(ctx, s.cfg, s.log, "notice", func(ctx context.Context) error { return s.deps.Journal.Notices(ctx, all) }) {
		return false
	}
	if outcome == OutcomeSending {
		return true
	}
	for i := range all {
		n := &all[i].Notice
		s.seen.put(n.ID, struct{}{})
		if n.Ref != "" && n.Case != "" {
			if _, known := s.threads.get(threadOf(n.To, n.Case)); !known {
				s.threads.put(threadOf(n.To, n.Case), n.Ref)
			}
		}
		s.deps.Metrics.notice(*n)
	}
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
