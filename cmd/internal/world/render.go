package world

import (
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// record is one event that waits for its turn: its JSON without the id.
type record struct {
	at   int64
	seq  uint64 // the order of making, which breaks ties
	off  int
	n    int
	harm bool
}

// buffer holds the events that were made and not given out yet.
type buffer struct {
	bytes   []byte
	records []record
	seq     uint64
	begun   int
	at      int64
	harm    bool
	floor   int64 // what lies before it has been given out: nothing may be earlier
}

const timeForm = "2006-01-02T15:04:05.000Z"

// begin starts an event; end finishes it.
func (b *buffer) begin(at int64, kind string) *buffer {
	at = max(at, b.floor)
	b.begun, b.at, b.harm = len(b.bytes), at, false
	b.bytes = append(b.bytes, `,"time":"`...)
	b.bytes = time.UnixMilli(at).UTC().AppendFormat(b.bytes, timeForm)
	b.bytes = append(b.bytes, `","type":"`...)
	b.bytes = append(b.bytes, kind...)
	b.bytes = append(b.bytes, '"')
	return b
}

func (b *buffer) key(name string) {
	b.bytes = append(b.bytes, ',', '"')
	b.bytes = append(b.bytes, name...)
	b.bytes = append(b.bytes, '"', ':')
}

// str writes a field whose value needs no escapes; an empty one is left out.
func (b *buffer) str(name, v string) *buffer {
	if v == "" {
		return b
	}
	b.key(name)
	b.quoted(v)
	return b
}

func (b *buffer) quoted(v string) {
	b.bytes = append(b.bytes, '"')
	b.bytes = append(b.bytes, v...)
	b.bytes = append(b.bytes, '"')
}

func (b *buffer) num(name string, v int64) *buffer {
	b.key(name)
	b.bytes = strconv.AppendInt(b.bytes, v, 10)
	return b
}

func (b *buffer) ip(v netip.Addr) *buffer {
	if !v.IsValid() {
		return b
	}
	b.key("ip")
	b.bytes = append(b.bytes, '"')
	b.bytes = v.AppendTo(b.bytes)
	b.bytes = append(b.bytes, '"')
	return b
}

func (b *buffer) list(name string, values []string) *buffer {
	b.key(name)
	b.bytes = append(b.bytes, '[')
	for i, v := range values {
		if i > 0 {
			b.bytes = append(b.bytes, ',')
		}
		b.quoted(v)
	}
	b.bytes = append(b.bytes, ']')
	return b
}

func (b *buffer) raw(text string) *buffer {
	b.bytes = append(b.bytes, text...)
	return b
}

func (b *buffer) end() {
	b.bytes = append(b.bytes, '}')
	b.seq++
	b.records = append(b.records, record{at: b.at, seq: b.seq, off: b.begun, n: len(b.bytes) - b.begun, harm: b.harm})
}

// take calls yield for the events before the time, in order, and keeps the rest.
func (b *buffer) take(before int64, yield func(record, []byte) bool) bool {
	slices.SortFunc(b.records, func(x, y record) int {
		switch {
		case x.at != y.at && x.at < y.at, x.at == y.at && x.seq < y.seq:
			return -1
		}
		return 1
	})
	n := 0
	b.floor = before
	for n < len(b.records) && b.records[n].at < before {
		r := b.records[n]
		if !yield(r, b.bytes[r.off:r.off+r.n]) {
			return false
		}
		n++
	}
	b.keep(b.records[n:])
	return true
}

func (b *buffer) keep(rest []record) {
	var size int
	for _, r := range rest {
		size += r.n
	}
	bytes := make([]byte, 0, max(size*2, cap(b.bytes)))
	for i := range rest {
		r := &rest[i]
		off := len(bytes)
		bytes = append(bytes, b.bytes[r.off:r.off+r.n]...)
		r.off = off
	}
	b.bytes, b.records = bytes, append(b.records[:0], rest...)
}
