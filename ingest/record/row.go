package record

import (
	"math"
	"unsafe"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// fate is what becomes of a record.
type fate int

const (
	stored    fate = iota
	skipped        // a fence: no row
	undecoded      // an event that its lane rejects: no row
	unfit          // decoded, but the store could not hold it: to the rejected topic
)

// place is where a record stands.
type place struct {
	logID     string
	topic     schemas.Topic
	partition int32
}

// encoder appends records to blocks. It keeps its buffers; it is not safe for use
// by several goroutines at once.
type encoder struct {
	dec     schemas.Decoder
	event   schemas.Event
	columns []eventColumn
}

func newEncoder() *encoder { return &encoder{columns: eventColumns()} }

// append adds a record's row to the block of its journal.
func (e *encoder) append(b *clickhouse.Block, at place, r *kafka.Record) fate {
	h := readHeaders(r.Headers)
	if h.kind == schemas.KindFence {
		return skipped
	}
	if at.topic == schemas.TopicEvents {
		return e.appendEvent(b, at, r, h)
	}
	e.appendFinding(b, at, r, h)
	return stored
}

// headers are what a record's headers say; the strings alias them.
type headers struct {
	kind   schemas.Kind
	id     string
	source string
	origin string
	trust  string
	net    schemas.Network
}

func readHeaders(list []kafka.Header) (h headers) {
	for i := range list {
		v := text(list[i].Value)
		switch list[i].Key {
		case schemas.HeaderKind:
			h.kind = schemas.Kind(v)
		case schemas.HeaderID:
			h.id = v
		case schemas.HeaderSource:
			h.source = v
		case schemas.HeaderOrigin:
			h.origin = v
		case schemas.HeaderTrust:
			h.trust = v
		case schemas.HeaderNetwork:
			h.net, _ = schemas.ParseNetwork(v) // a bad one counts as none, as the lanes have it
		}
	}
	return h
}

// text is bytes as a string, without a copy; blocks copy what they are given.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// row fills one row of a block, column by column.
type row struct {
	b *clickhouse.Block
	i int
}

func (w *row) next() *clickhouse.Column {
	c := &w.b.Columns[w.i]
	w.i++
	return c
}

func (w *row) position(at place, r *kafka.Record) {
	w.word(at.logID)
	w.word(string(at.topic))
	w.next().Int32(at.partition)
	w.next().Int64(r.Offset)
	w.next().Time(r.Time)
}

func (w *row) word(s string)    { w.next().Word(s) }
func (w *row) text(s string)    { w.next().Text(s) }
func (w *row) texts(s []string) { w.next().Texts(s) }
func (w *row) float(x float64)  { w.next().Float64(x) }
func (w *row) flag(v bool)      { w.next().Bool(v) }
func (w *row) long(n int64)     { w.next().Int64(n) }
func (w *row) whole(n int)      { w.next().Int32(int32(min(max(n, math.MinInt32), math.MaxInt32))) }

// network appends the columns of schemas.NetworkColumns.
func (w *row) network(n *schemas.Network) {
	w.word(n.Country)
	w.text(n.City)
	w.next().Uint32(n.ASN)
	w.flag(n.Hosting)
	w.flag(n.VPN)
	w.flag(n.Located)
	w.float(n.Lat)
	w.float(n.Lon)
}

// end gives every column that has none yet its zero value.
func (w *row) end(last int) {
	for w.i < last {
		w.next().Zero()
	}
}
