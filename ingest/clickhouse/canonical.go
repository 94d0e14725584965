package clickhouse

import (
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast/schemas"
)

// Canonical writes rows of one table in the form that the log of proof commits to: the
// table's name, then for each column that is not empty or zero its name and its value,
// in the order in which the table declares them. Names and texts have their length
// before them (a varint); values are as in ClickHouse's format RowBinary. The log id is
// left out: it names the log that the row was read from, and after an unclean stop a row
// may be recorded under the one before.
//
// A column that a later version adds is empty in older rows and changes none of them.
type Canonical struct {
	table   schemas.Table
	head    []byte
	columns []canonicalColumn
}

type canonicalColumn struct {
	schemas.Column
	head []byte
	skip bool
}

// NewCanonical prepares the form of a table's rows.
func NewCanonical(t schemas.Table) *Canonical {
	c := &Canonical{table: t, head: appendText(nil, t.Name)}
	for _, col := range t.Columns {
		c.columns = append(c.columns, canonicalColumn{Column: col, head: appendText(nil, col.Name), skip: col.Name == schemas.ColumnLogID})
	}
	return c
}

// Select is the expression by which the store gives a row for Row.
func (c *Canonical) Select() string {
	out := "formatRowNoNewline('RowBinary'"
	for _, col := range c.columns {
		if !col.skip {
			out += ", `" + col.Name + "`"
		}
	}
	return out + ")"
}

var errRow = errors.New("the row is not as its table declares it: run `holdfast migrate`")

// Row appends the form of a row that the store gave by Select.
func (c *Canonical) Row(to []byte, binaryRow string) ([]byte, error) {
	to = append(to, c.head...)
	rest := binaryRow
	for i := range c.columns {
		col := &c.columns[i]
		if col.skip {
			continue
		}
		n, empty := sizeOf(col.Kind, rest)
		if n < 0 {
			return nil, fmt.Errorf("clickhouse: %s, column %s: %w", c.table.Name, col.Name, errRow)
		}
		if !empty {
			to = append(append(to, col.head...), rest[:n]...)
		}
		rest = rest[n:]
	}
	if rest != "" {
		return nil, fmt.Errorf("clickhouse: %s: %w", c.table.Name, errRow)
	}
	return to, nil
}

// Values cuts a row that the store gave by Select into its columns' bytes, by name.
// Empty ones are left out.
func (c *Canonical) Values(binaryRow string) (map[string]string, error) {
	out := map[string]string{}
	rest := binaryRow
	for i := range c.columns {
		if c.columns[i].skip {
			continue
		}
		n, empty := sizeOf(c.columns[i].Kind, rest)
		if n < 0 {
			return nil, fmt.Errorf("clickhouse: %s, column %s: %w", c.table.Name, c.columns[i].Name, errRow)
		}
		if !empty {
			out[c.columns[i].Name] = rest[:n]
		}
		rest = rest[n:]
	}
	return out, nil
}

// sizeOf tells how many bytes of RowBinary a value takes, and whether it is empty; -1
// where it does not end.
func sizeOf(kind schemas.ColumnKind, s string) (n int, empty bool) {
	switch kind {
	case schemas.ColumnText, schemas.ColumnWord:
		return sizeOfText(s)
	case schemas.ColumnBool:
		return fixed(s, 1)
	case schemas.ColumnInt32, schemas.ColumnUint32:
		return fixed(s, 4)
	case schemas.ColumnInt64, schemas.ColumnFloat64, schemas.ColumnTime:
		return fixed(s, 8)
	case schemas.ColumnIP:
		if s != "" && s[0] == 1 {
			return 1, true
		}
		n, _ := fixed(s, 17)
		return n, false
	case schemas.ColumnTexts:
		return sizeOfList(s, func(s string) int { n, _ := sizeOfText(s); return n })
	case schemas.ColumnInts:
		return sizeOfList(s, func(s string) int { n, _ := fixed(s, 8); return n })
	case schemas.ColumnFloats:
		return sizeOfList(s, func(s string) int { n, _ := fixed(s, 4); return n })
	}
	return -1, false
}

func fixed(s string, n int) (int, bool) {
	if len(s) < n {
		return -1, false
	}
	for i := range n {
		if s[i] != 0 {
			return n, false
		}
	}
	return n, true
}

func varint(s string) (v uint64, n int) {
	for n < len(s) && n < binary.MaxVarintLen64 {
		b := s[n]
		v |= uint64(b&0x7f) << (7 * n)
		n++
		if b < 0x80 {
			return v, n
		}
	}
	return 0, -1
}

