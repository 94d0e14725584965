package importer

import (
	"context"
	"fmt"
	"hash/maphash"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Log is what the importer reads of the events topic, by *kafka.Client: when an
// import goes on, what the earlier run sent beyond what it wrote down.
type Log interface {
	Partitions(ctx context.Context, topic string) (int, error)
	Offsets(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Range, error)
	Fetch(ctx context.Context, positions []kafka.Position, o kafka.FetchOptions) ([]kafka.Fetched, error)
}

// standing are records that stand in the log already, and how often. Its zero
// value knows of none.
type standing struct {
	seed  maphash.Seed
	count map[uint64]int
}

// take reports whether a record stands already, and forgets it once.
func (s *standing) take(rec *intake.Checked) bool {
	if len(s.count) == 0 {
		return false
	}
	key := maphash.Bytes(s.seed, rec.Value)
	if s.count[key] == 0 {
		return false
	}
	if s.count[key]--; s.count[key] == 0 {
		delete(s.count, key)
	}
	return true
}

// ends asks where the events topic ends: what a later block sends stands behind.
// While an earlier run's records are still met with, its ends stay in force.
func (f *file) ends(ctx context.Context) ([]int64, error) {
	if f.stands.count != nil {
		return nil, nil
	}
	return f.logEnds(ctx)
}

func (f *file) logEnds(ctx context.Context) ([]int64, error) {
	if f.deps.Log == nil || f.book.path == "" {
		return nil, nil
	}
	n, err := f.deps.Log.Partitions(ctx, f.cfg.Topic)
	if err != nil {
		return nil, err
	}
	tps := make([]kafka.TopicPartition, n)
	for i := range tps {
		tps[i] = kafka.TopicPartition{Topic: f.cfg.Topic, Partition: int32(i)}
	}
	ranges, err := f.deps.Log.Offsets(ctx, tps)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for i, tp := range tps {
		out[i] = ranges[tp].End
	}
	return out, nil
}

// mark writes down where the log ends before the file's first record is sent, or
// reads, where an earlier run did so, what it sent since.
func (f *file) mark(ctx context.Context) error {
	ends, err := f.logEnds(ctx)
	if err != nil {
		return err
	}
	if f.entry.Ends == nil {
		f.entry.Ends = ends
		return f.book.save(true)
	}
	f.stands = standing{maphash.MakeSeed(), map[uint64]int{}}
	for i, end := range ends {
		if i < len(f.entry.Ends) {
			tp := kafka.TopicPartition{Topic: f.cfg.Topic, Partition: int32(i)}
			if err := f.collect(ctx, kafka.Position{TopicPartition: tp, Offset: f.entry.Ends[i]}, end); err != nil {
				return fmt.Errorf("import: reading what an earlier run sent: %w", err)
			}
		}
	}
	return nil
}

// collect remembers this source's records of one partition up to end.
func (f *file) collect(ctx context.Context, at kafka.Position, end int64) error {
	for at.Offset < end {
		got, err := f.deps.Log.Fetch(ctx, []kafka.Position{at}, kafka.FetchOptions{MaxWait: -1})
		if err == nil {
			err = got[0].Err
		}
		if err != nil {
			return err
		}
		for i := range got[0].Records {
			if r := &got[0].Records[i]; f.mine(r) {
				f.stands.count[maphash.Bytes(f.stands.seed, r.Value)]++
			}
		}
		if got[0].Next <= at.Offset {
			return nil
		}
		at.Offset = got[0].Next
	}
	return nil
}

func (f *file) mine(r *kafka.Record) bool {
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderSource {
			return string(h.Value) == f.src.Name
		}
	}
	return false
}
