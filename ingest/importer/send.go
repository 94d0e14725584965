package importer

import (
	"bytes"
	"context"
	"slices"
	"time"

	"holdfast/ingest/history"
	"holdfast/ingest/intake"
	"holdfast/schemas"
)

// sendAll checks the blocks' lines and sends them. A block that was cut short is
// not handed on: what of it was sent is sent again by the next run.
func (f *file) sendAll(ctx context.Context, from <-chan *block, to chan<- *sent) error {
	for n := 0; ; n++ {
		b, ok := <-from
		if !ok {
			break
		}
		if n == reach { // the earlier run cannot have come further
			f.stands = standing{}
		}
		s := &sent{block: b}
		var err error
		if s.ends, err = f.ends(ctx); err != nil {
			return err
		}
		if err := f.send(ctx, s); err != nil {
			return err
		}
		if err := handOn(ctx, to, s); err != nil {
			return err
		}
	}
	if f.fault != nil {
		return f.fault
	}
	s := &sent{block: &block{end: f.in.end, read: f.in.read.Load()}}
	at := &line{file: f, sent: s, n: f.in.line, arrival: f.deps.Now()}
	f.reader.end(func(event []byte) { at.record(ctx, event) })
	if at.err != nil {
		return at.err
	}
	return handOn(ctx, to, s)
}

func handOn(ctx context.Context, to chan<- *sent, s *sent) error {
	select {
	case to <- s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxShown bounds what is handed on of a line that cannot be read.
const maxShown = 256

// line is the line at work; err is why the import cannot go on.
type line struct {
	file    *file
	sent    *sent
	n       int64
	arrival time.Time
	err     error
}

// send sends one block. Lines that an earlier run has done are read again where
// the reader remembers, and what they give is dropped.
func (f *file) send(ctx context.Context, s *sent) error {
	at := &line{file: f, sent: s, n: s.first, arrival: f.deps.Now()}
	if s.long != nil {
		s.counts.Lines++
		at.refuse(ctx, *s.long, tooLong(s.long.Size))
		return at.err
	}
	emit := func(event []byte) { at.record(ctx, event) }
	for rest := s.lines; len(rest) > 0 && at.err == nil; at.n++ {
		var data []byte
		data, rest, _ = bytes.Cut(rest, newline)
		if at.n <= f.from {
			_, _ = f.reader.line(at.n, data, func([]byte) {})
			continue
		}
		s.counts.Lines++
		switch used, unreadable := f.reader.line(at.n, data, emit); {
		case unreadable != "":
			s.counts.Unreadable++
			f.deps.Unreadable(Unreadable{File: f.name, Line: at.n, Why: unreadable, Text: data[:min(len(data), maxShown)]})
		case !used:
			s.counts.Irrelevant++
		}
	}
	return at.err
}

// record checks one event and sends it.
func (l *line) record(ctx context.Context, event []byte) {
	if l.err != nil {
		return
	}
	f := l.file
	if l.err = f.pace.wait(ctx); l.err != nil {
		return
	}
	rec, bad := f.checker.Check(event, f.src, l.arrival)
	if bad != nil {
		l.refuse(ctx, intake.Keep(event), bad)
		return
	}
	if !f.stands.take(&rec) {
		l.err = f.deps.Writer.Send(ctx, &l.sent.receipt, schemas.TopicEvents, rec.Record)
	}
	if l.err != nil {
		return
	}
	l.sent.counts.Accepted++
	if len(f.known) > 0 {
		if _, found := slices.BinarySearch(f.known, history.HashID(rec.ID)); found {
			l.sent.counts.Repeated++
		}
	}
	if f.lives != nil && f.lives.watches(rec.Key) {
		l.sent.records = append(l.sent.records, happened{rec.Key, rec.Happened})
	}
}

// refuse reports a line and keeps what remains of it on the rejected topic.
func (l *line) refuse(ctx context.Context, what intake.Remains, why *schemas.Error) {
	f := l.file
	l.sent.counts.Refused++
	f.deps.Metrics.Refused(f.src, why.Reason)
	f.deps.Refused(Refusal{File: f.name, Line: l.n, Err: why})
	rec, err := intake.Reject(what, f.src, intake.Place{Topic: f.name, Offset: l.n}, why, l.arrival)
	if err == nil {
		err = f.deps.Writer.Send(ctx, &l.sent.receipt, schemas.TopicRejected, rec)
	}
	l.err = err
}
