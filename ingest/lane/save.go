package lane

import (
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// saver writes changed state to the projection, one batch at a time, on a way of its
// own beside the outputs'.
type saver struct {
	at       kafka.TopicPartition
	sequence int32
	quota    int       // how many changes may be saved before next
	next     time.Time // when there is a new quota
	changes  []*change
	records  []kafka.Record
	need     int64 // outputs up to here are remembered by the batch
	held     bool  // the batch waits for those outputs
	flying   bool  // the batch is on the way
}

func (s *saver) idle() bool { return !s.held && !s.flying }

// company is how many changes are worth a batch while none of them is old.
const company = 64

// allot gives the number of changes to save until the next look: as many as make
// one sweep over all of them last SaveAfter, and all when one is near the limit.
func (l *lane) allot() int {
	n, age, c := l.dirty.order.len(), l.dirty.oldest(l.now), &l.r.cfg
	switch {
	case n == 0:
		return 0
	case age > c.SaveLimit*3/4:
		return n
	}
	quota := int(int64(n)*int64(c.SaveTick)/int64(c.SaveAfter)) + 1
	if quota < company {
		if age < c.SaveAfter/6 {
			return 0
		}
		return min(n, company)
	}
	return quota
}

// saveSome begins the next save that is due, or all saves one after another.
func (l *lane) saveSome(all bool) {
	if !l.now.Before(l.save.next) {
		l.save.next = l.now.Add(l.r.cfg.SaveTick)
		if !all {
			l.sweep()
		}
		l.save.quota = l.allot()
		l.meter.unsaved.Set(l.dirty.oldest(l.now).Seconds())
	}
	if all {
		l.save.quota = l.dirty.order.len()
	}
	l.saveHeld()
	if !l.save.idle() {
		return
	}
	if l.save.quota > 0 && l.dirty.order.len() > 0 {
		l.snapshot()
	}
}

var stateHeaders = []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}

// snapshot encodes the oldest changes as they stand now. The batch leaves when all
// outputs emitted so far are acknowledged: it remembers them.
func (l *lane) snapshot() {
	s := &l.save
	clear(s.changes)
	clear(s.records)
	s.changes, s.records = s.changes[:0], s.records[:0]
	size := 0
	add := func(key string, value []byte) {
		s.records = append(s.records, kafka.Record{Key: bytesOf(key), Value: value, Headers: stateHeaders})
		size += recordOverhead + len(key) + len(value)
	}
	// An entity's parts may be several times schemas.MaxState: stopping at half of a
	// batch leaves room for them.
	for n := l.dirty.order.len(); n > 0 && s.quota > 0 && size < maxBatch/2 && len(s.records) < maxBatchRecords; n-- {
		s.quota--
		c, mark := l.dirty.take(), len(s.records)
		if err := guarded(func() error { return l.fold.Save(c.key, add) }); err != nil {
			clear(s.records[mark:])
			s.records = s.records[:mark]
			l.dirty.back(c)
			l.r.metrics.saveErrors.Inc()
			l.log.Error("an entity's state cannot be saved; it is tried again later", "key", c.key, "error", err)
			continue
		}
		s.changes = append(s.changes, c)
	}
	s.need = l.out.serial
	s.held = len(s.changes) > 0
	l.saveHeld()
}

// saveHeld sends the batch that waits, if it need not wait any more.
func (l *lane) saveHeld() {
	s := &l.save
	if !s.held || s.need > l.out.acked && !l.r.cfg.faults.noAckBeforeSave {
		return
	}
	s.held = false
	if len(s.records) == 0 { // entities without any state: nothing to write
		l.saved()
		return
	}
	s.flying = true
	l.senders.Go(l.sendSave)
}

func (l *lane) sendSave() {
	select {
	case l.r.saves <- struct{}{}:
		defer func() { <-l.r.saves }()
	case <-l.ctx.Done():
		return
	}
	err := l.writeSave()
	select {
	case l.done <- sent{err: err}:
	case <-l.ctx.Done():
	}
}

func (l *lane) writeSave() error {
	s := &l.save
	if !l.r.cfg.faults.splitParts {
		return l.produce(s.at, s.sequence, s.records)
	}
	for i := range s.records {
		if err := l.produce(s.at, kafka.NextSequence(s.sequence, i), s.records[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// saved takes the batch as acknowledged.
func (l *lane) saved() {
	s := &l.save
	s.flying = false
	s.sequence = kafka.NextSequence(s.sequence, len(s.records))
	for _, c := range s.changes {
		c.saved = true
	}
	l.r.metrics.saved.Add(float64(len(s.changes)))
	l.r.metrics.saveBatches.Inc()
	clear(s.records)
	s.records = s.records[:0]
}
