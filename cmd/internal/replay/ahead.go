package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"

	"holdfast/schemas"
)

// A block is small enough that what one core wrote of it still lies in a cache when
// another reads it. At most blocksAhead of them are ever made: 2 MB with the events,
// and more only for records that are larger than a block.
const (
	blockBytes  = 32 << 10
	blockLines  = 64
	blocksAhead = 12
)

// block is a run of lines. It is read by one goroutine, decoded by the next, folded
// by two lanes' and concluded by the last, and then used again.
type block struct {
	buf   []byte
	lines []line
	err   error // why there is no block after this one
	rest  []*word
	// undetected are the lanes that have yet to look at it.
	undetected sync.WaitGroup
}

type line struct {
	data   []byte
	n      int64
	key    string
	double bool // its id stands among those shortly before
	event  schemas.Event
	net    schemas.Network
	err    *schemas.Error
	lane   int32   // -1: an address's
	heard  int64   // up to which line its lane hears the other before it
	told   []*word // of what others told its entity's lane, before it
	turn   turn
}

// reader reads and decodes files one after the other, ahead of the folding.
type reader struct {
	networks func(netip.Addr) schemas.Network // nil: nothing is known
	decoder  schemas.Decoder
	keys     []byte // of a block's events, and where each ends
	ends     []int
	seen     *schemas.Ring
	pace     pace
	events   int64
	ids      []string // of a block, and which of them are doubles
	doubles  []bool
}

// ahead returns blocks of decoded lines, and where to give them back.
func (r *reader) ahead(ctx context.Context, in io.Reader) (<-chan *block, chan<- *block) {
	r.pace = pace{}
	read, decoded, spent := make(chan *block, blocksAhead), make(chan *block, blocksAhead), make(chan *block, blocksAhead)
	for range blocksAhead {
		spent <- &block{}
	}
	go func() {
		defer close(read)
		readBlocks(ctx, in, spent, read)
	}()
	go func() {
		defer close(decoded)
		for b := range read {
			if ctx.Err() != nil {
				return
			}
			r.decode(b)
			decoded <- b
		}
	}()
	return decoded, spent
}

// readBlocks fills the blocks that are given back. No channel is ever full, as none
// is smaller than the number of blocks.
func readBlocks(ctx context.Context, in io.Reader, spent <-chan *block, read chan<- *block) {
	c := cutter{in: in}
	for {
		var b *block
		select {
		case b = <-spent:
		case <-ctx.Done():
			return
		}
		err := c.fill(b)
		if !errors.Is(err, io.EOF) && err != nil {
			b.err = fmt.Errorf("read: %w", err)
		}
		read <- b
		if err != nil {
			return
		}
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
	b.lines, b.rest = b.lines[:0], nil
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

// read adds what comes next to the block, which grows where it has no room.
func (c *cutter) read(b *block) {
	if len(b.buf) >= blockBytes {
		b.buf = slices.Grow(b.buf, blockBytes)
	} else if cap(b.buf) < blockBytes {
		b.buf = slices.Grow(b.buf, blockBytes-len(b.buf))
	}
	var n int
	n, c.err = c.in.Read(b.buf[len(b.buf):cap(b.buf)])
	b.buf = b.buf[:len(b.buf)+n]
}

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
	l.data, l.n, l.err, l.told = data, c.n, nil, nil
	l.turn.clear()
	if long {
		l.data, l.err = nil, &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("more than %d bytes", schemas.MaxRecord), Fix: "split the record"}
	}
}

// next adds a line, and keeps the lists of the event that stood there before.
func (b *block) next() *line {
	if len(b.lines) < cap(b.lines) {
		b.lines = b.lines[:len(b.lines)+1]
	} else {
		b.lines = append(b.lines, line{})
	}
	return &b.lines[len(b.lines)-1]
}

func (r *reader) decode(b *block) {
	r.ids, r.keys, r.ends = r.ids[:0], r.keys[:0], r.ends[:0]
	for i := range b.lines {
		l := &b.lines[i]
		if l.err != nil {
			continue
		}
		if l.err = r.decoder.Decode(l.data, &l.event); l.err == nil {
			r.keys = l.event.AppendKey(r.keys)
			r.ends = append(r.ends, len(r.keys))
			r.ids = append(r.ids, l.event.ID)
			if l.net = (schemas.Network{}); r.networks != nil && l.event.IP.IsValid() {
				l.net = r.networks(l.event.IP)
			}
		}
	}
	r.name(b)
	for i := range b.lines {
		r.pace.line(&b.lines[i])
	}
}

// name gives the block's events their keys, in one string for all, and marks doubles.
func (r *reader) name(b *block) {
	r.doubles = r.seen.SeenAll(r.events, r.ids, r.doubles[:0])
	r.events += int64(len(r.ids))
	keys, start, n := string(r.keys), 0, 0
	for i := range b.lines {
		if l := &b.lines[i]; l.err == nil {
			l.key, l.double, l.lane = keys[start:r.ends[n]], r.doubles[n], -1
			if !ofAddress(l.key) {
				l.lane = laneOf(r.keys[start:r.ends[n]])
			}
			start = r.ends[n]
			n++
		}
	}
}
