package intake

import (
	"bytes"
	"slices"
	"time"

	"holdfast/ingest/kafka"
)

// endAge is how long the log's end is trusted to be near: in doubt, everything
// behind it is read.
const endAge = 5 * time.Second

// findEnd asks for the log's end where it is not known, or too old to be of use
// for a batch that nobody tried to write yet.
func (w *partition) findEnd(doubt bool) error {
	if w.end >= 0 && (doubt || time.Since(w.ended) < endAge) {
		return nil
	}
	log, err := w.log()
	if err == nil {
		w.end, w.ended = log.End, time.Now()
	}
	return err
}

func (w *partition) log() (kafka.Range, error) {
	all, err := w.producer.deps.Broker.Offsets(w.producer.hard, []kafka.TopicPartition{w.at})
	return all[w.at], err
}

// stands reports whether the batch was written behind the end that was seen
// before its first try. A batch is written whole, so its first and last record
// say it for all.
func (w *partition) stands(batch []kafka.Record) (bool, error) {
	log, err := w.log()
	if err != nil {
		return false, err
	}
	first, last, n := &batch[0], &batch[len(batch)-1], int64(len(batch))
	begins := int64(-1) // where the first record was last seen
	for at := max(w.end, log.Start); at < log.End; {
		got, err := w.producer.deps.Broker.Fetch(w.producer.hard, []kafka.Position{{TopicPartition: w.at, Offset: at}}, kafka.FetchOptions{MaxWait: -1})
		if err == nil {
			err = got[0].Err
		}
		if err != nil {
			return false, err
		}
		for i := range got[0].Records {
			r := &got[0].Records[i]
			if same(r, first) {
				begins = r.Offset
			}
			if begins >= 0 && r.Offset == begins+n-1 && same(r, last) {
				w.wrote(begins, len(batch))
				return true, nil
			}
		}
		if got[0].Next <= at {
			break
		}
		at = got[0].Next
	}
	return false, nil
}

// same compares the headers too: another source may have sent the very same bytes.
func same(a, b *kafka.Record) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y kafka.Header) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) })
}
