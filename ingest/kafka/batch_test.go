package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"pgregory.net/rapid"
)

func drawBytes(t *rapid.T, label string) []byte {
	if rapid.Bool().Draw(t, label+" null") {
		return nil
	}
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, label)...)
}

func drawRecords(t *rapid.T) []Record {
	records := make([]Record, rapid.IntRange(1, 30).Draw(t, "records"))
	for i := range records {
		r := &records[i]
		r.Offset, r.Time = int64(i), rapid.Int64Range(1, 1<<45).Draw(t, "time")
		r.Key, r.Value = drawBytes(t, "key"), drawBytes(t, "value")
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			r.Headers = append(r.Headers, Header{rapid.StringN(0, 20, 80).Draw(t, "name"), drawBytes(t, "header")})
		}
	}
	return records
}

// at returns a batch (without its leading size) moved to a place in the log.
func at(t testing.TB, base int64, records []Record, codec compress.Compression) []byte {
	t.Helper()
	b, err := appendBatch(nil, Producer{7, 3}, 11, records, 1000, codec, 0)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint64(b[4+atBaseOffset:], uint64(base))
	return b[4:]
}

// sum puts a batch's checksum right after a change.
func sum(b []byte) []byte {
	binary.BigEndian.PutUint32(b[atChecksum:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

func read(from int64, gone []aborted, wire ...[]byte) ([]Record, int64, error) {
	d := batches{arena: new(arena), from: from, next: from, aborted: gone}
	err := d.read(bytes.Join(wire, nil))
	return d.records, d.next, err
}

func numbered(n int) []Record {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Time: 1, Key: []byte("k"), Value: fmt.Appendf(nil, "v%d", i)}
	}
	return records
}

func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := drawRecords(rt)
		codec := rapid.SampledFrom([]compress.Compression{compress.None, compress.Gzip, compress.Snappy, Lz4, Zstd}).Draw(rt, "codec")
		got, next, err := read(0, nil, at(t, 0, records, codec))
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(records, got); diff != "" || next != int64(len(records)) {
			rt.Fatalf("next %d; (-written +read)\n%s", next, diff)
		}
	})
}

// TestBatchAsKafkaGoReadsIt compares with an implementation that is not ours.
func TestBatchAsKafkaGoReadsIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := drawRecords(rt)
		wire, err := appendBatch(nil, Producer{1 << 40, 12}, 99, records, 1, Lz4, rapid.IntRange(0, 4000).Draw(rt, "pack from"))
		if err != nil {
			rt.Fatal(err)
		}
		var set protocol.RecordSet
		if _, err := set.ReadFrom(bytes.NewReader(wire)); err != nil {
			rt.Fatal(err)
		}
		batch := set.Records.(*protocol.RecordStream).Records[0].(*protocol.RecordBatch)
		if batch.ProducerID != 1<<40 || batch.ProducerEpoch != 12 || batch.BaseSequence != 99 {
			rt.Fatalf("producer %d, epoch %d, sequence %d", batch.ProducerID, batch.ProducerEpoch, batch.BaseSequence)
		}
		for i, want := range records {
			r, err := batch.ReadRecord()
			if err != nil {
				rt.Fatal(err)
			}
			key, _ := protocol.ReadAll(r.Key)
			value, _ := protocol.ReadAll(r.Value)
			if r.Offset != int64(i) || r.Time.UnixMilli() != want.Time || !bytes.Equal(key, want.Key) ||
				!bytes.Equal(value, want.Value) || (r.Value == nil) != (want.Value == nil) || len(r.Headers) != len(want.Headers) {
				rt.Fatalf("record %d: %+v came as %+v", i, want, r)
			}
		}
		if _, err := batch.ReadRecord(); !errors.Is(err, io.EOF) {
			rt.Fatal("more records than were written")
		}
	})
}

