package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/protocol"
)

// maxResponse bounds what one answer may claim to be; Fetch never asks for as
// much, and a batch beyond max.message.bytes cannot exist.
const maxResponse = 1 << 30

// fetchResponse is an answer as it came: its bytes, not yet looked at. They are
// decoded on the caller's goroutine.
type fetchResponse struct {
	version int16
	arena   *arena
}

// ApiKey names the request, in the spelling that kafka-go asks for.
//
//nolint:revive
func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

// readFetch takes an answer off the wire into the arena.
func readFetch(r io.Reader, version int16, a *arena) (protocol.Message, error) {
	if version < 4 {
		return nil, fmt.Errorf("kafka: the broker speaks fetch version %d: Holdfast needs Kafka 0.11 or newer", version)
	}
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxResponse {
		return nil, fmt.Errorf("kafka: a fetch answer of %d bytes is beyond the limit of %d", n, maxResponse)
	}
	a.wire = slices.Grow(a.wire[:0], int(n))[:n]
	if _, err := io.ReadFull(r, a.wire); err != nil {
		return nil, err
	}
	return &fetchResponse{version, a}, nil
}

// part is one partition of an answer, its batches not yet decoded.
type part struct {
	TopicPartition
	code          int16
	highWatermark int64
	logStart      int64
	aborted       []aborted
	batches       []byte
}

// aborted is a transaction that did not happen, by its first offset here.
type aborted struct{ producer, first int64 }

// into decodes the answer and fills in the partitions of the share.
func (f *fetchResponse) into(s share, committed bool, positions []Position, out []Fetched) error {
	parts, err := parseFetch(f.arena.wire, f.version)
	if err != nil {
		return err
	}
	total := 0
	for i := range parts {
		total += countRecords(parts[i].batches)
	}
	f.arena.expect(total)
	asked := make(map[TopicPartition]int, len(s.at))
	for _, i := range s.at {
		asked[out[i].TopicPartition] = i
	}
	for i := range parts {
		p := &parts[i]
		if at, ok := asked[p.TopicPartition]; ok {
			f.arena.decode(p, committed, positions[at].Offset, &out[at])
		}
	}
	return nil
}

// decode fills in one partition's answer.
func (a *arena) decode(p *part, committed bool, offset int64, to *Fetched) {
	to.HighWatermark, to.LogStart, to.Next = p.highWatermark, p.logStart, offset
	if err := answer(p.code); err != nil {
		to.Err = fmt.Errorf("kafka: fetching %s from offset %d: %w", p.TopicPartition, offset, err)
		return
	}
	d := batches{arena: a, from: offset, next: offset}
	if committed {
		d.aborted = p.aborted
		slices.SortStableFunc(d.aborted, func(x, y aborted) int {
			return int(min(max(x.first-y.first, -1), 1))
		})
	}
	start := len(a.records)
	err := d.read(p.batches)
	to.Records = a.records[start:len(a.records):len(a.records)]
	to.Next = d.next
	if err != nil && to.Next == offset {
		// What was read before the bad batch is given first; the next fetch
		// meets the error again, at its start.
		to.Err = fmt.Errorf("kafka: %s at offset %d: %w", p.TopicPartition, d.next, err)
	}
}

// parseFetch reads an answer of version 4 to 11 without its batches.
func parseFetch(wire []byte, version int16) ([]part, error) {
	c := &cursor{b: wire}
	if id := c.int32(); id != correlation && !c.short {
		return nil, fmt.Errorf("kafka: the broker answered fetch request %d instead of %d", id, correlation)
	}
	c.int32() // how long the broker held us back
	if version >= 7 {
		if err := answer(c.int16()); err != nil {
			return nil, fmt.Errorf("kafka: fetching: %w", err)
		}
		c.int32() // session
	}
	var parts []part
	for t := c.count(); t > 0 && !c.short; t-- {
		topic := string(c.next(int(c.int16())))
		for n := c.count(); n > 0 && !c.short; n-- {
			p := part{TopicPartition: TopicPartition{Topic: topic, Partition: c.int32()}, logStart: -1}
			c.part(&p, version)
			parts = append(parts, p)
		}
	}
	if c.short {
		return nil, fmt.Errorf("%w: a fetch answer ends early", ErrCorrupt)
	}
	return parts, nil
}

func (c *cursor) part(p *part, version int16) {
	p.code = c.int16()
	p.highWatermark = c.int64()
	c.int64() // last stable offset
	if version >= 5 {
		p.logStart = c.int64()
	}
	for n := c.count(); n > 0 && !c.short; n-- {
		p.aborted = append(p.aborted, aborted{c.int64(), c.int64()})
	}
	if version >= 11 {
		c.int32() // preferred replica
	}
	p.batches = c.next(c.count())
}
