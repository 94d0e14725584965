package record

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// takeOver finds out where each partition goes on. Ranges that an earlier owner
// left open are stored again, exactly those, by inserts of their own.
func (d *reader) takeOver(ctx, work context.Context) error {
	tps := d.partitions()
	committed, err := d.r.deps.Broker.Committed(ctx, d.r.cfg.Group, tps)
	if err != nil {
		return err
	}
	logs, err := d.r.deps.Broker.Offsets(ctx, tps)
	if err != nil {
		return err
	}
	d.asked = time.Now()
	for _, s := range d.order {
		if err := d.begin(ctx, work, s, committed[s.tp], logs[s.tp]); err != nil {
			return fmt.Errorf("%s/%d: %w", s.tp.Topic, s.tp.Partition, err)
		}
		if s.setStored(s.next); s.busy { // an open range is stored again
			s.setStored(min(committed[s.tp].Offset, s.next))
		}
	}
	return nil
}

// begin decides where one partition goes on.
func (d *reader) begin(ctx, work context.Context, s *stream, c kafka.Committed, log kafka.Range) error {
	s.high = log.End
	m, err := parseMark(c.Metadata, d.r.cfg.LogID)
	if err != nil {
		return err
	}
	switch other := m.logID != d.r.cfg.LogID; {
	case c.Offset < 0:
		return d.beginNew(ctx, s, log)
	case other && d.r.cfg.NewLog:
		return d.beginOther(ctx, s, c.Offset, m, log)
	case !other && max(c.Offset, m.to) > log.End:
		return fmt.Errorf("it ends at %d, but records up to %d were read from it: %w: if its topics were made anew, or records at its end were lost, run with --new-log, which gives the log another id", log.End, max(c.Offset, m.to), ErrOtherLog)
	case m.open:
		b := &batch{Range: Range{LogID: m.logID, Topic: s.place.topic, Partition: s.tp.Partition, From: c.Offset, To: m.to}}
		s.next = min(m.to, log.End)
		d.start(work, &job{s: s, b: b, again: true, closeAt: s.next})
	default:
		s.next = min(c.Offset, log.End) // beyond it only where the log id changed because its tail was lost
	}
	return d.skipDeleted(ctx, s, log)
}

// beginNew begins a partition for which nothing is committed.
func (d *reader) beginNew(ctx context.Context, s *stream, log kafka.Range) error {
	var n int
	err := d.persist(ctx, "counting", func() (err error) {
		n, err = d.r.deps.Store.Stored(ctx, s.table.Name, Range{LogID: s.place.logID, Topic: s.place.topic, Partition: s.tp.Partition, To: 1 << 62})
		return err
	})
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("no offset is committed, but the store has %d of its records under log id %s: %w: run with --new-log, which gives the log another id", n, s.place.logID, ErrOtherLog)
	}
	s.next = 0
	return d.skipDeleted(ctx, s, log)
}

// beginOther begins a log that replaced the one that was recorded so far. What
// was open of that one can no longer be read.
func (d *reader) beginOther(ctx context.Context, s *stream, from int64, m mark, log kafka.Range) error {
	if m.open {
		if err := d.missed(ctx, s, Range{LogID: m.logID, Topic: s.place.topic, Partition: s.tp.Partition, From: from, To: m.to}, "the log was replaced before they were recorded"); err != nil {
			return err
		}
	}
	s.next = log.Start
	return d.persist(ctx, "committing", func() error {
		return d.r.deps.Broker.Commit(ctx, d.gen.Assignment, map[kafka.TopicPartition]kafka.Committed{s.tp: mark{logID: d.r.cfg.LogID}.at(log.Start)})
	})
}

// skipDeleted goes on at the log's beginning where what stood before it was
// deleted, and says so.
func (d *reader) skipDeleted(ctx context.Context, s *stream, log kafka.Range) error {
	if s.next >= log.Start {
		return nil
	}
	r := Range{LogID: s.place.logID, Topic: s.place.topic, Partition: s.tp.Partition, From: s.next, To: log.Start}
	s.next = log.Start
	return d.missed(ctx, s, r, "they were deleted before they were recorded")
}

// skipGone goes on behind what was deleted before it was read, once all that was
// read before is stored.
func (d *reader) skipGone(ctx context.Context) error {
	for _, s := range d.order {
		if !s.gone || s.busy || s.batch != nil {
			continue
		}
		logs, err := d.r.deps.Broker.Offsets(ctx, []kafka.TopicPartition{s.tp})
		if err != nil {
			return err
		}
		if log := logs[s.tp]; s.next > log.End {
			return fmt.Errorf("%s/%d ends at %d, before what is to be read next: %w", s.tp.Topic, s.tp.Partition, log.End, kafka.ErrOffsetOutOfRange)
		}
		if err := d.skipDeleted(ctx, s, logs[s.tp]); err != nil {
			return err
		}
		s.gone = false
	}
	return nil
}

