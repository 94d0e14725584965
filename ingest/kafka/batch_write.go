package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sync"

	"github.com/segmentio/kafka-go/compress"
)

// nobody is the producer of plain writes.
var nobody = Producer{ID: -1, Epoch: -1}

// batchSize is the part of a batch around its records, the leading size of a
// produce request's record set included.
const batchSize = 4 + batchHeader

// buffers keeps the memory of batches that were sent.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// appendBatch writes records as one batch behind its size, as a produce request
// carries it. now stands in for a record's time where it has none.
func appendBatch(dst []byte, p Producer, baseSequence int32, records []Record, now int64, codec compress.Compression, packFrom int) ([]byte, error) {
	if len(records) == 0 {
		return dst, errors.New("kafka: a batch without records cannot be written")
	}
	start := len(dst)
	first, latest := timeOf(&records[0], now), int64(math.MinInt64)
	dst = append(dst, make([]byte, batchSize)...)
	for i := range records {
		at := timeOf(&records[i], now)
		latest = max(latest, at)
		dst = appendRecord(dst, &records[i], at-first, int64(i))
	}
	attrs := compress.None
	if codec != compress.None && len(dst)-start >= packFrom {
		var err error
		if dst, err = pack(dst, start+batchSize, codec); err != nil {
			return dst[:start], err
		}
		attrs = codec
	}
	if len(dst)-start > math.MaxInt32 {
		return dst[:start], fmt.Errorf("kafka: a batch of %d bytes cannot be written", len(dst)-start)
	}
	b := dst[start+4:]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(b)))
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-lengthEnd))
	binary.BigEndian.PutUint32(b[atLeaderEpoch:], math.MaxUint32) // the broker knows it
	b[atMagic] = 2
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(attrs))
	binary.BigEndian.PutUint32(b[atLastDelta:], uint32(len(records)-1))
	binary.BigEndian.PutUint64(b[atFirstTime:], uint64(first))
	binary.BigEndian.PutUint64(b[atMaxTime:], uint64(latest))
	binary.BigEndian.PutUint64(b[atProducer:], uint64(p.ID))
	binary.BigEndian.PutUint16(b[atEpoch:], uint16(p.Epoch))
	binary.BigEndian.PutUint32(b[atSequence:], uint32(baseSequence))
	binary.BigEndian.PutUint32(b[atRecords:], uint32(len(records)))
	binary.BigEndian.PutUint32(b[atChecksum:], crc32.Checksum(b[atAttributes:], castagnoli))
	return dst, nil
}

func timeOf(r *Record, now int64) int64 {
	if r.Time == 0 {
		return now
	}
	return r.Time
}

// appendRecord writes one record. Its length stands before it as a number of
// variable size, so it is worked out first.
func appendRecord(dst []byte, r *Record, timeDelta, offsetDelta int64) []byte {
	size := 1 + varintLen(timeDelta) + varintLen(offsetDelta) + bytesLen(r.Key) + bytesLen(r.Value) +
		varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		size += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0) // attributes, unused
	dst = binary.AppendVarint(dst, timeDelta)
	dst = binary.AppendVarint(dst, offsetDelta)
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

// appendBytes writes bytes behind their length; nil is null, which a record's
// value means to delete.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func varintLen(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// pack compresses everything from the given place on.
func pack(dst []byte, from int, codec compress.Compression) ([]byte, error) {
	if codec.Codec() == nil {
		return dst, fmt.Errorf("kafka: compression %d is not known", codec)
	}
	plain := buffers.Get().(*[]byte)
	defer buffers.Put(plain)
	*plain = append((*plain)[:0], dst[from:]...)
	out := bytes.NewBuffer(dst[:from])
	w := codec.Codec().NewWriter(out)
	_, err := w.Write(*plain)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return dst, fmt.Errorf("kafka: packing a batch with %s: %w", codec, err)
	}
	return out.Bytes(), nil
}
