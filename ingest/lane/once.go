package lane

import (
	"hash/maphash"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// once knows what former owners of a lane published at the end of its own partitions.
// A lane that was killed folds again what it had folded since it last committed, and
// its outputs come out the same, to the byte: those that stand in the log already are
// withheld. It is only there to spare readers duplicates: what it does not know is
// published again, with the same id.
type once struct {
	seeds [2]maphash.Seed
	known map[kafka.TopicPartition]map[[2]uint64]bool
	until [maxInputs]int64 // of each input: beyond it, nothing was published before
	since time.Time
}

// onceFor is how long a lane looks at most: what it folds again it folds first.
const onceFor = 10 * time.Minute

// restoreOnce reads the ends of the partitions, behind the lane's fences.
func (l *lane) restoreOnce() error {
	l.once = nil
	role := &l.r.cfg.Role
	if len(role.Once) == 0 {
		return nil
	}
	o := &once{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, known: map[kafka.TopicPartition]map[[2]uint64]bool{}, since: time.Now()}
	behind := false
	for i := range role.Inputs {
		at := l.input(i)
		ends, err := l.r.deps.Broker.Offsets(l.ctx, []kafka.TopicPartition{at})
		if err != nil {
			return err
		}
		o.until[i] = ends[at].End
		behind = behind || l.pos[i] < o.until[i]
	}
	if !behind {
		return nil // nothing is folded again
	}
	for _, x := range role.Once {
		at := l.mine(x.Topic)
		ends, err := l.r.deps.Broker.Offsets(l.ctx, []kafka.TopicPartition{at})
		if err != nil {
			return err
		}
		known := map[[2]uint64]bool{}
		span := ends[at]
		err = l.scan(at, max(span.End-x.Reach, span.Start), span.End, func(rec *kafka.Record) error {
			if !isFence(rec) {
				kind, id := named(rec)
				known[o.sum(stringOf(rec.Key), kind, id, rec.Value)] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		o.known[at] = known
	}
	l.once = o
	return nil
}

func named(rec *kafka.Record) (kind, id string) {
	for i := range rec.Headers {
		switch h := &rec.Headers[i]; h.Key {
		case schemas.HeaderKind:
			kind = stringOf(h.Value)
		case schemas.HeaderID:
			id = stringOf(h.Value)
		}
	}
	return kind, id
}

// published tells whether an output stood in the log when the lane was restored. Once
// the lane has passed what its inputs held then, nothing more is asked.
func (l *lane) published(out *schemas.Output, d *dest) bool {
	if l.passedOnce() {
		l.once = nil
		return false
	}
	known := l.once.known[d.at]
	if len(known) == 0 {
		return false
	}
	sum := l.once.sum(out.Key, string(out.Kind), out.ID, out.Value)
	if !known[sum] {
		return false
	}
	delete(known, sum)
	return true
}

func (l *lane) passedOnce() bool {
	if l.now.Sub(l.once.since) > onceFor {
		return true
	}
	for i := range l.r.cfg.Role.Inputs {
		if l.pos[i] <= l.once.until[i] { // the record at hand is the one before pos
			return false
		}
	}
	return true
}

// sum names an output; two of 64 bits each, so that none is ever taken for another.
func (o *once) sum(key, kind, id string, value []byte) (sum [2]uint64) {
	for i := range sum {
		var h maphash.Hash
		h.SetSeed(o.seeds[i])
		for _, part := range [...]string{key, kind, id} {
			_, _ = h.WriteString(part)
			_ = h.WriteByte(0)
		}
		_, _ = h.Write(value)
		sum[i] = h.Sum64()
	}
	return sum
}
