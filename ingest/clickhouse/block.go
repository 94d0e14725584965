package clickhouse

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"

	"holdfast/schemas"
)

// Block is rows of one table, kept column by column in the very bytes in which
// they travel, so that appending a cell is one copy and an insert is none. It is
// filled row by row: every column takes one value, then EndRow.
type Block struct {
	Columns []Column
	rows    int
}

// NewBlock returns an empty block of a table.
func NewBlock(t schemas.Table) *Block {
	b := &Block{Columns: make([]Column, len(t.Columns))}
	for i, c := range t.Columns {
		b.Columns[i] = Column{name: c.Name, typ: c.Type(), kind: c.Kind}
		b.Columns[i].Reset()
	}
	return b
}

// EndRow says that every column has taken a value.
func (b *Block) EndRow() { b.rows++ }

// Rows is how many rows the block holds.
func (b *Block) Rows() int { return b.rows }

// Full tells whether another row could exceed what a column can number.
func (b *Block) Full() bool {
	for i := range b.Columns {
		if len(b.Columns[i].dict) >= maxWords {
			return true
		}
	}
	return false
}

// Reset empties the block and keeps its memory.
func (b *Block) Reset() {
	b.rows = 0
	for i := range b.Columns {
		b.Columns[i].Reset()
	}
}

// Memory is what the block's columns hold in memory, in bytes.
func (b *Block) Memory() int {
	n := 0
	for i := range b.Columns {
		c := &b.Columns[i]
		n += cap(c.data) + cap(c.marks) + cap(c.words)
	}
	return n
}

// maxWords bounds the different words of one column in one block: their numbers
// are 16 bits wide.
const maxWords = math.MaxUint16

// Column is one column of a block.
type Column struct {
	name, typ string
	kind      schemas.ColumnKind
	data      []byte // the values, or for words their numbers
	marks     []byte // whether NULL, or where each list ends
	elements  uint64 // of all lists so far

	words    []byte // the different words, each with its length before it
	list     []string
	dict     map[string]uint16
	lastWord string
	last     uint16
}

// Reset empties the column and keeps its memory.
func (c *Column) Reset() {
	c.data, c.marks, c.elements = c.data[:0], c.marks[:0], 0
	if c.kind != schemas.ColumnWord {
		return
	}
	c.words = append(c.words[:0], 0) // number 0 is the empty word
	if c.dict == nil {
		c.dict = map[string]uint16{}
	}
	clear(c.dict)
	c.dict[""] = 0
	c.list = append(c.list[:0], "")
	c.lastWord, c.last = "", 0
}

// Text appends a text, or an element of a list of texts.
func (c *Column) Text(s string) {
	if len(s) < 0x80 {
		c.data = append(c.data, byte(len(s)))
	} else {
		c.data = binary.AppendUvarint(c.data, uint64(len(s)))
	}
	c.data = append(c.data, s...)
	c.elements++
}

// Bytes appends a text that is at hand as bytes.
func (c *Column) Bytes(s []byte) {
	c.data = binary.AppendUvarint(c.data, uint64(len(s)))
	c.data = append(c.data, s...)
}

// Word appends a text that is written once for all its rows.
func (c *Column) Word(s string) {
	if s == "" {
		c.data = append(c.data, 0, 0)
		return
	}
	if s != c.lastWord {
		c.lookUp(s)
	}
	c.data = append(c.data, byte(c.last), byte(c.last>>8))
}

func (c *Column) lookUp(s string) {
	n, ok := c.dict[s]
	if !ok {
		n = uint16(len(c.dict))
		s = strings.Clone(s) // it may alias a record
		c.dict[s] = n
		c.list = append(c.list, s)
		c.words = binary.AppendUvarint(c.words, uint64(len(s)))
		c.words = append(c.words, s...)
	}
	c.lastWord, c.last = c.list[n], n
}

// Int32 appends a 32-bit number.
func (c *Column) Int32(n int32) { c.data = binary.LittleEndian.AppendUint32(c.data, uint32(n)) }

// Uint32 appends a 32-bit number without a sign.
func (c *Column) Uint32(n uint32) { c.data = binary.LittleEndian.AppendUint32(c.data, n) }

// Int64 appends a 64-bit number, or an element of a list of numbers.
func (c *Column) Int64(n int64) {
	c.data = binary.LittleEndian.AppendUint64(c.data, uint64(n))
	c.elements++
}

// Float64 appends a number.
func (c *Column) Float64(x float64) {
	c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(x))
}

// Bool appends yes or no.
func (c *Column) Bool(v bool) {
	var b byte
	if v {
		b = 1
	}
	c.data = append(c.data, b)
}

// The times that a DateTime64(3) can hold, in Unix milliseconds.
const (
	MinTime = -2208988800000 // 1900-01-01T00:00:00Z
	MaxTime = 10413791999999 // 2299-12-31T23:59:59.999Z
)

// Time appends Unix milliseconds; what lies outside MinTime and MaxTime becomes
// the nearer of the two.
func (c *Column) Time(ms int64) {
	c.data = binary.LittleEndian.AppendUint64(c.data, uint64(min(max(ms, MinTime), MaxTime)))
}

// IP appends an address; the zero Addr is NULL.
func (c *Column) IP(a netip.Addr) {
	var raw [16]byte
	var absent byte = 1
	if a.IsValid() {
		raw, absent = a.As16(), 0
	}
	c.marks = append(c.marks, absent)
	c.data = append(c.data, raw[:]...)
}

// Texts appends a list of texts.
func (c *Column) Texts(list []string) {
	for _, s := range list {
		c.Text(s)
	}
	c.EndList()
}

// Floats appends a list of numbers, rounded to 32 bits.
func (c *Column) Floats(list []float64) {
	for _, x := range list {
		c.data = binary.LittleEndian.AppendUint32(c.data, math.Float32bits(float32(x)))
	}
	c.elements += uint64(len(list))
	c.EndList()
}

// EndList ends a list whose elements were appended one by one.
func (c *Column) EndList() { c.marks = binary.LittleEndian.AppendUint64(c.marks, c.elements) }

// Zero appends the value of a field that is not there.
func (c *Column) Zero() {
	switch c.kind {
	case schemas.ColumnText, schemas.ColumnBool:
		c.data = append(c.data, 0)
	case schemas.ColumnWord:
		c.data = append(c.data, 0, 0)
	case schemas.ColumnInt32, schemas.ColumnUint32:
		c.data = append(c.data, 0, 0, 0, 0)
	case schemas.ColumnInt64, schemas.ColumnFloat64, schemas.ColumnTime:
		c.data = append(c.data, 0, 0, 0, 0, 0, 0, 0, 0)
	case schemas.ColumnIP:
		c.IP(netip.Addr{})
	case schemas.ColumnTexts, schemas.ColumnInts, schemas.ColumnFloats:
		c.EndList()
	}
}

// Joined appends the text that its parts make.
func (c *Column) Joined(parts ...string) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	c.data = binary.AppendUvarint(c.data, uint64(n))
	for _, p := range parts {
		c.data = append(c.data, p...)
	}
	c.elements++
}
