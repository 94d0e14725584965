package lane_test

import (
	"slices"
	"strings"
	"testing"

	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// leavingFold finds values on its projection that are nobody's any more.
type leavingFold struct {
	*countFold
	left []string
}

func (f *leavingFold) Restore(key string, value []byte) error {
	if strings.HasPrefix(key, "left:") {
		if value != nil {
			f.left = append(f.left, key)
		}
		return nil
	}
	return f.countFold.Restore(key, value)
}

func (f *leavingFold) Save(key string, emit func(string, []byte)) error {
	if strings.HasPrefix(key, "left:") {
		emit(key, nil)
		return nil
	}
	return f.countFold.Save(key, emit)
}

func (f *leavingFold) Sweep(n int) []string {
	n = min(n, 2, len(f.left))
	out := f.left[:n]
	f.left = f.left[n:]
	return out
}

// What a fold says is of no use is deleted from its projection, without any record
// that touches it, and what is committed does not wait for it.
func TestWhatIsLeftIsSwept(t *testing.T) {
	keys := []string{"left:a", "left:b", "left:c", "left:d", "left:e"}
	before := func(s *stage) {
		s.fold = func(int32) lane.Fold { return &leavingFold{countFold: newCountFold()} }
		for _, key := range keys {
			s.c.Append(at(schemas.TopicStateDetect, 0), kafka.Record{Key: []byte(key), Value: []byte("old"),
				Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}})
		}
	}
	onStage(t, before, func(s *stage) {
		s.event(kafka.Partition([]byte("account:a"), laneCount), "account:a", "1", "x")
		s.settle()
		var gone []string
		for _, r := range s.c.Records(at(schemas.TopicStateDetect, 0)) {
			if strings.HasPrefix(string(r.Key), "left:") && r.Value == nil {
				gone = append(gone, string(r.Key))
			}
		}
		slices.Sort(gone)
		if !slices.Equal(gone, keys) {
			s.Errorf("deleted %q, must be %q", gone, keys)
		}
		s.restart()
		s.event(kafka.Partition([]byte("account:a"), laneCount), "account:a", "2", "x")
		s.settle()
		s.wantSignals("account:a#1", "account:a#2")
	})
}
