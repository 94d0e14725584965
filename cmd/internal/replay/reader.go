package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"unsafe"

	"holdfast/schemas"
)

// A block is small enough that all that are in use at a time stay in a core's cache,
// and large enough that handing it on costs nothing beside what is done with it.
const (
	blockBytes = 16 << 10
	blockLines = 64
)

// block is a run of lines, which is filled, detected in and concluded, and then used
// again.
type block struct {
	buf   []byte
	keys  []byte // of the events, one after the other
	lines []line
	last  bool
	err   error // why it is the last, where the input did not just end

	// What is concluded of most lines is only that there are so many.
	events, duplicates int64
	latest             int64         // the latest time of all lines so far
	own                [lanes]uint64 // a bit for each line that is a lane's
	// outcome has a bit for each line of which there is more: by the lane that it came
	// of, then by what the reader found.
	outcome [lanes + 1]uint64
}

func newBlock() *block {
	b := &block{lines: make([]line, blockLines)}
	one := make([]string, blockLines) // room for one recipient a line, as most sends have
	for i := range b.lines {
		b.lines[i].event.Recipients = one[i : i : i+1]
	}
	return b
}

// line is one line of a file. What every stage looks at stands first, in as few cache
// lines as it may.
type line struct {
	n         int64
	err       *schemas.Error
	lane      int32 // ofAddresses where it is none of detection's
	duplicate bool
	located   bool    // whether anything is known of the network
	heard     int64   // up to which line its lane hears the other before it
	told      []*word // of what others told its entity's lane, before it
	before    int64   // the latest time of all lines before it
	turn      turn
	key       string
	value     []byte
	event     schemas.Event
	network   schemas.Network
}

// input makes in, which newInput made, the line's event as a fold takes it.
func (l *line) input(in *schemas.Input) {
	in.ID, in.Key, in.Arrival, in.Duplicate = l.event.ID, l.key, l.event.Time, l.duplicate
	in.Value, in.Event, in.Network = l.value, &l.event, schemas.Network{}
	if l.located {
		in.Network = l.network
	}
}

// newInput is what is the same of all lines.
func newInput() schemas.Input {
	return schemas.Input{Topic: schemas.TopicEvents, Kind: schemas.KindEvent, Source: source, Origin: schemas.OriginLive}
}

// source is that of every line.
const source = "replay"

// ofAddresses stands for the lane of the events of addresses.
const ofAddresses = -1

// reader reads and decodes files one after the other.
type reader struct {
	networks func(netip.Addr) schemas.Network // nil: nothing is known
	cutter   cutter
	decoder  schemas.Decoder
	ends     []int // where each of a block's keys ends
	seen     *schemas.Ring
	pace     pace
	events   int64
	ids      []string // of a block, and which of them are duplicates
	doubles  []bool
}

// begin begins a file.
func (r *reader) begin(in io.Reader) { r.cutter, r.pace = cutter{in: in}, pace{} }

// read fills a block with what comes next in the file.
func (r *reader) read(b *block) {
	err := r.cutter.fill(b)
	b.last, b.err = err != nil, nil
	if b.last && !errors.Is(err, io.EOF) {
		b.err = fmt.Errorf("read: %w", err)
	}
}

// cutter cuts what it reads into blocks of whole lines.
type cutter struct {
	in   io.Reader
	rest []byte // the beginning of a line whose end did not fit in the block before
	n    int64  // lines so far
	long bool   // the line at hand is beyond the limit; what was read of it is gone
	err  error  // why nothing more can be read
}

