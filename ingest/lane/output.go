package lane

import (
	"context"
	"errors"
	"time"
	"unsafe"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// outRecord is a record on its way: an output of the fold, or a whole record that is
// forwarded as it came.
type outRecord struct {
	out     schemas.Output
	raw     *kafka.Record
	serial  int64
	arrival int64 // of the record that caused it, Unix milliseconds; 0 is not measured
	size    int
}

// dest is one partition that a lane writes to. One batch is on the way at a time, so
// that a retry repeats exactly the batch whose outcome is unknown.
type dest struct {
	at       kafka.TopicPartition
	topic    schemas.Topic
	bulk     bool
	sequence int32
	since    time.Time // when the first of pending was put there
	bytes    int       // of pending
	pending  []outRecord
	sending  []outRecord // empty: nothing is on the way
	records  []kafka.Record
	headers  []kafka.Header
}

// first is the serial number of the oldest unacknowledged output here.
func (d *dest) first() (int64, bool) {
	switch {
	case len(d.sending) > 0:
		return d.sending[0].serial, true
	case len(d.pending) > 0:
		return d.pending[0].serial, true
	}
	return 0, false
}

// mark says that outputs up to a serial number come from an input's offset.
type mark struct{ serial, offset int64 }

// outbox holds what a lane has to send. Outputs are numbered in the order in which
// they were emitted; acked says up to which number all are acknowledged.
type outbox struct {
	dests  map[kafka.TopicPartition]*dest
	all    []*dest
	serial int64
	acked  int64
	bytes  int
	marks  [maxInputs]queue[mark]
}

func newOutbox() outbox { return outbox{dests: map[kafka.TopicPartition]*dest{}} }

// maxBatch bounds one batch: with one record beyond it, still below
// schemas.MaxMessageBytes.
const (
	maxBatch        = 768 << 10
	maxBatchRecords = 5000
	recordOverhead  = 64
)

func (o *outbox) dest(at kafka.TopicPartition, topic schemas.Topic, bulk bool) *dest {
	d := o.dests[at]
	if d == nil {
		d = &dest{at: at, topic: topic, bulk: bulk}
		o.dests[at] = d
		o.all = append(o.all, d)
	}
	return d
}

func (o *outbox) put(d *dest, r outRecord, now time.Time) {
	o.serial++
	r.serial = o.serial
	if len(d.pending) == 0 {
		d.since = now
	}
	d.pending = append(d.pending, r)
	d.bytes += r.size
	o.bytes += r.size
}

// came notes that the outputs put since the serial number before come from an input's offset.
func (o *outbox) came(before int64, input int, offset int64) {
	if o.serial > before {
		o.marks[input].push(mark{o.serial, offset})
	}
}

// floor is the first offset of an input with an unacknowledged output.
func (o *outbox) floor(input int) (int64, bool) {
	q := &o.marks[input]
	for q.len() > 0 && q.first().serial <= o.acked {
		q.pop()
	}
	if q.len() == 0 {
		return 0, false
	}
	return q.first().offset, true
}

func (o *outbox) empty() bool { return o.acked == o.serial }

// ack takes what was on the way to a partition as acknowledged.
func (o *outbox) ack(d *dest) {
	for i := range d.sending {
		o.bytes -= d.sending[i].size
	}
	d.sequence = kafka.NextSequence(d.sequence, len(d.sending))
	clear(d.sending)
	d.sending = d.sending[:0]
	o.acked = o.serial
	for _, d := range o.all {
		if first, waits := d.first(); waits {
			o.acked = min(o.acked, first-1)
		}
	}
}

// cut moves the next batch from pending to sending and encodes it.
func (d *dest) cut() {
	n, bytes := 0, 0
	for n < len(d.pending) && n < maxBatchRecords && (n == 0 || bytes+d.pending[n].size <= maxBatch) {
		bytes += d.pending[n].size
		n++
	}
	if n == len(d.pending) {
		d.sending, d.pending = d.pending, d.sending[:0]
	} else {
		d.sending = append(d.sending[:0], d.pending[:n]...)
		rest := copy(d.pending, d.pending[n:])
		clear(d.pending[rest:])
		d.pending = d.pending[:rest]
	}
	d.bytes -= bytes
	d.encode()
}

// encode makes records of what is to be sent; they share the outputs' memory.
func (d *dest) encode() {
	clear(d.records)
	d.records, d.headers = d.records[:0], d.headers[:0]
	if need := 4 * len(d.sending); cap(d.headers) < need {
		d.headers = make([]kafka.Header, 0, need+need/2)
	}
	for i := range d.sending {
		s := &d.sending[i]
		if s.raw != nil {
			d.records = append(d.records, *s.raw)
			continue
		}
		start := len(d.headers)
		for _, h := range [...]struct{ key, value string }{
			{schemas.HeaderKind, string(s.out.Kind)}, {schemas.HeaderID, s.out.ID},
			{schemas.HeaderSource, s.out.Source}, {schemas.HeaderOrigin, string(s.out.Origin)},
		} {
			if h.value != "" {
				d.headers = append(d.headers, kafka.Header{Key: h.key, Value: bytesOf(h.value)})
			}
		}
		d.records = append(d.records, kafka.Record{
			Key: bytesOf(s.out.Key), Value: s.out.Value,
			Headers: d.headers[start:len(d.headers):len(d.headers)],
		})
	}
}

// bytesOf and stringOf share memory instead of copying it; nobody writes to it.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// sent is the end of one batch's sending, of a save (no dest) or of a commit.
type sent struct {
	dest   *dest
	commit bool
	err    error
}

// kick begins to send what waits, as far as nothing is on the way to the same
// partition. It returns when it is to be called again at the latest; a zero time says
// that nothing lingers.
func (l *lane) kick(now time.Time, all bool) (again time.Time) {
	for _, d := range l.out.all {
		if len(d.pending) == 0 || len(d.sending) > 0 {
			continue
		}
		due := d.since.Add(l.r.cfg.Linger)
		if d.bulk && !all && d.bytes < maxBatch/8 && now.Before(due) {
			if again.IsZero() || due.Before(again) {
				again = due
			}
			continue
		}
		d.cut()
		d.since = now
		l.senders.Go(func() { l.send(d) })
	}
	return again
}

// send writes one batch and reports its end to the lane's goroutine.
func (l *lane) send(d *dest) {
	slots := l.r.urgent
	if d.bulk {
		slots = l.r.bulk
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-l.ctx.Done():
		return
	}
	err := l.produce(d.at, d.sequence, d.records)
	select {
	case l.done <- sent{dest: d, err: err}:
	case <-l.ctx.Done():
	}
}

// produce writes one batch under the lane's epoch. While the outcome is unknown it
// repeats the same batch under the same sequence number.
func (l *lane) produce(at kafka.TopicPartition, sequence int32, records []kafka.Record) error {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		_, err := l.r.deps.Broker.Produce(l.ctx, at, l.producer, sequence, records)
		if err == nil || l.ctx.Err() != nil || !kafka.Retriable(err) {
			return err
		}
		l.r.metrics.retries.Inc()
		l.log.Warn("writing again", "to", at.String(), "records", len(records), "error", err)
		if !wait(l.ctx, pause) {
			return err
		}
	}
}

// restarts tells whether an error is fixed by taking a new epoch.
func restarts(err error) bool {
	return errors.Is(err, kafka.ErrFenced) || errors.Is(err, kafka.ErrSequence)
}

// wait pauses and tells whether the context is still good.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