// missed writes down a stretch that cannot be recorded, unless the store has it.
func (d *reader) missed(ctx context.Context, s *stream, r Range, reason string) error {
	return d.persist(ctx, "writing down a gap", func() error {
		n, err := d.r.deps.Store.Stored(ctx, s.table.Name, r)
		if err != nil || n > 0 {
			return err
		}
		return d.r.writeGap(ctx, r, reason)
	})
}

func (d *reader) persist(ctx context.Context, what string, f func() error) error {
	j := job{r: d.r, gen: d.gen, b: &batch{Range: Range{LogID: d.r.cfg.LogID}}}
	return j.persist(ctx, what, f)
}

// readAgain reads an open range's records anew.
func (j *job) readAgain(ctx context.Context) error {
	enc := newEncoder()
	fresh := &batch{Range: j.b.Range, block: clickhouse.NewBlock(j.s.table.Table)}
	err := j.scan(ctx, func(r *kafka.Record) { fresh.add(enc, j.place(), r) })
	if err != nil {
		return err
	}
	fresh.To = j.b.To
	*j.b = *fresh
	return nil
}

// scan reads the range's records from the log. What the log no longer has becomes
// a gap, unless the store has it.
func (j *job) scan(ctx context.Context, each func(*kafka.Record)) error {
	next := j.b.From
	for next < j.b.To {
		var got []kafka.Fetched
		var log kafka.Range
		err := j.persist(ctx, "reading", func() error {
			logs, err := j.r.deps.Broker.Offsets(ctx, []kafka.TopicPartition{j.s.tp})
			if err != nil {
				return err
			}
			if log = logs[j.s.tp]; next < log.Start || next >= log.End {
				return nil
			}
			got, err = j.r.deps.Broker.Fetch(ctx, []kafka.Position{{TopicPartition: j.s.tp, Offset: next}}, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 4 << 20, PartitionMaxBytes: 4 << 20})
			if err == nil && len(got) == 1 {
				err = got[0].Err
			}
			return err
		})
		switch {
		case err != nil:
			return err
		case next >= log.End:
			return nil // the tail was lost; the log goes on under another id
		case next < log.Start:
			lost := j.b.Range
			lost.From, lost.To = next, min(log.Start, j.b.To)
			if err := j.missed(ctx, lost); err != nil {
				return err
			}
			next = log.Start
		case len(got) == 1:
			for i := range got[0].Records {
				if r := &got[0].Records[i]; r.Offset < j.b.To {
					each(r)
				}
			}
			next = max(next, got[0].Next)
		}
	}
	return nil
}

func (j *job) missed(ctx context.Context, r Range) error {
	n, err := j.stored(ctx, j.s.table.Name)
	if err != nil || n > 0 {
		return err
	}
	return j.persist(ctx, "writing down a gap", func() error {
		return j.r.writeGap(ctx, r, "they were deleted before they were recorded")
	})
}

// writeGap writes a gap record. Its id follows from the stretch alone.
func (r *Recorder) writeGap(ctx context.Context, g Range, reason string) error {
	id := schemas.DeriveID("gap", g.LogID, string(g.Topic), fmt.Sprint(g.Partition), fmt.Sprint(g.From), fmt.Sprint(g.To))
	value, err := json.Marshal(schemas.Gap{
		ID: id, Time: time.Now().UTC().Truncate(time.Millisecond), Topic: g.Topic, Partition: g.Partition, From: g.From, To: g.To,
		Reason: "recorder: " + reason + " (log " + g.LogID + ")",
	})
	if err != nil {
		return err
	}
	if err := r.write(ctx, schemas.TopicGaps, schemas.KindGap, id, value); err != nil {
		return err
	}
	r.metrics.gaps.WithLabelValues(string(g.Topic)).Inc()
	r.log.Error("records are missing in the audit store", "journal", g.Topic, "partition", g.Partition, "from", g.From, "to", g.To, "reason", reason)
	return nil
}

// write appends a finding of the recorder's own to a journal.
func (r *Recorder) write(ctx context.Context, topic schemas.Topic, kind schemas.Kind, id string, value []byte) error {
	tp := kafka.TopicPartition{Topic: r.cfg.Prefix + string(topic), Partition: kafka.Partition([]byte(id), r.cfg.Lanes)}
	return r.deps.Broker.Write(ctx, tp, []kafka.Record{{
		Time: time.Now().UnixMilli(), Key: []byte(id), Value: value,
		Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte(kind)},
			{Key: schemas.HeaderID, Value: []byte(id)},
			{Key: schemas.HeaderSource, Value: []byte("record")},
		},
	}})
}

// clip bounds a text that others wrote and makes it valid.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), schemas.MaxText)], "\uFFFD") }
