package memlog_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"holdfast/ingest/kafka"
	"holdfast/ingest/lane/memlog"
)

var tp = kafka.TopicPartition{Topic: "t"}

func one(v string) []kafka.Record { return []kafka.Record{{Key: []byte("k"), Value: []byte(v)}} }

func cluster() (*memlog.Cluster, *memlog.Client) {
	c := memlog.New()
	c.CreateTopic("t", 2)
	return c, c.Client("a")
}

func TestEpochsAndSequences(t *testing.T) {
	c, k := cluster()
	ctx := t.Context()
	old, err := k.InitProducer(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	now, err := k.InitProducer(ctx, "x")
	if err != nil || now.ID != old.ID || now.Epoch != old.Epoch+1 {
		t.Fatal(old, now, err)
	}
	for _, step := range []struct {
		name     string
		producer kafka.Producer
		sequence int32
		offset   int64
		err      error
	}{
		{"the old epoch writes until the new one has", old, 0, 0, nil},
		{"a new epoch begins at 0", now, 1, -1, kafka.ErrSequence},
		{"the new one writes", now, 0, 1, nil},
		{"the old one is fenced", old, 1, -1, kafka.ErrFenced},
		{"again: known", now, 0, 1, nil},
		{"one is missing", now, 2, -1, kafka.ErrSequence},
		{"the next", now, 1, 2, nil},
	} {
		offset, err := k.Produce(ctx, tp, step.producer, step.sequence, one("v"))
		if offset != step.offset || !errors.Is(err, step.err) {
			t.Errorf("%s: %d, %v", step.name, offset, err)
		}
	}
	if n := c.End(tp); n != 3 {
		t.Errorf("%d records are written, must be 3", n)
	}
}

func TestCompactionAndTruncation(t *testing.T) {
	c, k := cluster()
	for _, key := range []string{"a", "b", "a", "a", "b"} {
		c.Append(tp, kafka.Record{Key: []byte(key)})
	}
	c.Compact(tp, 3)
	offsets := func(from int64) (out []int64, next int64, err error) {
		got, err := k.Fetch(t.Context(), []kafka.Position{{TopicPartition: tp, Offset: from}}, kafka.FetchOptions{MaxWait: -1})
		if err != nil {
			return nil, 0, err
		}
		for _, r := range got[0].Records {
			out = append(out, r.Offset)
		}
		return out, got[0].Next, got[0].Err
	}
	if got, next, err := offsets(0); !slices.Equal(got, []int64{3, 4}) || next != 5 || err != nil {
		t.Error(got, next, err)
	}
	c.Truncate(tp, 4)
	if _, _, err := offsets(3); !errors.Is(err, kafka.ErrOffsetOutOfRange) {
		t.Error(err)
	}
	if len(c.Written(tp)) != 5 {
		t.Error("what was removed is forgotten")
	}
}

func TestCommitsBelongToAGeneration(t *testing.T) {
	c, k := cluster()
	cfg := kafka.GroupConfig{ID: "g", Topics: []string{"t"}, Lanes: 2}
	first, err := k.Join(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	gen, err := first.Next(t.Context())
	if err != nil || len(gen.Lanes) != 2 {
		t.Fatal(gen, err)
	}
	commit := func(a kafka.Assignment, o int64) error {
		return k.Commit(t.Context(), a, map[kafka.TopicPartition]kafka.Committed{tp: {Offset: o}})
	}
	if err := commit(gen.Assignment, 5); err != nil || c.Committed("g", tp) != 5 {
		t.Fatal(err)
	}
	other := c.Client("b")
	second, err := other.Join(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	joined := make(chan int, 1)
	go func() {
		g, err := second.Next(ctx)
		if err != nil {
			joined <- -1
			return
		}
		joined <- len(g.Lanes)
	}()
	<-gen.Done
	if err := commit(gen.Assignment, 6); err != nil {
		t.Errorf("while the group waits: %v", err)
	}
	next, err := first.Next(t.Context())
	if err != nil || !slices.Equal(next.Kept, next.Lanes) || len(next.Lanes) != 1 || <-joined != 1 {
		t.Fatal(next, err)
	}
	cancel()
	if err := commit(gen.Assignment, 7); !errors.Is(err, kafka.ErrStaleGeneration) {
		t.Errorf("under the generation before: %v", err)
	}
	second.Close()
	<-next.Done
	if last, err := first.Next(t.Context()); err != nil || len(last.Lanes) != 2 {
		t.Error(last, err)
	}
}
