package clickhouse

import (
	"bytes"
	"encoding/binary"
	"io"

	"holdfast/schemas"
)

// The parts of a LowCardinality column in the Native format.
const (
	wordVersion = 1      // shared dictionaries with additional keys
	wordFlags   = 0x0601 // additional keys, dictionary renewed, numbers of 16 bits
)

// pieces calls put with the block's bytes in the Native format, piece by piece and
// in order, without copying its columns.
func (b *Block) pieces(put func([]byte)) {
	head := binary.AppendUvarint(nil, uint64(len(b.Columns)))
	head = binary.AppendUvarint(head, uint64(b.rows))
	for i := range b.Columns {
		c := &b.Columns[i]
		put(appendText(appendText(head, c.name), c.typ))
		c.pieces(b.rows, put)
		head = nil
	}
}

func (c *Column) pieces(rows int, put func([]byte)) {
	if c.kind != schemas.ColumnWord {
		put(c.marks)
		put(c.data)
		return
	}
	head := make([]byte, 0, 24)
	for _, n := range []uint64{wordVersion, wordFlags, uint64(len(c.list))} {
		head = binary.LittleEndian.AppendUint64(head, n)
	}
	put(head)
	put(c.words)
	put(binary.LittleEndian.AppendUint64(nil, uint64(rows)))
	put(c.data)
}

// Reader reads the block in the Native format. The block must not change meanwhile.
func (b *Block) Reader() io.Reader {
	var all []io.Reader
	b.pieces(func(p []byte) {
		if len(p) > 0 {
			all = append(all, bytes.NewReader(p))
		}
	})
	return io.MultiReader(all...)
}

// Size is how many bytes Reader reads.
func (b *Block) Size() int64 {
	var n int64
	b.pieces(func(p []byte) { n += int64(len(p)) })
	return n
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
