package lane

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// fenceKey is the key of fence records, which compacted topics ask for. It is no
// entity's.
const fenceKey = "fence"

// restore takes the lane over: a new epoch, fences, then the state as it stands
// behind them, and where to go on.
func (l *lane) restore() error {
	select {
	case l.r.restores <- struct{}{}:
		defer func() { <-l.r.restores }()
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
	begun := time.Now()
	l.guarded = map[string]Version{}
	l.save.at = l.mine(l.r.cfg.Role.State)
	for i := range l.r.cfg.Role.Inputs {
		l.pos[i] = -1
	}
	if err := l.takeEpoch(); err != nil {
		return err
	}
	values, err := l.restoreState()
	if err != nil {
		return err
	}
	if err := l.restoreGuard(); err != nil {
		return err
	}
	if err := l.resume(); err != nil {
		return err
	}
	if err := l.restoreOnce(); err != nil {
		return err
	}
	if err := l.r.control.refresh(l.ctx); err != nil {
		return err
	}
	if err := l.takeControl(); err != nil {
		return err
	}
	took := time.Since(begun)
	l.meter.restore.Set(took.Seconds())
	l.values, l.took = values, took
	l.log.Debug("lane restored", "epoch", l.producer.Epoch, "values", values, "positions", l.pos[:len(l.r.cfg.Role.Inputs)], "took", took)
	return nil
}

// mine is the lane's own partition of a topic.
func (l *lane) mine(t schemas.Topic) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: l.r.cfg.topic(t), Partition: l.n}
}

// takeEpoch makes every write of former owners fail from here on: a new producer
// epoch, proof that the group still gives the lane to us, and a fence record to each
// partition where a stale write would do harm.
func (l *lane) takeEpoch() error {
	p, err := l.r.deps.Broker.InitProducer(l.ctx, l.r.cfg.producer(l.n))
	if err != nil {
		return fmt.Errorf("lane %d of %s: %w", l.n, l.r.cfg.Role.Name, err)
	}
	l.producer = p
	if !l.r.cfg.faults.noCheck {
		if err := l.prove(); err != nil {
			return err
		}
	}
	if l.r.cfg.faults.noFence {
		return nil
	}
	return l.fence()
}

