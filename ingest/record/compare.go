package record

import (
	"context"
	"fmt"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
)

// Held is a row's place within its partition: rows of a log that was replaced have
// the same offsets and other arrivals.
type Held struct {
	Offset  int64
	Arrival int64 // Unix milliseconds
}

// compare reads a stretch from the log, holds each record that gives a row against
// the store, and has what is missing recorded again. It returns how many rows were
// missing and how many the stretch gives.
func (c *checker) compare(ctx context.Context, s *stream, from, to int64) (missing, rows int, err error) {
	j := &job{r: c.r, gen: c.d.gen, s: s, b: &batch{Range: c.rangeOf(s, from, to)}}
	want := make(map[Held]bool)
	enc, scratch := newEncoder(), clickhouse.NewBlock(s.table.Table)
	err = j.scan(ctx, func(r *kafka.Record) {
		if enc.append(scratch, s.place, r) == stored {
			want[Held{r.Offset, arrival(r)}] = true
		}
		if scratch.Rows() >= 1000 || scratch.Memory() > 4<<20 {
			scratch.Reset()
		}
	})
	if err != nil {
		return 0, 0, err
	}
	rows = len(want)
	held, err := c.r.deps.Store.Held(ctx, s.table.Name, j.b.Range)
	if err != nil {
		return 0, 0, err
	}
	lacks := make(map[int64]bool)
	for h := range want {
		if !held[h] {
			lacks[h.Offset] = true
		}
	}
	if len(lacks) == 0 {
		return 0, rows, nil
	}
	rejected, err := c.r.deps.Store.Rejected(ctx, j.b.Range)
	if err != nil {
		return 0, 0, err
	}
	for _, r := range rejected {
		if lacks[r.Offset] && ofValues[r.Code] {
			delete(lacks, r.Offset)
			rows--
		}
	}
	if len(lacks) == 0 {
		return 0, rows, nil
	}
	c.r.metrics.missing.WithLabelValues(string(s.place.topic)).Add(float64(len(lacks)))
	c.r.log.Error("the audit store has lost rows that it had acknowledged; they are recorded again", "range", j.b.Token(), "rows", len(lacks), "of", rows)
	return len(lacks), rows, c.recordAgain(ctx, j, lacks)
}

// recordAgain reads the stretch again and has the records that are lacking inserted,
// in as many inserts as their months and sizes need.
func (c *checker) recordAgain(ctx context.Context, j *job, lacks map[int64]bool) error {
	run := time.Now().UnixMilli()
	var full []*batch
	var b *batch
	enc := newEncoder()
	size := 0
	next := func(offset int64) {
		b = &batch{Range: j.b.Range, block: clickhouse.NewBlock(j.s.table.Table)}
		b.From, b.Again = offset, fmt.Sprint(run, "/", len(full))
		full = append(full, b)
	}
	err := j.scan(ctx, func(r *kafka.Record) {
		if !lacks[r.Offset] || size > c.r.cfg.Memory/8 {
			return // what there is no room for is found by the next comparison
		}
		if b == nil || !b.fits(r, &c.r.cfg) {
			next(r.Offset)
		}
		b.add(enc, j.place(), r)
		size += len(r.Value) + recordCost
	})
	if err != nil {
		return err
	}
	for _, b := range full {
		only := map[int64]bool{}
		for o := range lacks {
			only[o] = o >= b.From && o < b.To
		}
		again := &job{s: j.s, b: b, only: only, done: make(chan struct{})}
		rows := b.block.Rows() // the block is the reader's from here on
		select {
		case c.d.repairs <- again:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-again.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.r.metrics.again.WithLabelValues(string(j.s.place.topic)).Add(float64(rows))
	}
	if size > c.r.cfg.Memory/8 {
		c.r.check()
	}
	return nil
}
