package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// reader reads all partitions that one generation gives, encodes what it reads
// and hands full or old batches to inserts of their own. Only its own goroutine
// touches its streams.
type reader struct {
	r       *Recorder
	gen     Generation
	enc     *encoder
	streams map[kafka.TopicPartition]*stream
	order   []*stream
	tables  map[schemas.Topic]*table
	held    int
	scratch kafka.Scratch
	asked   time.Time // when the ends of the logs were last asked for

	results chan result // has room for every insert that can run
	running int

	repairs chan *job // of the checker; each waits until its stream is free
	repair  *job
}

// result is how an insert ended.
type result struct {
	s     *stream
	b     *batch
	again bool // rows that were lost: the stream goes on where it is
	err   error
}

func newReader(r *Recorder, gen Generation) *reader {
	d := &reader{r: r, gen: gen, enc: newEncoder(), streams: map[kafka.TopicPartition]*stream{}, tables: map[schemas.Topic]*table{}}
	for _, t := range r.tables {
		d.tables[t.Topic] = &table{Table: t}
		for _, lane := range gen.Lanes {
			s := &stream{
				tp:    kafka.TopicPartition{Topic: r.cfg.Prefix + string(t.Topic), Partition: lane},
				place: place{logID: r.cfg.LogID, topic: t.Topic, partition: lane},
				table: d.tables[t.Topic], high: -1,
			}
			d.streams[s.tp] = s
			d.order = append(d.order, s)
		}
	}
	d.results = make(chan result, len(d.order))
	d.repairs = make(chan *job)
	return d
}