// prove commits what is committed already: the broker refuses if the generation is
// over.
func (l *lane) prove() error {
	offsets, err := l.committedOffsets()
	if err != nil {
		return err
	}
	err = l.r.deps.Broker.Commit(l.ctx, *l.own.Load(), offsets)
	if errors.Is(err, kafka.ErrStaleGeneration) {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// committedOffsets reads the group's offsets of the lane's inputs; an input without
// one begins at 0.
func (l *lane) committedOffsets() (map[kafka.TopicPartition]kafka.Committed, error) {
	tps := make([]kafka.TopicPartition, len(l.r.cfg.Role.Inputs))
	for i := range tps {
		tps[i] = l.input(i)
	}
	offsets, err := l.r.deps.Broker.Committed(l.ctx, l.own.Load().Group, tps)
	if err != nil {
		return nil, fmt.Errorf("lane %d of %s: %w", l.n, l.r.cfg.Role.Name, err)
	}
	for tp, c := range offsets {
		offsets[tp] = kafka.Committed{Offset: max(c.Offset, 0)}
	}
	return offsets, nil
}

// fence writes a fence record to the lane's state and to what else its role names.
func (l *lane) fence() error {
	record := []kafka.Record{{Key: []byte(fenceKey), Value: []byte{}, Headers: []kafka.Header{
		{Key: schemas.HeaderKind, Value: []byte(schemas.KindFence)},
	}}}
	var dests []*dest
	for _, f := range l.r.cfg.Role.Fences {
		if !f.All {
			dests = append(dests, l.out.dest(l.mine(f.Topic), f.Topic, l.r.cfg.Role.bulk(f.Topic)))
			continue
		}
		for p := range int32(l.r.partitions(f.Topic)) {
			at := kafka.TopicPartition{Topic: l.r.cfg.topic(f.Topic), Partition: p}
			dests = append(dests, l.out.dest(at, f.Topic, l.r.cfg.Role.bulk(f.Topic)))
		}
	}
	errs := make([]error, len(dests)+1)
	var wg sync.WaitGroup
	for i, d := range dests {
		wg.Go(func() {
			select {
			case l.r.urgent <- struct{}{}:
				defer func() { <-l.r.urgent }()
			case <-l.ctx.Done():
				errs[i] = l.ctx.Err()
				return
			}
			errs[i] = l.produce(d.at, d.sequence, record)
			d.sequence = kafka.NextSequence(d.sequence, 1)
		})
	}
	errs[len(dests)] = l.produce(l.save.at, l.save.sequence, record)
	l.save.sequence = kafka.NextSequence(l.save.sequence, 1)
	wg.Wait()
	return errors.Join(errs...)
}

// restoreState reads the state partition up to the fence. What another version wrote and
// this one cannot read ends the lane, unless a later value of the same key stands above it.
func (l *lane) restoreState() (values int, err error) {
	others := map[string]error{} // by key
	_, err = l.readAll(l.save.at, func(rec *kafka.Record) error {
		if isFence(rec) {
			return nil
		}
		values++
		key := string(rec.Key)
		err := guarded(func() error { return l.fold.Restore(key, rec.Value) })
		if errors.Is(err, schemas.ErrStateDamaged) {
			l.log.Error("a state value is damaged; what it held is lost", "key", key, "offset", rec.Offset, "error", err)
			l.missed(l.r.cfg.Role.State, rec.Offset, rec.Offset+1, "state value damaged: "+clip(key, schemas.MaxID))
			return nil
		}
		if unreadable(err) {
			others[key] = fmt.Errorf("lane %d of %s: the state of %s at offset %d: %w", l.n, l.r.cfg.Role.Name, key, rec.Offset, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("lane %d of %s: the state of %s at offset %d: %w", l.n, l.r.cfg.Role.Name, key, rec.Offset, err)
		}
		delete(others, key)
		return nil
	})
	for _, other := range others {
		err = errors.Join(err, other)
		break // one is enough to say
	}
	return values, err
}

// restoreGuard reads how far the guarded projection has come.
func (l *lane) restoreGuard() error {
	g := l.r.cfg.Role.Guard
	if g == nil {
		return nil
	}
	_, err := l.readAll(l.mine(g.Topic), func(rec *kafka.Record) error {
		if isFence(rec) || rec.Value == nil {
			return nil
		}
		v, err := g.Version(rec.Value)
		if err != nil {
			l.log.Error("a value of the guarded projection cannot be read; the next one overwrites it", "topic", g.Topic, "offset", rec.Offset, "error", err)
			return nil
		}
		l.guarded[string(rec.Key)] = v
		return nil
	})
	return err
}

// resume finds where to go on and reads the ids that stand before.
func (l *lane) resume() error {
	offsets, err := l.committedOffsets()
	if err != nil {
		return err
	}
	for i, in := range l.r.cfg.Role.Inputs {
		at := l.input(i)
		ends, err := l.r.deps.Broker.Offsets(l.ctx, []kafka.TopicPartition{at})
		if err != nil {
			return err
		}
		span, pos := ends[at], offsets[at].Offset
		if pos > span.End {
			return beyond(l, pos, at, span.End)
		}
		l.commit.done[i] = pos
		if pos < span.Start {
			l.gap(i, pos, span.Start, "the log's beginning had passed the lane while nothing read it")
			pos = span.Start
		}
		if in.BlockStart && !l.r.cfg.faults.noBlock {
			pos = max(pos-pos%l.r.cfg.block, span.Start)
		}
		l.pos[i], l.fetchAt[i] = pos, pos
		if in.Duplicates {
			if l.rings[i], err = l.prime(at, max(pos-l.r.cfg.reach, span.Start), pos); err != nil {
				return err
			}
		}
	}
	return nil
}

// beyond says that a log ends before where its lane has got to.
func beyond(l *lane, pos int64, at kafka.TopicPartition, end int64) error {
	return fmt.Errorf("lane %d of %s: it has got to offset %d of %s, which ends at %d: the topic was made anew or lost its tail: "+
		"restore it, or begin with new topics and an empty state", l.n, l.r.cfg.Role.Name, pos, at, end)
}

// prime reads the ids that stand from one offset up to another.
func (l *lane) prime(at kafka.TopicPartition, from, to int64) (*schemas.Ring, error) {
	r := schemas.NewRing(l.r.cfg.reach, from)
	err := l.scan(at, from, to, func(rec *kafka.Record) error {
		id, source := "", ""
		for i := range rec.Headers {
			switch h := &rec.Headers[i]; h.Key {
			case schemas.HeaderID:
				id = stringOf(h.Value)
			case schemas.HeaderSource:
				source = stringOf(h.Value)
			}
		}
		if id != "" && !isFence(rec) {
			r.Seen(rec.Offset, source, id)
		}
		return nil
	})
	r.Pass(to)
	return r, err
}

// readAll reads a partition from its beginning to its end as of now.
func (l *lane) readAll(at kafka.TopicPartition, take func(*kafka.Record) error) (int64, error) {
	ends, err := l.r.deps.Broker.Offsets(l.ctx, []kafka.TopicPartition{at})
	if err != nil {
		return 0, err
	}
	return ends[at].End, l.scan(at, ends[at].Start, ends[at].End, take)
}

// scan reads the records from one offset up to another.
func (l *lane) scan(at kafka.TopicPartition, from, to int64, take func(*kafka.Record) error) error {
	scratch := new(kafka.Scratch)
	for from < to {
		got, err := l.r.deps.Broker.Fetch(l.ctx, []kafka.Position{{TopicPartition: at, Offset: from}},
			kafka.FetchOptions{MaxWait: l.r.cfg.FetchWait, MaxBytes: l.r.cfg.FetchBytes, PartitionMaxBytes: l.r.cfg.FetchBytes, Scratch: scratch})
		if err == nil {
			err = got[0].Err
		}
		switch {
		case err == nil:
		case errors.Is(err, kafka.ErrOffsetOutOfRange) && got[0].LogStart > from:
			from = got[0].LogStart
			continue
		case kafka.Retriable(err) && wait(l.ctx, 50*time.Millisecond):
			l.r.metrics.retries.Inc()
			continue
		default:
			return fmt.Errorf("lane %d of %s: reading %s: %w", l.n, l.r.cfg.Role.Name, at, err)
		}
		for i := range got[0].Records {
			if rec := &got[0].Records[i]; rec.Offset < to {
				if err := take(rec); err != nil {
					return err
				}
			}
		}
		from = got[0].Next
	}
	return nil
}

func isFence(rec *kafka.Record) bool {
	for i := range rec.Headers {
		if rec.Headers[i].Key == schemas.HeaderKind {
			return strings.EqualFold(stringOf(rec.Headers[i].Value), string(schemas.KindFence))
		}
	}
	return false
}
