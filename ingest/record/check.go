package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// blockSize is how many offsets are compared as one: what a block lacks is found by
// reading its records again, some 6 MB.
const blockSize = 16_384

// checker compares what the store holds with what is committed: at the beginning of
// a generation, after a spell of failed inserts, and every CheckEvery. An engine whose
// disk was full or whose machine went down can lose rows that it had acknowledged.
//
// A table is asked once how many offsets it holds of each block. A block that has all
// is whole; one that has as many as its records were found to give, too (fences,
// records that give no row and rejected ones have none). Any other is read from the
// log and compared record by record: what is missing is recorded again, under a token
// of its own. A block that has left the log and lost rows since it was last compared
// becomes a gap. It keeps 40 bytes a block of 16,384 offsets in memory.
type checker struct {
	r      *Recorder
	d      *reader // of which it reads what does not change, and streams' closed
	blocks map[*stream]map[int64]checked
	began  bool // the first comparison is over
}

// checked is what is known of a block: up to which offset it was compared, how many
// rows it gives, and a bound of their arrival in Unix milliseconds.
type checked struct {
	to    int64
	rows  int
	since int64
}

// arrivalSlack is by how much the clocks of those who write to a partition may differ.
const arrivalSlack = 10 * 60 * 1000

func (d *reader) newChecker() *checker {
	c := &checker{r: d.r, d: d, blocks: map[*stream]map[int64]checked{}}
	for _, s := range d.order {
		c.blocks[s] = map[int64]checked{}
	}
	return c
}

func (c *checker) run(ctx context.Context) {
	next := c.r.cfg.CheckAfter
	for {
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-c.r.checkNow:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return
		}
		next = c.r.cfg.CheckEvery
		tries := c.r.trouble.attempt("comparing the audit store with the log")
		for pause := time.Second; ; pause = min(max(2*pause, time.Second), time.Minute) {
			err := c.check(ctx)
			if err == nil || ctx.Err() != nil || errors.Is(err, kafka.ErrStaleGeneration) {
				break
			}
			tries.failed(err)
			if c.r.setAside(ctx, err) {
				pause = 0
			}
			if !wait(ctx, c.d.gen.Done, pause) {
				break
			}
		}
		tries.over()
	}
}

