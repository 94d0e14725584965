package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"holdfast/ingest/intake"
	"holdfast/schemas"
)

var checkers = sync.Pool{New: func() any { return new(intake.Checker) }}

// take reads a body to its end, sends what is accepted, and waits until that is
// acknowledged, also where the body broke off.
func (g *Gateway) take(ctx context.Context, b *body, src *intake.Source) *answer {
	a := &answer{}
	c := checkers.Get().(*intake.Checker)
	defer checkers.Put(c)
	c.Networks, c.Metrics = g.deps.Networks, g.deps.Metrics
	var receipt intake.Receipt
	a.problem = g.readAll(ctx, b, src, c, &receipt, a)
	if err := receipt.Wait(ctx); err != nil {
		a.Accepted -= receipt.Failed()
		g.deps.Logger.Warn("events were not acknowledged", "source", src.Name, "error", err)
		a.problem = &problem{Status: http.StatusServiceUnavailable, retry: "5",
			Detail: "the broker did not acknowledge every event: send the same body again, ids make that harmless"}
		a.Accepted = 0
		return a
	}
	g.deps.Metrics.Accepted(src, a.Accepted)
	return a
}

func (g *Gateway) readAll(ctx context.Context, b *body, src *intake.Source, c *intake.Checker, receipt *intake.Receipt, a *answer) *problem {
	for n := 1; ; n++ {
		line, size, err := readLine(b)
		if err != nil && !errors.Is(err, io.EOF) {
			return g.unreadable(err)
		}
		if n > g.cfg.MaxLines && (size > 0 || err == nil) {
			return g.tooLarge()
		}
		if size > 0 {
			if p := g.one(ctx, n, line, size, src, c, receipt, a); p != nil {
				return p
			}
		}
		if err != nil {
			return nil
		}
	}
}

// one checks and sends one line; line is nil where it was too long to keep.
func (g *Gateway) one(ctx context.Context, n int, line []byte, size int, src *intake.Source, c *intake.Checker, receipt *intake.Receipt, a *answer) *problem {
	if line == nil {
		return g.refuse(ctx, receipt, a, src, n, intake.Remains{Size: size}, tooLong(size))
	}
	now := g.deps.Now()
	src.Spend(now)
	rec, bad := c.Check(line, src, now)
	if bad != nil {
		return g.refuse(ctx, receipt, a, src, n, intake.Keep(line), bad)
	}
	if err := g.deps.Writer.Send(ctx, receipt, schemas.TopicEvents, rec.Record); err != nil {
		return g.notTaken(src, err)
	}
	a.Accepted++
	return nil
}

func (g *Gateway) notTaken(src *intake.Source, err error) *problem {
	g.deps.Logger.Warn("cannot take an event", "source", src.Name, "error", err)
	return &problem{Status: http.StatusServiceUnavailable, retry: "5",
		Detail: "the broker takes no events now: send the same body again, ids make that harmless"}
}

// refuse tells the sender about a line, and keeps it on the rejected topic.
func (g *Gateway) refuse(ctx context.Context, receipt *intake.Receipt, a *answer, src *intake.Source, n int, what intake.Remains, why *schemas.Error) *problem {
	g.deps.Metrics.Refused(src, why.Reason)
	a.RefusedCount++
	if why.Reason == schemas.ReasonNotAllowed || why.Reason == schemas.ReasonNotAccount {
		a.notAllowed++
	}
	if len(a.Refused) < g.cfg.MaxRefused {
		a.Refused = append(a.Refused, refusal{Line: n, ID: why.Record, Reason: why.Reason, Field: why.Field, Error: why.Error()})
	}
	at := intake.Place{Topic: src.Name, Offset: int64(n)}
	if err := g.refused.Add(ctx, receipt, what, src, at, why, g.deps.Now()); err != nil {
		return g.notTaken(src, err)
	}
	return nil
}

// readLine returns a copy of the next line that the record may keep, without
// white space around it, and its size; a line over the limit is passed over and
// only its size returned.
func readLine(b *body) (line []byte, size int, err error) {
	var long []byte
	for {
		part, err := b.lines.ReadSlice('\n')
		size += len(part)
		switch {
		case size > schemas.MaxRecord+2:
			long = nil
		case errors.Is(err, errFull) || long != nil:
			long = append(long, part...)
		default:
			line = bytes.TrimSpace(part)
			return bytes.Clone(line), len(line), err
		}
		if errors.Is(err, errFull) {
			continue
		}
		if size > schemas.MaxRecord+2 {
			return nil, size, err
		}
		line = bytes.TrimSpace(long)
		return line, len(line), err
	}
}
