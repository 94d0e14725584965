package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"

	"holdfast/schemas"
)

// A block is small enough that what one core wrote of it still lies in a cache when
// another reads it. At most blocksAhead of them are ever made: 6 MB with the events,
// and more only for records that are larger than a block.
const (
	blockBytes  = 128 << 10
	blockLines  = 512
	blocksAhead = 8
)

// block is a run of lines. It is read by one goroutine, decoded by the next, folded
// by the third and concluded by the fourth, and then used again.
type block struct {
	buf   []byte
	lines []line
	err   error // why there is no block after this one
}

type line struct {
	data   []byte
	n      int64
	key    string // may be kept
	double bool   // its id stands among those shortly before
	event  schemas.Event
	net    schemas.Network
	err    *schemas.Error
	turn   turn
}

// reader reads and decodes files one after the other, ahead of the folding.
type reader struct {
	networks func(netip.Addr) schemas.Network // nil: nothing is known
	decoder  schemas.Decoder
	keys     keys
	seen     *schemas.Ring
	events   int64
	ids      []string // of a block, and which of them are doubles
	doubles  []bool
}

// ahead returns blocks of decoded lines, and where to give them back.
func (r *reader) ahead(ctx context.Context, in io.Reader) (<-chan *block, chan<- *block) {
	read, decoded, spent := make(chan *block, blocksAhead), make(chan *block, blocksAhead), make(chan *block, blocksAhead)
	for range blocksAhead {
		spent <- &block{}
	}
	go func() {
		defer close(read)
		readBlocks(ctx, bufio.NewReaderSize(in, blockBytes), spent, read)
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
func readBlocks(ctx context.Context, br *bufio.Reader, spent <-chan *block, read chan<- *block) {
	var n int64
	for {
		var b *block
		select {
		case b = <-spent:
		case <-ctx.Done():
			return
		}
		err := b.fill(br, &n)
		if !errors.Is(err, io.EOF) && err != nil {
			b.err = fmt.Errorf("read: %w", err)
		}
		read <- b
		if err != nil {
			return
		}
	}
}

// fill reads lines until the block is full. Blank ones are not counted.
func (b *block) fill(br *bufio.Reader, n *int64) error {
	b.buf, b.lines = b.buf[:0], b.lines[:0]
	if b.buf == nil {
		b.buf = make([]byte, 0, blockBytes)
	}
	for len(b.buf) < blockBytes*3/4 && len(b.lines) < blockLines {
		start := len(b.buf)
		var err error
		var long bool
		b.buf, long, err = readLine(br, b.buf)
		if data := bytes.TrimSpace(b.buf[start:]); len(data) > 0 || long {
			*n++
			l := b.next()
			l.data, l.n, l.err = data, *n, nil
			if long {
				l.err = &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("more than %d bytes", schemas.MaxRecord), Fix: "split the record"}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
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

// readLine appends one line to buf; of a line beyond the limit only that it was
// long is kept.
func readLine(br *bufio.Reader, buf []byte) (_ []byte, long bool, _ error) {
	start := len(buf)
	for {
		part, err := br.ReadSlice('\n')
		if long = long || len(buf)-start+len(part) > schemas.MaxRecord+1; long {
			buf = buf[:start]
		} else {
			buf = append(buf, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return buf, long, err
	}
}

func (r *reader) decode(b *block) {
	r.ids = r.ids[:0]
	for i := range b.lines {
		l := &b.lines[i]
		if l.err != nil {
			continue
		}
		if l.err = r.decoder.Decode(l.data, &l.event); l.err == nil {
			l.key = r.keys.of(&l.event)
			r.ids = append(r.ids, l.event.ID)
			if l.net = (schemas.Network{}); r.networks != nil && l.event.IP.IsValid() {
				l.net = r.networks(l.event.IP)
			}
		}
	}
	r.markDoubles(b)
}

func (r *reader) markDoubles(b *block) {
	r.doubles = r.seen.SeenAll(r.events, r.ids, r.doubles[:0])
	r.events += int64(len(r.ids))
	n := 0
	for i := range b.lines {
		if l := &b.lines[i]; l.err == nil {
			l.double = r.doubles[n]
			n++
		}
	}
}

// keys gives the keys of events without making a string for each: it remembers
// some, each in the pair of places that its hash gives it, the one used last first.
type keys struct {
	buf   []byte
	known [1 << 13][2]string
}

var keySeed = maphash.MakeSeed()

func (k *keys) of(e *schemas.Event) string {
	k.buf = e.AppendKey(k.buf[:0])
	at := &k.known[maphash.Bytes(keySeed, k.buf)%uint64(len(k.known))]
	switch {
	case at[0] == string(k.buf):
	case at[1] == string(k.buf):
		at[0], at[1] = at[1], at[0]
	default:
		at[0], at[1] = string(k.buf), at[0]
	}
	return at[0]
}
