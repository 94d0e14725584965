package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/compress"
)

// A record batch (format 2, Kafka 0.11 and newer) begins with these fields, all
// big-endian; the checksum covers everything from the attributes on.
const (
	atBaseOffset  = 0  // 8 bytes
	atLength      = 8  // 4: bytes that follow this field
	atLeaderEpoch = 12 // 4
	atMagic       = 16 // 1
	atChecksum    = 17 // 4: CRC-32C
	atAttributes  = 21 // 2
	atLastDelta   = 23 // 4
	atFirstTime   = 27 // 8
	atMaxTime     = 35 // 8
	atProducer    = 43 // 8
	atEpoch       = 51 // 2
	atSequence    = 53 // 4
	atRecords     = 57 // 4
	batchHeader   = 61

	lengthEnd = 12 // a batch is its length plus this
)

const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

// maxPlain bounds what one batch may unpack to.
const maxPlain = 128 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// arena is the memory that the records of one answer stand in.
type arena struct {
	wire    []byte // the answer as it came
	plain   []byte // unpacked batches
	records []Record
	headers []Header
	names   []string // header keys, by their place in the record before
}

// keepPlain is as much unpacking space as an arena keeps for the next answer.
const keepPlain = 32 << 20

func (a *arena) reset() {
	if cap(a.plain) > keepPlain {
		a.plain = nil
	}
	a.wire, a.plain = a.wire[:0], a.plain[:0]
	a.records, a.headers = a.records[:0], a.headers[:0]
}

// expect makes room for as many records.
func (a *arena) expect(n int) { a.records = slices.Grow(a.records, n) }

// name gives a header's key as a string; those of one topic are alike, so that
// comparing it with the one at the same place spares making it.
func (a *arena) name(i int, b []byte) string {
	for i >= len(a.names) {
		if i >= 64 {
			return string(b)
		}
		a.names = append(a.names, "")
	}
	if a.names[i] != string(b) {
		a.names[i] = string(b)
	}
	return a.names[i]
}

// countRecords adds up what whole batches claim to hold, to make room at once. A
// plain record takes 7 bytes at least; what packed ones claim is believed up to
// a limit, beyond which room is made as they come.
func countRecords(b []byte) int {
	n := 0
	for len(b) >= batchHeader {
		size := int(int32(binary.BigEndian.Uint32(b[atLength:]))) + lengthEnd
		if size < batchHeader || size > len(b) {
			break
		}
		most := size / 7
		if b[atAttributes+1]&attrCodec != 0 {
			most = 64 << 10
		}
		n += min(max(int(int32(binary.BigEndian.Uint32(b[atRecords:]))), 0), most)
		b = b[size:]
	}
	return n
}

// batches decodes one partition's batches into an arena.
type batches struct {
	*arena
	from    int64          // records before it are dropped
	next    int64          // where reading goes on
	aborted []aborted      // by first offset; those begun are taken off the front
	open    map[int64]bool // producers whose transaction here was aborted
}

