package record

import (
	"sync/atomic"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// stream is one partition of one journal as its reader sees it. Records are
// encoded as they are read; batch holds those that no insert has taken yet, and
// at most one insert runs, so that ranges are stored in their order.
type stream struct {
	tp    kafka.TopicPartition
	place place
	table *table

	next   int64 // the offset to read next
	high   int64 // the end of the log when it was last read; -1 before
	stored int64 // up to which offset the store has it
	batch  *batch
	busy   bool // an insert runs
	// closed is stored, for the checker: all before it is committed.
	closed atomic.Int64
	gone   bool // the log no longer has what is to be read next
}

// table is what the streams of one journal share.
type table struct {
	schemas.Table
	running int // inserts
	held    int // bytes of rows, waiting or being inserted
	free    []*clickhouse.Block
	spare   int // bytes of the free blocks
}

func (t *table) take() *clickhouse.Block {
	if n := len(t.free); n > 0 {
		b := t.free[n-1]
		t.free = t.free[:n-1]
		t.spare -= b.Memory()
		return b
	}
	return clickhouse.NewBlock(t.Table)
}

// give keeps a block for the next batch, as far as there is room.
func (t *table) give(b *clickhouse.Block, room int) {
	if n := b.Memory(); t.spare+n <= room {
		b.Reset()
		t.free = append(t.free, b)
		t.spare += n
	}
}

// batch is a range that is being filled, and its rows.
type batch struct {
	Range
	block   *clickhouse.Block // nil for a range that has to be read again
	began   time.Time         // when its first record was read
	cost    int               // bytes of the records in it
	held    int               // bytes of memory, as last measured
	sealed  bool              // takes no more
	bad     []badRow
	badCost int
}

// badRow is a record that goes to the rejected topic.
type badRow struct {
	record kafka.Record // a copy
	why    string
}

// What a batch may hold of bad rows before it is sealed: hostile ones must not
// fill the memory.
const (
	maxBadRows  = 1000
	maxBadBytes = 8 << 20
)

// recordCost is what a record adds to a range beside its value: its position and
// what little is kept of absent fields.
const recordCost = 128

func (s *stream) setStored(offset int64) {
	s.stored = offset
	s.closed.Store(offset)
}

func (s *stream) newBatch(now time.Time) *batch {
	return &batch{
		Range: Range{LogID: s.place.logID, Topic: s.place.topic, Partition: s.tp.Partition, From: s.next, To: s.next},
		block: s.table.take(), began: now,
	}
}

// month is what rows are partitioned by.
func month(ms int64) int {
	t := time.UnixMilli(ms).UTC()
	return t.Year()*12 + int(t.Month())
}

// fits tells whether a record may join the batch: a range has one month of
// arrival, and bounded rows and bytes.
func (b *batch) fits(r *kafka.Record, cfg *Config) bool {
	switch n := b.block.Rows(); {
	case n == 0:
		return len(b.bad) < maxBadRows && b.badCost < maxBadBytes
	case n >= cfg.MaxRows, b.cost+len(r.Value)+recordCost > cfg.MaxBytes, b.block.Full():
		return false
	case len(b.bad) >= maxBadRows, b.badCost >= maxBadBytes:
		return false
	}
	return month(arrival(r)) == month(b.Oldest)
}

// arrival is the record's, as the store can hold it.
func arrival(r *kafka.Record) int64 {
	return min(max(r.Time, clickhouse.MinTime), clickhouse.MaxTime)
}

// add encodes a record into the batch.
func (b *batch) add(e *encoder, at place, r *kafka.Record) fate {
	f := e.append(b.block, at, r)
	switch f {
	case stored:
		t := arrival(r)
		if b.block.Rows() == 1 {
			b.Oldest, b.Newest = t, t
		}
		b.Oldest, b.Newest = min(b.Oldest, t), max(b.Newest, t)
		b.cost += len(r.Value) + recordCost
	case unfit:
		b.bad = append(b.bad, badRow{copyOf(r), "field \"time\": the store holds times up to the year 2299"})
		b.badCost += len(r.Value)
	}
	b.To = r.Offset + 1
	return f
}

func copyOf(r *kafka.Record) kafka.Record {
	c := kafka.Record{Offset: r.Offset, Time: r.Time, Key: append([]byte(nil), r.Key...), Value: append([]byte(nil), r.Value...)}
	for _, h := range r.Headers {
		c.Headers = append(c.Headers, kafka.Header{Key: h.Key, Value: append([]byte(nil), h.Value...)})
	}
	return c
}