// run reads until the generation or the context is over, or something fails. When
// it returns, no insert of it runs any more.
func (d *reader) run(ctx context.Context) error {
	if len(d.order) == 0 {
		wait(ctx, d.gen.Done, 1<<62)
		return nil
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	reading, halt := context.WithCancel(ctx)
	defer d.r.metrics.forget(d.streams)
	defer stop()
	go func() { // a fetch that waits must not outlast the generation
		select {
		case <-d.gen.Done:
			halt()
		case <-reading.Done():
		}
	}()
	err := d.takeOver(reading, work)
	var checking sync.WaitGroup
	defer checking.Wait()
	defer halt()
	if err == nil {
		checking.Go(func() { d.newChecker().run(reading) })
	}
	for err == nil && reading.Err() == nil {
		err = d.turn(reading, work)
	}
	if reading.Err() != nil && !errors.Is(err, ErrOtherLog) {
		err = nil
	}
	return errors.Join(err, d.settle(stop))
}

// settle waits for the running inserts; those that take too long are cut off and
// repeated by whoever comes next.
func (d *reader) settle(stop context.CancelFunc) error {
	grace := time.AfterFunc(d.r.cfg.Grace, stop)
	defer grace.Stop()
	var err error
	for d.running > 0 {
		if e := d.took(<-d.results); errors.Is(e, kafka.ErrStaleGeneration) {
			err = e
		}
	}
	return err
}

// turn is one round: take what ended, start what is due, read on.
func (d *reader) turn(reading, work context.Context) error {
	for {
		select {
		case res := <-d.results:
			if err := d.took(res); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	if err := d.measureLag(reading); err != nil {
		return err
	}
	d.startRepair(work)
	due := d.startDue(work, time.Now())
	at := d.wanted()
	if len(at) == 0 {
		return errors.Join(d.idle(reading, due), d.skipGone(reading))
	}
	fetched, err := d.r.deps.Broker.Fetch(reading, at, kafka.FetchOptions{
		MaxWait: min(max(due, time.Millisecond), 250*time.Millisecond), MaxBytes: d.room(), Scratch: &d.scratch,
	})
	if err != nil {
		return err
	}
	for i := range fetched {
		if err := d.take(&fetched[i]); err != nil {
			return err
		}
	}
	if err := d.skipGone(reading); err != nil {
		return err
	}
	d.r.metrics.memory.Set(float64(d.held))
	return nil
}

// lagEvery is the time between two looks at the ends of the logs; what is read
// meanwhile tells no lag while nothing is read.
const lagEvery = 10 * time.Second

func (d *reader) measureLag(ctx context.Context) error {
	if time.Since(d.asked) < lagEvery {
		return nil
	}
	d.asked = time.Now()
	logs, err := d.r.deps.Broker.Offsets(ctx, d.partitions())
	if err != nil {
		return err
	}
	for _, s := range d.order {
		s.high = max(s.high, logs[s.tp].End)
		d.r.metrics.setLag(s)
	}
	return nil
}

func (d *reader) partitions() []kafka.TopicPartition {
	tps := make([]kafka.TopicPartition, len(d.order))
	for i, s := range d.order {
		tps[i] = s.tp
	}
	return tps
}

// idle waits for an insert to end, or for the next batch to be due.
func (d *reader) idle(reading context.Context, due time.Duration) error {
	t := time.NewTimer(due)
	defer t.Stop()
	select {
	case res := <-d.results:
		return d.took(res)
	case <-t.C:
	case <-reading.Done():
	}
	return nil
}

// took takes the result of an insert.
func (d *reader) took(res result) error {
	d.running--
	res.s.busy = false
	t := res.s.table
	t.running--
	t.held -= res.b.held
	d.held -= res.b.held
	if res.b.block != nil {
		t.give(res.b.block, d.r.cfg.Memory/32) // of all tables together a quarter of the memory
	}
	if res.err != nil {
		return fmt.Errorf("%s: %w", res.b.Token(), res.err)
	}
	if res.again {
		return nil
	}
	res.s.setStored(min(res.b.To, res.s.next))
	d.r.metrics.setLag(res.s)
	return nil
}

// The least room for a fetch; below it nothing is read.
const minRoom = 1 << 20

// room is how much a fetch may bring. Rows take about as much as their records.
func (d *reader) room() int {
	return min(max((d.r.cfg.Memory-d.held)/2, minRoom), 16<<20)
}

// wanted lists where to read on: partitions whose batch takes more, while there
// is memory.
func (d *reader) wanted() []kafka.Position {
	if d.held+2*minRoom > d.r.cfg.Memory {
		return nil
	}
	var at []kafka.Position
	for _, s := range d.order {
		if s.gone || s.batch != nil && s.batch.sealed || s.table.held > d.r.cfg.Memory/4*3 {
			continue
		}
		at = append(at, kafka.Position{TopicPartition: s.tp, Offset: s.next})
	}
	return at
}

// take encodes what one fetch brought of one partition. What no longer fits is
// read again when the batch is gone.
func (d *reader) take(f *kafka.Fetched) error {
	s := d.streams[f.TopicPartition]
	if s == nil {
		return nil
	}
	if f.Err != nil {
		if kafka.Retriable(f.Err) {
			return nil
		}
		if errors.Is(f.Err, kafka.ErrOffsetOutOfRange) {
			s.gone = true
			return nil
		}
		return fmt.Errorf("reading %s/%d at %d: %w", f.Topic, f.Partition, s.next, f.Err)
	}
	s.high = max(s.high, f.HighWatermark)
	if f.Next == s.next {
		return nil
	}
	if s.batch == nil {
		s.batch = s.newBatch(time.Now())
	}
	b := s.batch
	for i := range f.Records {
		rec := &f.Records[i]
		if !b.fits(rec, &d.r.cfg) {
			b.sealed = true
			break
		}
		d.count(s, b.add(d.enc, s.place, rec))
	}
	if !b.sealed {
		b.To = f.Next
	}
	s.next = b.To
	d.measure(s)
	return nil
}

func (d *reader) count(s *stream, f fate) {
	switch f {
	case skipped:
		d.r.metrics.skipped.WithLabelValues(string(s.place.topic), "fence").Inc()
	case undecoded:
		d.r.metrics.skipped.WithLabelValues(string(s.place.topic), "undecodable").Inc()
	}
}

// measure brings the memory held up to date.
func (d *reader) measure(s *stream) {
	now := s.batch.block.Memory() + s.batch.badCost
	s.table.held += now - s.batch.held
	d.held += now - s.batch.held
	s.batch.held = now
}

// startDue starts the inserts that are due, oldest first, and returns the time
// until the next one is.
func (d *reader) startDue(work context.Context, now time.Time) time.Duration {
	next := d.r.cfg.MinAge
	var due []*stream
	ages := d.ages()
	pressed := d.held+4*minRoom > d.r.cfg.Memory
	for _, s := range d.order {
		b := s.batch
		if b == nil || s.busy {
			continue
		}
		left := ages[s.table] - now.Sub(b.began)
		if b.sealed || s.gone || left <= 0 || pressed || b.block.Rows() >= d.r.cfg.MaxRows || b.cost >= d.r.cfg.MaxBytes-recordCost {
			due = append(due, s)
		} else {
			next = min(next, left)
		}
	}
	slices.SortStableFunc(due, func(a, b *stream) int { return a.batch.began.Compare(b.batch.began) })
	for _, s := range due {
		if s.table.running < d.r.cfg.Inserts {
			d.start(work, &job{s: s, b: s.batch, closeAt: s.batch.To})
			s.batch = nil
		}
	}
	return next
}

// ages says how long each table's batches may wait: with many partitions that
// have something, longer, so that the table sees no more inserts than it can merge.
func (d *reader) ages() map[*table]time.Duration {
	waiting := map[*table]int{}
	for _, s := range d.order {
		if s.batch != nil {
			waiting[s.table]++
		}
	}
	out := make(map[*table]time.Duration, len(waiting))
	for t, n := range waiting {
		age := time.Duration(n) * time.Second / time.Duration(d.r.cfg.InsertRate)
		out[t] = min(max(age, d.r.cfg.MinAge), d.r.cfg.MaxAge)
	}
	return out
}

// startRepair takes what the checker wants recorded again, and starts it once its
// stream is free: so nothing else is committed of that partition meanwhile.
func (d *reader) startRepair(work context.Context) {
	if d.repair == nil {
		select {
		case d.repair = <-d.repairs:
		default:
			return
		}
	}
	j := d.repair
	if j.s.busy {
		return
	}
	d.repair, j.closeAt = nil, j.s.stored
	j.b.held = j.b.block.Memory()
	j.s.table.held += j.b.held
	d.held += j.b.held
	d.start(work, j)
}

// start runs an insert beside the reader.
func (d *reader) start(work context.Context, j *job) {
	j.r, j.gen = d.r, d.gen
	j.s.busy = true
	j.s.table.running++
	d.running++
	go func() {
		err := j.run(work)
		if j.done != nil {
			close(j.done)
		}
		d.results <- result{j.s, j.b, j.only != nil, err}
	}()
}
