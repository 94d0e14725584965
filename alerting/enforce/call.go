package enforce

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v7"

	"holdfast/alerting/notify"
)

// sent is how a message ended.
type sent struct {
	ref      string // what the receiver calls it
	err      error  // nil: it was sent
	attempts int
	cut      bool // ctx ended first: nothing is known, it must come again
}

// call tries until the message is sent, refused for good or Config.GiveUp has passed since
// it was due; one that is older is tried once.
func (s *Sender) call(ctx context.Context, m notify.Message, due time.Time) sent {
	var out sent
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = s.cfg.Backoff, s.cfg.NoticeBackoff, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		if !s.channel.enter(ctx) {
			return struct{}{}, backoff.Permanent(ctx.Err())
		}
		out.attempts++
		ref, retry, err := s.attempt(ctx, m)
		out.ref = ref
		var after interface{ RetryAfter() time.Duration }
		switch {
		case err == nil:
		case !retry:
			err = backoff.Permanent(err)
		case errors.As(err, &after) && after.RetryAfter() > 0:
			err = backoff.RetryAfter(after.RetryAfter(), err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(max(1, s.cfg.GiveUp-s.now().Sub(due))))
	if err != nil {
		out.err = err
		if last := backoff.AsRetryError(err); last != nil && last.LastErr != nil {
			out.err = last.LastErr
		}
		out.cut = ctx.Err() != nil
	}
	return out
}

// attempt makes one call in a slot that is already taken.
func (s *Sender) attempt(ctx context.Context, m notify.Message) (ref string, retry bool, err error) {
	defer s.channel.leave()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	began := time.Now()
	if t, ok := s.deps.Notifier.(Threader); ok {
		ref, retry, err = t.SendIn(ctx, m)
	} else {
		retry, err = s.deps.Notifier.Send(ctx, m)
	}
	s.deps.Metrics.call(s.channel.name, time.Since(began))
	s.ended(retry, err)
	return ref, retry, err
}

// ended counts an attempt, and logs once when a channel begins to fail and when it works
// again. What it refuses says nothing of the channel.
func (s *Sender) ended(retry bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case err == nil:
		s.deps.Metrics.attempt(s.channel.name, "confirmed")
		if s.outage.ends(now) {
			s.log.Info("notices are sent again", "channel", s.channel.name, "after", now.Sub(s.outage.since).Round(time.Second))
		}
	case !retry:
		s.deps.Metrics.attempt(s.channel.name, "refused")
	default:
		s.deps.Metrics.attempt(s.channel.name, "failed")
		if s.outage.begins(now) {
			s.log.Warn("notices cannot be sent, each is tried again", "channel", s.channel.name, "for", s.cfg.GiveUp, "error", err)
		}
	}
}