func TestReadingPassesOver(t *testing.T) {
	emptied := func(base int64, lastDelta uint32) []byte {
		b := at(t, base, numbered(1), compress.None)[:batchHeader]
		binary.BigEndian.PutUint32(b[atLength:], batchHeader-lengthEnd)
		binary.BigEndian.PutUint32(b[atLastDelta:], lastDelta)
		binary.BigEndian.PutUint32(b[atRecords:], 0)
		return sum(b)
	}
	with := func(b []byte, producer int64, attrs uint16) []byte {
		binary.BigEndian.PutUint64(b[atProducer:], uint64(producer))
		b[atAttributes+1] |= byte(attrs)
		return sum(b)
	}
	whole := at(t, 10, numbered(3), compress.None)
	for name, c := range map[string]struct {
		from    int64
		gone    []aborted
		wire    [][]byte
		offsets []int64
		next    int64
	}{
		"what stands before the asked offset": {11, nil, [][]byte{whole}, []int64{11, 12}, 13},
		"a batch wholly before it":            {20, nil, [][]byte{whole}, nil, 20},
		"batches emptied by compaction":       {0, nil, [][]byte{emptied(0, 4), emptied(5, 4), whole, emptied(13, 6)}, []int64{10, 11, 12}, 20},
		"a batch cut at the end":              {10, nil, [][]byte{whole, whole[:70]}, []int64{10, 11, 12}, 13},
		"a header cut at the end":             {10, nil, [][]byte{whole, whole[:30]}, []int64{10, 11, 12}, 13},
		"control batches":                     {0, nil, [][]byte{with(at(t, 0, numbered(1), 0), 5, attrControl), at(t, 1, numbered(1), 0)}, []int64{1}, 2},
		"an aborted transaction until its end": {0, []aborted{{5, 0}}, [][]byte{
			with(at(t, 0, numbered(2), 0), 5, attrTransactional),
			with(at(t, 2, numbered(1), 0), 6, attrTransactional),
			with(at(t, 3, numbered(1), 0), 5, attrTransactional|attrControl),
			with(at(t, 4, numbered(1), 0), 5, attrTransactional),
		}, []int64{2, 4}, 5},
		"a transaction aborted later, not what was written before it": {0, []aborted{{5, 3}}, [][]byte{
			with(at(t, 0, numbered(1), 0), 5, attrTransactional),
			with(at(t, 1, numbered(1), 0), 5, attrTransactional|attrControl),
			at(t, 2, numbered(1), 0),
			with(at(t, 3, numbered(1), 0), 5, attrTransactional),
			with(at(t, 4, numbered(1), 0), 5, attrTransactional|attrControl),
		}, []int64{0, 2}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			records, next, err := read(c.from, c.gone, c.wire...)
			if err != nil {
				t.Fatal(err)
			}
			var offsets []int64
			for _, r := range records {
				offsets = append(offsets, r.Offset)
			}
			if diff := cmp.Diff(c.offsets, offsets); diff != "" || next != c.next {
				t.Errorf("next %d, want %d; offsets (-want +got)\n%s", next, c.next, diff)
			}
		})
	}
}

func TestReadingRefuses(t *testing.T) {
	change := func(f func(b []byte)) []byte {
		b := at(t, 0, numbered(2), compress.None)
		f(b)
		return b
	}
	for name, b := range map[string][]byte{
		"a wrong checksum":         change(func(b []byte) { b[len(b)-1]++ }),
		"an old format":            change(func(b []byte) { b[atMagic] = 1 }),
		"a length below nothing":   change(func(b []byte) { b[atLength] = 0xff }),
		"an end before its start":  change(func(b []byte) { b[atLastDelta] = 0x80; sum(b) }),
		"more records than bytes":  change(func(b []byte) { b[atRecords] = 1; sum(b) }),
		"a record beyond its end":  change(func(b []byte) { b[batchHeader] = 0x7e; sum(b) }),
		"an unknown codec":         change(func(b []byte) { b[atAttributes+1] = 7; sum(b) }),
		"bytes that do not unpack": change(func(b []byte) { b[atAttributes+1] = byte(Zstd); sum(b) }),
	} {
		t.Run(name, func(t *testing.T) {
			good := at(t, 0, numbered(1), compress.None)
			binary.BigEndian.PutUint64(b[atBaseOffset:], 1)
			records, next, err := read(0, nil, good, b)
			if !errors.Is(err, ErrCorrupt) || len(records) != 1 || next != 1 {
				t.Errorf("%d records, next %d, error %v: want the good batch and ErrCorrupt", len(records), next, err)
			}
		})
	}
}

