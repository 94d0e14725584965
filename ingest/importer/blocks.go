package importer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"holdfast/ingest/intake"
	"holdfast/ingest/unpack"
	"holdfast/schemas"
)

// blockSize is how much is read at once. A line that does not end within it is
// longer than any record may be.
const blockSize = 2 << 20

// block is some whole lines, or what remains of one that is too long.
type block struct {
	lines []byte // ends with a newline, but for the last of a file
	long  *intake.Remains
	first int64 // number of its first line, from 1
	end   int64 // offset behind it in the plain text
	read  int64 // bytes of the file read so far, as it lies on the disk
}

// input is an open file.
type input struct {
	plain  io.Reader
	closer io.Closer
	read   atomic.Int64
	size   int64

	rest []byte // read, and not yet part of a block
	line int64  // lines before rest
	end  int64  // offset of rest in the plain text
	// fault is why no more can be read: io.EOF at the end.
	fault error
}

// counting counts what comes from the disk.
type counting struct {
	r io.Reader
	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func open(name, args string, stdin io.Reader) (*input, error) {
	in := &input{size: -1, closer: io.NopCloser(nil)}
	raw := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			in.size = st.Size()
		}
		in.closer, raw = f, f
	}
	text, err := unpack.New(bufio.NewReaderSize(counting{raw, &in.read}, 256<<10), name, "import"+args)
	if err != nil {
		in.closer.Close()
		return nil, fmt.Errorf("import: %w", err)
	}
	in.plain = text
	return in, nil
}

// skip goes on behind what an earlier run has done.
func (in *input) skip(offset, lines int64) error {
	if _, err := io.CopyN(io.Discard, in.plain, offset); err != nil {
		return fmt.Errorf("skipping %d bytes: %w", offset, err)
	}
	in.end, in.line = offset, lines
	return nil
}

// next returns the next block, or io.EOF. Where reading fails, the whole lines
// before the fault come first.
func (in *input) next() (*block, error) {
	buf, err := in.fill()
	cut := bytes.LastIndexByte(buf, '\n') + 1
	switch {
	case in.fault == nil && cut == 0 && len(buf) == blockSize:
		return in.overlong(buf)
	case errors.Is(in.fault, io.EOF):
		cut = len(buf)
	}
	if cut == 0 {
		return nil, err
	}
	in.rest = bytes.Clone(buf[cut:])
	b := &block{lines: buf[:cut], first: in.line + 1}
	in.line += int64(bytes.Count(b.lines, newline))
	in.end += int64(cut)
	b.end, b.read = in.end, in.read.Load()
	return b, nil
}

// fill returns the rest and what can be read behind it, up to one block.
func (in *input) fill() ([]byte, error) {
	buf := make([]byte, blockSize)
	n := copy(buf, in.rest)
	in.rest = nil
	for in.fault == nil && n < len(buf) {
		m, err := in.plain.Read(buf[n:])
		n += m
		in.fault = err
	}
	return buf[:n], in.fault
}

var newline = []byte{'\n'}

// overlong passes over a line of any length and keeps its remains.
func (in *input) overlong(head []byte) (*block, error) {
	h := sha256.New()
	h.Write(head)
	size := int64(len(head))
	buf := make([]byte, 256<<10)
	for {
		n, err := in.plain.Read(buf)
		part := buf[:n]
		at := bytes.IndexByte(part, '\n')
		if at >= 0 {
			in.rest = bytes.Clone(part[at+1:])
			part = part[:at]
		}
		h.Write(part)
		size += int64(len(part))
		in.fault = err
		switch {
		case at < 0 && err == nil:
			continue
		case at < 0 && !errors.Is(err, io.EOF):
			return nil, err
		}
		in.end += size
		if at >= 0 {
			in.end++
		}
		in.line++
		remains := &intake.Remains{Head: bytes.Clone(head[:intake.RejectedHead]), Size: int(size)}
		h.Sum(remains.SHA256[:0])
		return &block{long: remains, first: in.line, end: in.end, read: in.read.Load()}, nil
	}
}

func tooLong(size int) *schemas.Error {
	return &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("%d bytes are more than %d", size, schemas.MaxRecord),
		Fix: "split the record, or send recipient_count in place of a long list"}
}