func sizeOfText(s string) (int, bool) {
	size, n := varint(s)
	if n < 0 || size > uint64(len(s)-n) {
		return -1, false
	}
	return n + int(size), size == 0 // #nosec G115 -- not more than len(s)
}

func sizeOfList(s string, element func(string) int) (int, bool) {
	count, n := varint(s)
	if n < 0 || count > uint64(len(s)) {
		return -1, false
	}
	for range count {
		k := element(s[n:])
		if k < 0 {
			return -1, false
		}
		n += k
	}
	return n, count == 0
}

// Rows calls f with the form of each of a block's rows, in their order, and with the
// offset at which the row's record stands. What f is given is valid until it returns.
func (c *Canonical) Rows(b *Block, f func(offset int64, row []byte)) error {
	if len(b.Columns) != len(c.columns) {
		return fmt.Errorf("clickhouse: a block of %d columns is none of %s", len(b.Columns), c.table.Name)
	}
	at := make([]cursor, len(c.columns))
	for i := range at {
		at[i] = cursor{c: &b.Columns[i]}
	}
	offsets := c.table.Index(schemas.ColumnOffset)
	var row []byte
	for range b.rows {
		row = append(row[:0], c.head...)
		var offset int64
		for i := range at {
			if i == offsets {
				offset = int64(binary.LittleEndian.Uint64(at[i].c.data[at[i].at:])) // #nosec G115 -- as it was put there
			}
			before := len(row)
			row = append(row, c.columns[i].head...)
			var empty bool
			if row, empty = at[i].next(row); empty || c.columns[i].skip {
				row = row[:before]
			}
		}
		f(offset, row)
	}
	return nil
}

// cursor reads a column value by value.
type cursor struct {
	c         *Column
	at, marks int
	elements  uint64
}

func (u *cursor) take(to []byte, n int) ([]byte, bool) {
	v := u.c.data[u.at : u.at+n]
	u.at += n
	empty := true
	for _, b := range v {
		empty = empty && b == 0
	}
	return append(to, v...), empty
}

func (u *cursor) text(to []byte) ([]byte, bool) {
	size, n := binary.Uvarint(u.c.data[u.at:])
	end := u.at + n + int(size) // #nosec G115 -- as it was put there
	to = append(to, u.c.data[u.at:end]...)
	u.at = end
	return to, size == 0
}

// next appends the next value in RowBinary and tells whether it is empty.
func (u *cursor) next(to []byte) ([]byte, bool) {
	switch u.c.kind {
	case schemas.ColumnText:
		return u.text(to)
	case schemas.ColumnWord:
		w := u.c.list[binary.LittleEndian.Uint16(u.c.data[u.at:])]
		u.at += 2
		return appendText(to, w), w == ""
	case schemas.ColumnBool:
		return u.take(to, 1)
	case schemas.ColumnInt32, schemas.ColumnUint32:
		return u.take(to, 4)
	case schemas.ColumnInt64, schemas.ColumnFloat64, schemas.ColumnTime:
		return u.take(to, 8)
	case schemas.ColumnIP:
		absent := u.c.marks[u.marks] == 1
		u.marks++
		to, _ = u.take(append(to, 0), 16)
		return to, absent
	}
	end := binary.LittleEndian.Uint64(u.c.marks[u.marks:])
	u.marks += 8
	count := end - u.elements
	u.elements = end
	to = binary.AppendUvarint(to, count)
	for range count {
		switch u.c.kind {
		case schemas.ColumnTexts:
			to, _ = u.text(to)
		case schemas.ColumnInts:
			to, _ = u.take(to, 8)
		default:
			to, _ = u.take(to, 4)
		}
	}
	return to, count == 0
}

// BlockValues cuts a block's only row into its columns' bytes, as Values does.
func (c *Canonical) BlockValues(b *Block) (map[string]string, error) {
	if b.Rows() != 1 || len(b.Columns) != len(c.columns) {
		return nil, fmt.Errorf("clickhouse: a block of %d rows and %d columns is no row of %s", b.Rows(), len(b.Columns), c.table.Name)
	}
	out := map[string]string{}
	for i := range b.Columns {
		u := cursor{c: &b.Columns[i]}
		if v, empty := u.next(nil); !empty && !c.columns[i].skip {
			out[c.columns[i].Name] = string(v)
		}
	}
	return out, nil
}
