package memlog

import (
	"fmt"
	"sort"

	"holdfast/ingest/kafka"
)

// anything tells whether a fetch would bring something. The lock is held.
func (c *Cluster) anything(positions []kafka.Position) bool {
	for _, pos := range positions {
		p, err := c.partition(pos.TopicPartition)
		if err != nil || pos.Offset != p.next {
			return true
		}
	}
	return false
}

// loan is memory that a scratch lent to records. When the scratch is used again it is
// overwritten, so that who still reads it notices.
type loan struct {
	bytes   []byte
	records []kafka.Record
	headers []kafka.Header
}

func (c *Cluster) spoil(s *kafka.Scratch) {
	if s == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.scratches[s] {
		for i := range l.bytes {
			l.bytes[i] = 0xdd
		}
		clear(l.records)
		clear(l.headers)
	}
	delete(c.scratches, s)
}

// maxFetch bounds the records that one fetch brings of one partition.
const maxFetch = 2000

func (c *Cluster) fetch(positions []kafka.Position, o kafka.FetchOptions, limit int) []kafka.Fetched {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit == 0 {
		limit = maxFetch
	}
	out := make([]kafka.Fetched, len(positions))
	for i, pos := range positions {
		out[i] = kafka.Fetched{TopicPartition: pos.TopicPartition, Next: pos.Offset}
		p, err := c.partition(pos.TopicPartition)
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i].HighWatermark, out[i].LogStart = p.next, p.start
		if pos.Offset < p.start || pos.Offset > p.next {
			out[i].Err = fmt.Errorf("%w: %s of %d to %d", kafka.ErrOffsetOutOfRange, pos, p.start, p.next)
			continue
		}
		from := sort.Search(len(p.records), func(n int) bool { return p.records[n].Offset >= pos.Offset })
		some := p.records[from:min(len(p.records), from+limit)]
		l := lend(some)
		if o.Scratch != nil {
			c.scratches[o.Scratch] = append(c.scratches[o.Scratch], l)
		}
		out[i].Records = l.records
		switch {
		case from+limit >= len(p.records):
			out[i].Next = p.next
		default:
			out[i].Next = some[len(some)-1].Offset + 1
		}
	}
	return out
}

// lend copies records into memory that can be overwritten.
func lend(records []kafka.Record) loan {
	size, headers := 0, 0
	for i := range records {
		size += len(records[i].Key) + len(records[i].Value)
		for _, h := range records[i].Headers {
			size += len(h.Value)
		}
		headers += len(records[i].Headers)
	}
	l := loan{make([]byte, 0, size), make([]kafka.Record, 0, len(records)), make([]kafka.Header, 0, headers)}
	put := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(l.bytes)
		l.bytes = append(l.bytes, b...)
		return l.bytes[at:len(l.bytes):len(l.bytes)]
	}
	for i := range records {
		r := records[i]
		r.Key, r.Value = put(r.Key), put(r.Value)
		at := len(l.headers)
		for _, h := range r.Headers {
			l.headers = append(l.headers, kafka.Header{Key: h.Key, Value: put(h.Value)})
		}
		r.Headers = l.headers[at:len(l.headers):len(l.headers)]
		l.records = append(l.records, r)
	}
	return l
}