func TestReadingTakesTheBrokersTime(t *testing.T) {
	b := at(t, 0, numbered(2), compress.None)
	b[atAttributes+1] |= attrLogAppendTime
	binary.BigEndian.PutUint64(b[atMaxTime:], 777)
	records, _, err := read(0, nil, sum(b))
	if err != nil || records[0].Time != 777 || records[1].Time != 777 {
		t.Errorf("%v, %v: want the broker's time in both", records, err)
	}
}

func FuzzBatches(f *testing.F) {
	f.Add(at(f, 3, numbered(3), compress.None), int64(4), int64(0))
	f.Add(at(f, 0, []Record{{Headers: []Header{{"kind", []byte("event")}, {"id", nil}}}}, compress.None), int64(0), int64(7))
	f.Add(at(f, 0, numbered(20), Lz4), int64(0), int64(1))
	f.Fuzz(func(t *testing.T, b []byte, from, producer int64) {
		for rest := b; len(rest) >= batchHeader; { // let mutations through the checksum
			size := int(int32(binary.BigEndian.Uint32(rest[atLength:]))) + lengthEnd
			if size < batchHeader || size > len(rest) {
				break
			}
			sum(rest[:size])
			rest = rest[size:]
		}
		a := new(arena)
		a.expect(countRecords(b))
		d := batches{arena: a, from: from, next: from, aborted: []aborted{{producer, 0}}}
		_ = d.read(b)
		if d.next < from {
			t.Errorf("reading went back from %d to %d", from, d.next)
		}
		for _, r := range d.records {
			if r.Offset < from {
				t.Errorf("record %d was not asked for, from %d", r.Offset, from)
			}
		}
	})
}

func FuzzFetchAnswer(f *testing.F) {
	var wire []byte
	wire = binary.BigEndian.AppendUint32(wire, correlation)
	wire = append(wire, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1)
	wire = append(wire, make([]byte, 4+2+8+8+8+4+4)...)
	f.Add(append(wire, 0, 0, 0, 0), int16(11))
	f.Fuzz(func(t *testing.T, b []byte, version int16) {
		parts, err := parseFetch(b, version)
		for _, p := range parts {
			if err == nil && len(p.batches) > len(b) {
				t.Error("a partition has more bytes than the answer")
			}
		}
	})
}

// eventLike are records as the events topic holds them.
func eventLike(n int) []Record {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{
			Time: 1700000000000 + int64(i), Key: fmt.Appendf(nil, "account:acct-%06d", i%5000), Value: bytes.Repeat([]byte("x"), 240),
			Headers: []Header{
				{"kind", []byte("event")}, {"id", fmt.Appendf(nil, "evt-%012d", i)},
				{"source", []byte("platform")}, {"origin", []byte("live")},
			},
		}
	}
	return records
}

func BenchmarkDecode(b *testing.B) {
	for _, codec := range []compress.Compression{compress.None, Lz4, Zstd} {
		b.Run(codec.String(), func(b *testing.B) {
			const n = 500
			wire := at(b, 0, eventLike(n), codec)
			a := new(arena)
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				a.reset()
				d := batches{arena: a}
				if err := d.read(wire); err != nil || len(d.records) != n {
					b.Fatal(len(d.records), err)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, codec := range []compress.Compression{compress.None, Lz4, Zstd} {
		b.Run(codec.String(), func(b *testing.B) {
			records := eventLike(500)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = appendBatch(buf[:0], Producer{1, 1}, 0, records, 1, codec, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(buf)))
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// TestDecodeAllocates holds the promise that a reader with a Scratch pays
// nothing per record.
func TestDecodeAllocates(t *testing.T) {
	wire := at(t, 0, eventLike(500), compress.None)
	a := new(arena)
	got := testing.AllocsPerRun(20, func() {
		a.reset()
		d := batches{arena: a}
		_ = d.read(wire)
	})
	if got > 2 {
		t.Errorf("a batch of 500 records costs %v allocations", got)
	}
}