// check compares every partition once.
func (c *checker) check(ctx context.Context) error {
	started, missing := time.Now(), 0
	for _, t := range c.r.tables {
		n, err := c.checkTable(ctx, t)
		missing += n
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	c.began = true
	c.r.metrics.checks.Inc()
	c.r.metrics.checkTime.SetToCurrentTime()
	if took := time.Since(started); missing > 0 {
		c.r.log.Error("rows were missing in the audit store; see recorded_again and the gaps", "rows", missing, "took", took.Round(time.Millisecond))
	}
	return nil
}

// checkTable compares one table and returns how many rows it lacked.
func (c *checker) checkTable(ctx context.Context, t schemas.Table) (missing int, err error) {
	var streams []*stream
	var tps []kafka.TopicPartition
	for _, s := range c.d.order {
		if s.place.topic == t.Topic {
			streams, tps = append(streams, s), append(tps, s.tp)
		}
	}
	logs, err := c.r.deps.Broker.Offsets(ctx, tps)
	if err != nil {
		return 0, err
	}
	since, err := c.firstArrivals(ctx, tps, logs)
	if err != nil {
		return 0, err
	}
	spans, log := make([]Span, len(streams)), make([]kafka.Range, len(streams))
	for i, s := range streams {
		log[i] = kafka.Range{Start: logs[s.tp].Start, End: min(s.closed.Load(), logs[s.tp].End)}
		spans[i] = Span{Partition: s.tp.Partition, From: log[i].Start, To: log[i].End, Since: since[s.tp]}
		if low, ok := c.lowest(s); ok && low*blockSize < spans[i].From { // it has left the log
			spans[i].From, spans[i].Since = low*blockSize, c.blocks[s][low].since
		}
	}
	counts, err := c.r.deps.Store.Counts(ctx, t.Name, t.Topic, spans, blockSize)
	if err != nil {
		return 0, err
	}
	for i, s := range streams {
		held := counts[s.tp.Partition]
		n, err := c.checkGone(ctx, s, log[i].Start, held)
		if missing += n; err != nil {
			return missing, err
		}
		if !c.began {
			if err := c.checkHoles(ctx, s, log[i].Start); err != nil {
				return missing, err
			}
		}
		for from := log[i].Start; from < log[i].End; {
			to := min((from/blockSize+1)*blockSize, log[i].End)
			n, err := c.checkBlock(ctx, s, from, to, held[from/blockSize], since[s.tp])
			if missing += n; err != nil {
				return missing, err
			}
			from = to
		}
	}
	return missing, nil
}

func (c *checker) lowest(s *stream) (int64, bool) {
	if len(c.blocks[s]) == 0 {
		return 0, false
	}
	return slices.Min(slices.Collect(maps.Keys(c.blocks[s]))), true
}

// firstArrivals tells when the first record of each partition's log arrived: rows
// that arrived long before are another log's. 0 where it is not known.
func (c *checker) firstArrivals(ctx context.Context, tps []kafka.TopicPartition, logs map[kafka.TopicPartition]kafka.Range) (map[kafka.TopicPartition]int64, error) {
	out := map[kafka.TopicPartition]int64{}
	var at []kafka.Position
	for _, tp := range tps {
		if logs[tp].Start < logs[tp].End {
			at = append(at, kafka.Position{TopicPartition: tp, Offset: logs[tp].Start})
		}
	}
	if len(at) == 0 {
		return out, nil
	}
	got, err := c.r.deps.Broker.Fetch(ctx, at, kafka.FetchOptions{MaxWait: 100 * time.Millisecond, MaxBytes: 4 << 20, PartitionMaxBytes: 4 << 10})
	if err != nil {
		return nil, err
	}
	for i := range got {
		if f := &got[i]; f.Err == nil && len(f.Records) > 0 {
			out[f.TopicPartition] = max(arrival(&f.Records[0])-arrivalSlack, 0)
		}
	}
	return out, nil
}

// checkGone looks a last time at blocks that have left the log: what they lost since
// they were compared cannot be recorded again.
func (c *checker) checkGone(ctx context.Context, s *stream, start int64, held map[int64]int) (missing int, err error) {
	for _, block := range slices.Sorted(maps.Keys(c.blocks[s])) {
		known := c.blocks[s][block]
		if known.to > start {
			break
		}
		if lost := known.rows - held[block]; lost > 0 {
			r := c.rangeOf(s, block*blockSize, known.to)
			c.r.metrics.missing.WithLabelValues(string(s.place.topic)).Add(float64(lost))
			missing += lost
			if err := c.gap(ctx, r, fmt.Sprintf("%d of %d rows were lost by the audit store after they left the log", lost, known.rows)); err != nil {
				return missing, err
			}
		}
		delete(c.blocks[s], block)
	}
	return missing, nil
}

// holesWithin is how far back blocks without a single row are looked for that left
// the log before this process could compare them.
const holesWithin = 30 * 24 * time.Hour

// checkHoles looks, once, for whole blocks that the store lacks between others and
// that the log no longer has.
func (c *checker) checkHoles(ctx context.Context, s *stream, start int64) error {
	if start < 2*blockSize {
		return nil
	}
	span := Span{Partition: s.tp.Partition, To: start / blockSize * blockSize, Since: time.Now().Add(-holesWithin).UnixMilli(), LogID: s.place.logID}
	counts, err := c.r.deps.Store.Counts(ctx, s.table.Name, s.place.topic, []Span{span}, blockSize)
	held := counts[s.tp.Partition]
	if err != nil || len(held) == 0 {
		return err
	}
	low := slices.Min(slices.Collect(maps.Keys(held)))
	for block := low; block < span.To/blockSize; block++ {
		if held[block] > 0 {
			continue
		}
		from := block
		for block < span.To/blockSize && held[block] == 0 {
			block++
		}
		if err := c.gap(ctx, c.rangeOf(s, from*blockSize, block*blockSize), "the audit store holds none of them, and the log no longer does"); err != nil {
			return err
		}
	}
	return nil
}

// gap writes a stretch down, once.
func (c *checker) gap(ctx context.Context, r Range, reason string) error {
	known, err := c.r.deps.Store.InGap(ctx, r)
	if err != nil || known {
		return err
	}
	return c.r.writeGap(ctx, r, reason)
}

func (c *checker) rangeOf(s *stream, from, to int64) Range {
	return Range{LogID: s.place.logID, Topic: s.place.topic, Partition: s.tp.Partition, From: from, To: to}
}

// checkBlock compares one block, or what the log has of it, and sees to it that what
// is missing is recorded again.
func (c *checker) checkBlock(ctx context.Context, s *stream, from, to int64, held int, since int64) (missing int, err error) {
	c.r.metrics.checked.WithLabelValues(string(s.place.topic)).Add(float64(to - from))
	block := from / blockSize
	known, ok := c.blocks[s][block]
	if ok && from > block*blockSize {
		return c.checkLeaving(ctx, s, from, to, held, known)
	}
	rows := int(to - from)
	if held < rows && (!ok || known.to != to || held != known.rows) {
		if missing, rows, err = c.compare(ctx, s, from, to); err != nil {
			return missing, err
		}
	} else if held < rows {
		rows = known.rows
	}
	if from == block*blockSize {
		c.blocks[s][block] = checked{to: to, rows: rows, since: since}
	}
	return missing, nil
}

// checkLeaving compares a block that the log's beginning has moved into; it is still
// counted as a whole.
func (c *checker) checkLeaving(ctx context.Context, s *stream, from, to int64, held int, known checked) (missing int, err error) {
	if known.to == to && held >= known.rows {
		return 0, nil
	}
	if missing, _, err = c.compare(ctx, s, from, to); err != nil {
		return missing, err
	}
	block := from / blockSize
	if lost := known.rows - held - missing; lost > 0 {
		missing += lost
		c.r.metrics.missing.WithLabelValues(string(s.place.topic)).Add(float64(lost))
		if err := c.gap(ctx, c.rangeOf(s, block*blockSize, from), fmt.Sprintf("%d rows were lost by the audit store after they left the log", lost)); err != nil {
			return missing, err
		}
		held -= lost // which stay away
	}
	c.blocks[s][block] = checked{to: to, rows: held + missing, since: known.since}
	return missing, nil
}
