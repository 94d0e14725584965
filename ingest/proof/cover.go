package proof

import (
	"context"
	"errors"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/ingest/record"
	"holdfast/schemas"
)

// BatchOffsets is the most offsets that one batch covers: a batch ends where an offset
// is divisible by it.
const BatchOffsets = 4096

// Single tells whether each row of a journal has a leaf of its own.
func Single(t schemas.Topic) bool {
	switch t {
	case schemas.TopicEvents, schemas.TopicInbox, schemas.TopicRejected:
		return false
	}
	return true
}

// cutter makes batches of one partition.
type cutter struct {
	p      *Prover
	tp     kafka.TopicPartition
	topic  schemas.Topic
	table  schemas.Table
	form   *clickhouse.Canonical
	enc    *record.Encoder
	block  *clickhouse.Block
	hash   hasher
	next   int64 // offset to read
	end    int64 // of the log, when the round began
	seq    int64 // of the last batch that was closed
	open   *Batch
	closed []*Batch
}

// flushAt is how many closed batches are written at once.
const flushAt = 256

// fetchBytes bounds a fetch.
const fetchBytes = 8 << 20

// cover makes leaves of what the journals hold, up to the last stretch of time that is
// over.
func (p *Prover) cover(ctx context.Context) error {
	cutters, err := p.cutters(ctx)
	if err != nil {
		return err
	}
	over := time.Now().Add(-p.cfg.Slack).Truncate(p.cfg.Every).UnixMilli()
	var scratch kafka.Scratch
	for {
		var at []kafka.Position
		waiting := map[kafka.TopicPartition]*cutter{}
		for _, c := range cutters {
			if c.next < c.end && len(at) < 32 { // bounds what is open at once
				at = append(at, kafka.Position{TopicPartition: c.tp, Offset: c.next})
				waiting[c.tp] = c
			}
		}
		if len(at) == 0 {
			break
		}
		got, err := p.deps.Broker.Fetch(ctx, at, kafka.FetchOptions{MaxWait: 100 * time.Millisecond, MaxBytes: fetchBytes, PartitionMaxBytes: fetchBytes, Scratch: &scratch})
		if err != nil {
			return err
		}
		closed := 0
		for i := range got {
			c := waiting[got[i].TopicPartition]
			if c == nil {
				continue
			}
			if err := c.take(&got[i], over); err != nil {
				return err
			}
		}
		for _, c := range cutters {
			closed += len(c.closed)
		}
		if closed >= flushAt {
			if err := p.flush(ctx, cutters); err != nil {
				return err
			}
		}
	}
	for _, c := range cutters {
		c.endOfLog()
	}
	return p.flush(ctx, cutters)
}

// cutters says where each partition goes on.
func (p *Prover) cutters(ctx context.Context) ([]*cutter, error) {
	var out []*cutter
	var tps []kafka.TopicPartition
	for _, t := range schemas.Tables() {
		form, enc, block := clickhouse.NewCanonical(t), record.NewEncoder(), clickhouse.NewBlock(t)
		for lane := range int32(p.cfg.Lanes) { // #nosec G115 -- a number of partitions
			c := &cutter{p: p, topic: t.Topic, table: t, form: form, enc: enc, block: block, tp: kafka.TopicPartition{Topic: p.cfg.Prefix + string(t.Topic), Partition: lane}}
			out, tps = append(out, c), append(tps, c.tp)
		}
	}
	logs, err := p.deps.Broker.Offsets(ctx, tps)
	if err != nil {
		return nil, err
	}
	var behind int64
	for _, c := range out {
		r, cov := logs[c.tp], p.tree.Fold().Of(c.topic, c.tp.Partition)
		c.end, c.seq, c.next = r.End, cov.Seq, max(cov.To, r.Start)
		behind += max(c.end-c.next, 0)
	}
	p.metrics.behind.Set(float64(behind))
	return out, nil
}

