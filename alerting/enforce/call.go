package enforce

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v7"
)

// outcome is how a call ended.
type outcome struct {
	err      error // nil: it succeeded
	attempts int
	cut      bool // ctx ended first: nothing is known, it must come again
}

// call tries until it succeeds, is refused for good or Config.GiveUp has passed.
// An error with a method RetryAfter names the least pause before the next try.
func (e *Enforcer) call(ctx context.Context, c *channel, do func(context.Context) (retry bool, err error)) outcome {
	var out outcome
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = e.cfg.Backoff, e.cfg.MaxBackoff, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		if !c.enter(ctx) {
			return struct{}{}, backoff.Permanent(ctx.Err())
		}
		out.attempts++
		retry, err := e.attempt(ctx, c, do)
		var after interface{ RetryAfter() time.Duration }
		switch {
		case err == nil:
		case !retry:
			err = backoff.Permanent(err)
		case errors.As(err, &after) && after.RetryAfter() > 0:
			err = backoff.RetryAfter(after.RetryAfter(), err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(e.cfg.GiveUp), backoff.WithNotify(func(err error, d time.Duration) {
		e.deps.Metrics.retry(c.name)
		e.log.Debug("call failed, it will be tried again", "channel", c.name, "pause", d, "error", err)
	}))
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
func (e *Enforcer) attempt(ctx context.Context, c *channel, do func(context.Context) (bool, error)) (bool, error) {
	defer c.leave()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	began := time.Now()
	defer func() { e.deps.Metrics.call(c.name, time.Since(began)) }()
	return do(ctx)
}

// write writes an outcome down, again and again until the broker has it. It goes
// on for a little after ctx has ended, so that what was done is known to be done.
func (e *Enforcer) write(ctx context.Context, what string, do func(context.Context) error) bool {
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
		return do(late) == nil
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = e.cfg.Backoff, e.cfg.MaxBackoff
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, do(ctx) },
		backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, d time.Duration) {
			e.log.Warn("an outcome could not be written down, it will be tried again", "what", what, "pause", d, "error", err)
		}))
	return err == nil
}
