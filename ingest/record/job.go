package record

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
)

// job stores one range: the commit that opens it, the insert, the commit that
// closes it.
type job struct {
	r   *Recorder
	gen Generation
	s   *stream
	b   *batch
	// again says that the range was opened by an earlier owner, who may have
	// stored it.
	again bool
	// only names the offsets of rows that the store has lost, where it is these alone
	// that are inserted: what is committed stays as it is, and done is closed at the end.
	only map[int64]bool
	done chan struct{}
	// closeAt is the offset that is committed at the end: the range's, or that of
	// the log where its tail was lost.
	closeAt int64

	confirmed time.Time // when the generation was last known to be current
	unknown   bool      // an insert was sent whose outcome nobody told
}

// confirmEvery is how long a commit proves that the generation is current. A
// process that was stopped for longer asks again before it sends.
const confirmEvery = 3 * time.Second

func (j *job) run(ctx context.Context) error {
	if j.again {
		// Not every range that was left open may be in memory at once.
		select {
		case j.r.again <- struct{}{}:
			defer func() { <-j.r.again }()
		case <-ctx.Done():
			return ctx.Err()
		case <-j.gen.Done:
			return kafka.ErrStaleGeneration
		}
		if err := j.readAgain(ctx); err != nil {
			return err
		}
	}
	if j.b.block.Rows() > 0 {
		if err := j.open(ctx); err != nil {
			return err
		}
		started := time.Now()
		if err := j.insert(ctx); err != nil {
			return err
		}
		j.r.metrics.duration.WithLabelValues(string(j.b.Topic)).Observe(time.Since(started).Seconds())
	}
	if err := j.writeRejected(ctx); err != nil {
		return err
	}
	if err := j.commit(ctx, mark{logID: j.r.cfg.LogID}.at(j.closeAt)); err != nil {
		return err
	}
	j.tell()
	return nil
}

// open says, before anything is sent, which range is about to be.
func (j *job) open(ctx context.Context) error {
	if j.only != nil { // that the generation is current is all that is asked
		return j.commit(ctx, mark{logID: j.r.cfg.LogID}.at(j.closeAt))
	}
	return j.commit(ctx, mark{logID: j.b.LogID, open: true, to: j.b.To}.at(j.b.From))
}

func (j *job) commit(ctx context.Context, c kafka.Committed) error {
	return j.persist(ctx, "committing", func() error {
		err := j.r.deps.Broker.Commit(ctx, j.gen.Assignment, map[kafka.TopicPartition]kafka.Committed{j.s.tp: c})
		if err == nil {
			j.confirmed = time.Now()
		}
		return err
	})
}

// current looks at the generation before anything is sent to the store.
func (j *job) current(ctx context.Context) error {
	select {
	case <-j.gen.Done:
		return kafka.ErrStaleGeneration
	default:
	}
	if time.Since(j.confirmed) < confirmEvery {
		return nil
	}
	return j.open(ctx)
}

const inserting = "inserting"

// insert sends the same rows under the same token until the store has them.
func (j *job) insert(ctx context.Context) error {
	table, token := j.s.table.Name, j.b.Token()
	tries := j.r.trouble.attempt(inserting)
	defer tries.over()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 15*time.Second) {
		if err := j.current(ctx); err != nil {
			return err
		}
		err := j.r.deps.Store.Insert(ctx, table, token, j.b.block)
		if err == nil {
			return j.verify(ctx, table, token)
		}
		cause := "unknown"
		if refused, ok := errors.AsType[*clickhouse.Refused](err); ok {
			cause = "refused"
			found, err := j.findBad(ctx, refused)
			if err != nil || j.b.block.Rows() == 0 {
				return err
			}
			if found {
				continue // the range is the same, and so is its token
			}
		} else {
			j.unknown = true
		}
		j.r.metrics.retries.WithLabelValues(string(j.b.Topic), cause).Inc()
		tries.failed(err, "range", token, "rows", j.b.block.Rows(), "cause", cause)
		if err := j.pause(ctx, pause); err != nil {
			return err
		}
	}
}

// verify makes sure that what the store knows by its token is there. The engine
// notes a token a moment before it brings in the part: killed between the two, it
// would answer that it has the rows when it has not. Only where an earlier outcome
// is not known can that be.
func (j *job) verify(ctx context.Context, table, token string) error {
	if !j.unknown && !j.again {
		return nil
	}
	for try := range 3 {
		n, err := j.stored(ctx, table)
		if err != nil {
			return err
		}
		if n >= j.b.block.Rows() {
			return nil
		}
		if try < 2 { // it may be on its way into sight
			if err := j.pause(ctx, time.Second); err != nil {
				return err
			}
		}
	}
	j.r.metrics.swallowed.WithLabelValues(string(j.b.Topic)).Inc()
	j.r.log.Warn("the store knows a range but does not have its rows; it is sent under another token", "range", token, "rows", j.b.block.Rows())
	return j.persist(ctx, "inserting", func() error {
		if err := j.current(ctx); err != nil {
			return err
		}
		return j.r.deps.Store.Insert(ctx, table, token+"/again", j.b.block)
	})
}

func (j *job) stored(ctx context.Context, table string) (n int, err error) {
	err = j.persist(ctx, "counting", func() error {
		n, err = j.r.deps.Store.Stored(ctx, table, j.b.Range)
		return err
	})
	return n, err
}

// persist calls f until it succeeds or it is over.
func (j *job) persist(ctx context.Context, what string, f func() error) error {
	tries := j.r.trouble.attempt(what)
	defer tries.over()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 15*time.Second) {
		err := f()
		if err == nil || errors.Is(err, kafka.ErrStaleGeneration) {
			return err
		}
		tries.failed(err, "range", j.b.Token())
		if j.r.setAside(ctx, err) {
			pause = 50 * time.Millisecond
		}
		if err := j.pause(ctx, pause); err != nil {
			return err
		}
	}
}

// pause waits about d, and tells when it is no use to go on.
func (j *job) pause(ctx context.Context, d time.Duration) error {
	if wait(ctx, j.gen.Done, d/2+rand.N(d)) { // #nosec G404 -- jitter
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("cut off: %w", ctx.Err())
	}
	return kafka.ErrStaleGeneration
}

// tell counts a range that is stored.
func (j *job) tell() {
	journal, rows := string(j.b.Topic), j.b.block.Rows()
	if rows == 0 {
		return
	}
	m := j.r.metrics
	m.inserts.WithLabelValues(journal).Inc()
	m.rows.WithLabelValues(journal).Add(float64(rows))
	m.bytes.WithLabelValues(journal).Add(float64(j.b.block.Size()))
	m.latency.WithLabelValues(journal).Observe(max(time.Since(time.UnixMilli(j.b.Oldest)).Seconds(), 0))
}