// read decodes whole batches; a cut one at the end is left for the next fetch.
func (d *batches) read(b []byte) error {
	for len(b) >= batchHeader {
		size := int(int32(binary.BigEndian.Uint32(b[atLength:]))) + lengthEnd
		if magic := b[atMagic]; magic != 2 {
			return fmt.Errorf("%w: format %d is not read: only batches of Kafka 0.11 and newer are", ErrCorrupt, magic)
		}
		if size < batchHeader {
			return fmt.Errorf("%w: a batch of %d bytes", ErrCorrupt, size)
		}
		if size > len(b) {
			return nil
		}
		if err := d.batch(b[:size:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// batch decodes one batch, or passes over it.
func (d *batches) batch(b []byte) error {
	base := int64(binary.BigEndian.Uint64(b[atBaseOffset:]))
	last := base + int64(int32(binary.BigEndian.Uint32(b[atLastDelta:])))
	if last < base {
		return fmt.Errorf("%w: a batch from offset %d ends at %d", ErrCorrupt, base, last)
	}
	if sum := crc32.Checksum(b[atAttributes:], castagnoli); sum != binary.BigEndian.Uint32(b[atChecksum:]) {
		return fmt.Errorf("%w: the batch at offset %d fails its checksum", ErrCorrupt, base)
	}
	attrs := binary.BigEndian.Uint16(b[atAttributes:])
	if d.drops(b, attrs, last) || last < d.from {
		d.next = max(d.next, last+1)
		return nil
	}
	plain, err := d.unpack(b[batchHeader:], compress.Compression(attrs&attrCodec))
	if err != nil {
		return fmt.Errorf("%w: the batch at offset %d: %w", ErrCorrupt, base, err)
	}
	if err := d.decode(b, attrs, plain); err != nil {
		return fmt.Errorf("%w: the batch at offset %d: %w", ErrCorrupt, base, err)
	}
	d.next = max(d.next, last+1)
	return nil
}

// drops tells whether readers are not to see a batch: a transaction's end, or
// part of one that was aborted.
func (d *batches) drops(b []byte, attrs uint16, last int64) bool {
	producer := int64(binary.BigEndian.Uint64(b[atProducer:]))
	for len(d.aborted) > 0 && d.aborted[0].first <= last {
		if d.open == nil {
			d.open = map[int64]bool{}
		}
		d.open[d.aborted[0].producer] = true
		d.aborted = d.aborted[1:]
	}
	if attrs&attrControl != 0 {
		// Each control batch of a producer ends its transaction here. A producer
		// that aborts again has another entry of its own.
		delete(d.open, producer)
		return true
	}
	return attrs&attrTransactional != 0 && d.open[producer]
}

// unpack gives a batch's records as plain bytes.
func (a *arena) unpack(b []byte, codec compress.Compression) ([]byte, error) {
	if codec == compress.None {
		return b, nil
	}
	if codec.Codec() == nil {
		return nil, fmt.Errorf("compression %d is not known", codec)
	}
	r := codec.Codec().NewReader(bytes.NewReader(b))
	defer r.Close()
	start := len(a.plain)
	for {
		a.plain = slices.Grow(a.plain, 4<<10)
		n, err := r.Read(a.plain[len(a.plain):cap(a.plain)])
		a.plain = a.plain[:len(a.plain)+n]
		switch {
		case err == io.EOF:
			return a.plain[start:len(a.plain):len(a.plain)], nil
		case err != nil:
			return nil, fmt.Errorf("unpacking %s: %w", codec, err)
		case len(a.plain)-start > maxPlain:
			return nil, fmt.Errorf("it unpacks to more than %d bytes", maxPlain)
		}
	}
}

// decode appends a batch's records. It keeps none of them on an error.
func (d *batches) decode(b []byte, attrs uint16, plain []byte) error {
	base := int64(binary.BigEndian.Uint64(b[atBaseOffset:]))
	first := int64(binary.BigEndian.Uint64(b[atFirstTime:]))
	last := int64(int32(binary.BigEndian.Uint32(b[atLastDelta:])))
	n := int(int32(binary.BigEndian.Uint32(b[atRecords:])))
	records, headers := len(d.records), len(d.headers)
	c := &cursor{b: plain}
	for i := range n {
		size := c.varint()
		end := c.i + int(size)
		if size < 0 || c.short || end > len(plain) {
			return d.undo(records, headers, i)
		}
		c.int8() // attributes, unused
		r := Record{Time: first + c.varint()}
		delta := c.varint()
		r.Offset = base + delta
		r.Key = c.bytes()
		r.Value = c.bytes()
		r.Headers = d.header(c)
		if c.short || c.i > end || delta < 0 || delta > last {
			return d.undo(records, headers, i)
		}
		c.i = end
		if attrs&attrLogAppendTime != 0 {
			r.Time = int64(binary.BigEndian.Uint64(b[atMaxTime:]))
		}
		if r.Offset >= d.from {
			d.records = append(d.records, r)
		}
	}
	return nil
}

func (d *batches) undo(records, headers, i int) error {
	d.records, d.headers = d.records[:records], d.headers[:headers]
	return fmt.Errorf("record %d breaks the format", i)
}

// header reads a record's headers.
func (a *arena) header(c *cursor) []Header {
	n := c.varint()
	if n == 0 {
		return nil
	}
	if n < 0 || n > int64(len(c.b)-c.i) {
		c.short = true
		return nil
	}
	if cap(a.headers) == 0 {
		// The records of a topic have mostly the same headers.
		a.headers = make([]Header, 0, min(int(n), 16)*max(cap(a.records), 1))
	}
	start := len(a.headers)
	for i := range int(n) {
		key := c.bytes()
		a.headers = append(a.headers, Header{Key: a.name(i, key), Value: c.bytes()})
		if c.short {
			return nil
		}
	}
	return a.headers[start:len(a.headers):len(a.headers)]
}