// take takes what a fetch brought. Only stretches of time that are over are covered;
// what is younger is read again by a later round.
func (c *cutter) take(f *kafka.Fetched, over int64) error {
	if f.Err != nil {
		if errors.Is(f.Err, kafka.ErrOffsetOutOfRange) { // retention has passed by
			c.next, c.open = c.end, nil
			return nil
		}
		return f.Err
	}
	for i := range f.Records {
		r := &f.Records[i]
		if r.Offset >= c.end {
			break
		}
		if !Single(c.topic) && record.Arrival(r) >= over {
			c.next, c.end = r.Offset, r.Offset // what is before it is over
			c.close()
			return nil
		}
		if err := c.add(r); err != nil {
			return err
		}
	}
	c.next = f.Next
	return nil
}

// endOfLog closes the last batch: its stretch of time is over. What has no row at the end
// of a journal whose rows have leaves of their own belongs to the next row's batch.
func (c *cutter) endOfLog() {
	if !Single(c.topic) {
		c.close()
	}
	c.open = nil
}

func (c *cutter) period(ms int64) int64 { return ms / c.p.cfg.Every.Milliseconds() }

// add takes one record into the open batch, or into a new one.
func (c *cutter) add(r *kafka.Record) error {
	at := record.Arrival(r)
	if b := c.open; b != nil && !Single(c.topic) && (b.From/BatchOffsets != r.Offset/BatchOffsets || c.period(b.First) != c.period(at)) {
		c.close()
	}
	if c.open == nil {
		seed := newSeed()
		c.open = &Batch{LogID: c.p.cfg.LogID, Topic: c.topic, Partition: c.tp.Partition, Seq: c.seq + 1, From: r.Offset, First: at, Seed: &seed}
		c.seq++
	}
	b := c.open
	b.First, b.Last, b.To = min(b.First, at), max(b.Last, at), r.Offset+1
	c.block.Reset()
	if !c.enc.Append(c.block, c.topic, c.tp.Partition, r) {
		return nil
	}
	err := c.form.Rows(c.block, func(offset int64, row []byte) {
		b.Offsets = append(b.Offsets, offset)
		b.Commitments = append(b.Commitments, c.hash.commit(b.Seed.Salt(offset), row))
	})
	if err != nil {
		return err
	}
	if Single(c.topic) {
		b.ID, b.Time = rowNames(r)
		c.close()
	}
	return nil
}

// rowNames are the id and the time by which people know a finding.
func rowNames(r *kafka.Record) (id string, at int64) {
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderID {
			id = string(h.Value)
		}
	}
	return id, r.Time
}

func (c *cutter) close() {
	if c.open != nil {
		c.closed = append(c.closed, c.open)
		c.open = nil
	}
}

// flush keeps the salts of what was closed, appends its leaves and takes them into the
// tree.
func (p *Prover) flush(ctx context.Context, cutters []*cutter) error {
	var all []*Batch
	for _, c := range cutters {
		all = append(all, c.closed...)
		c.closed = nil
	}
	if len(all) == 0 {
		return nil
	}
	if err := p.current(ctx); err != nil {
		return err
	}
	version := uint64(time.Now().UnixNano()) // #nosec G115 -- it is after 1970
	entries := make([]Entry, len(all))
	for i, b := range all {
		b.Version = version
		var err error
		if entries[i], err = b.Entry(); err != nil {
			return err
		}
	}
	if err := storeBatches(ctx, p.deps.Store, all); err != nil {
		return err
	}
	if err := p.write(ctx, entries); err != nil {
		return err
	}
	if err := p.follow(ctx); err != nil {
		return err
	}
	for i, b := range all {
		if c := p.tree.Fold().Of(b.Topic, b.Partition); c.Seq < b.Seq {
			return errors.New("proof: another process has written to the log of proof; this one begins again")
		}
		p.metrics.batches.WithLabelValues(string(b.Topic)).Inc()
		p.metrics.rows.WithLabelValues(string(b.Topic)).Add(float64(entries[i].Rows))
	}
	return nil
}