// fill reads a block full, and more only where a single line is longer. Lines stay
// where they were read.
func (c *cutter) fill(b *block) error {
	b.lines = b.lines[:0]
	b.buf = append(b.buf[:0], c.rest...)
	c.rest = c.rest[:0]
	for at := 0; ; {
		for at < len(b.buf) && len(b.lines) < blockLines {
			end := bytes.IndexByte(b.buf[at:], '\n')
			if end < 0 {
				break
			}
			c.line(b, b.buf[at:at+end+1])
			at += end + 1
		}
		switch {
		case len(b.lines) == blockLines, c.err == nil && len(b.lines) > 0 && len(b.buf) >= blockBytes:
			c.rest = append(c.rest, b.buf[at:]...)
			return nil
		case c.err != nil:
			c.line(b, b.buf[at:])
			return c.err
		}
		if c.long = c.long || len(b.buf)-at > schemas.MaxRecord+1; c.long {
			b.buf = b.buf[:at]
		}
		c.read(b)
	}
}

// read adds what comes next to the block: what it has room for, and a block's worth
// where a single line is longer.
func (c *cutter) read(b *block) {
	n := len(b.buf)
	room := blockBytes - n
	if room <= 0 {
		room = blockBytes
	}
	b.buf = slices.Grow(b.buf, room)
	for range emptyReads {
		var got int
		if got, c.err = c.in.Read(b.buf[n : n+room]); got > 0 || c.err != nil {
			b.buf = b.buf[:n+got]
			return
		}
	}
	c.err = io.ErrNoProgress
}

// emptyReads is how often in a row a reader may give nothing and no reason.
const emptyReads = 100

// line adds a line to the block. Blank ones are not counted; of one beyond the limit
// only that it was long is kept.
func (c *cutter) line(b *block, data []byte) {
	long := c.long || len(data) > schemas.MaxRecord+1
	c.long = false
	if data = bytes.TrimSpace(data); len(data) == 0 && !long {
		return
	}
	c.n++
	l := b.next()
	l.value, l.n, l.err, l.told = data, c.n, nil, nil
	l.turn.clear()
	if long {
		l.value, l.err = nil, &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("more than %d bytes", schemas.MaxRecord), Fix: "split the record"}
	}
}

// next adds a line, and keeps the lists of the event that stood there before.
func (b *block) next() *line {
	b.lines = b.lines[:len(b.lines)+1]
	return &b.lines[len(b.lines)-1]
}

func (r *reader) decode(b *block) {
	r.ids, r.ends, b.keys = r.ids[:0], r.ends[:0], b.keys[:0]
	for i := range b.lines {
		l := &b.lines[i]
		if l.err != nil {
			continue
		}
		if l.err = r.decoder.Decode(l.value, &l.event); l.err == nil {
			if l.located = false; r.networks != nil && l.event.IP.IsValid() {
				l.network = r.networks(l.event.IP)
				l.located = l.network.Known()
				l.event.Translate(&l.network)
			}
			b.keys = l.event.AppendKey(b.keys)
			r.ends = append(r.ends, len(b.keys))
			r.ids = append(r.ids, l.event.ID)
		}
	}
	r.name(b)
	b.own, b.outcome = [lanes]uint64{}, [lanes + 1]uint64{}
	for i := range b.lines {
		l := &b.lines[i]
		if b.latest = r.pace.line(l); l.err != nil || l.lane == ofAddresses {
			b.outcome[lanes] |= 1 << i
		} else {
			b.own[l.lane] |= 1 << i
		}
	}
}

// name gives the block's events their keys, which last as long as the block's lines, and
// marks duplicates.
func (r *reader) name(b *block) {
	r.doubles = r.seen.SeenAll(r.events, source, r.ids, r.doubles[:0])
	b.events, b.duplicates = int64(len(r.ids)), 0
	r.events += b.events
	keys, start, n := unsafe.String(unsafe.SliceData(b.keys), len(b.keys)), 0, 0
	for i := range b.lines {
		if l := &b.lines[i]; l.err == nil {
			l.key, l.duplicate, l.lane = keys[start:r.ends[n]], r.doubles[n], ofAddresses
			if !ofAddress(l.key) {
				l.lane = laneOf(b.keys[start:r.ends[n]])
			}
			if start = r.ends[n]; l.duplicate {
				b.duplicates++
			}
			n++
		}
	}
}
