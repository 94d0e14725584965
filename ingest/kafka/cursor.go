package kafka

import "encoding/binary"

// cursor reads fixed and variable numbers off bytes. Past the end it gives
// zeros and remembers that it was short, so that callers check once.
type cursor struct {
	b     []byte
	i     int
	short bool
}

// next gives the next n bytes, aliased.
func (c *cursor) next(n int) []byte {
	if n < 0 || n > len(c.b)-c.i {
		c.short = true
		c.i = len(c.b)
		return nil
	}
	b := c.b[c.i : c.i+n : c.i+n]
	c.i += n
	return b
}

func (c *cursor) int8() int8 {
	if b := c.next(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if b := c.next(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.next(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.next(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// count is the length of a list or of bytes; null (-1) is none.
func (c *cursor) count() int { return max(int(c.int32()), 0) }

// varint reads a zigzag number; most fit the one byte tried first.
func (c *cursor) varint() int64 {
	if c.i < len(c.b) && c.b[c.i] < 0x80 {
		u := c.b[c.i]
		c.i++
		return int64(u>>1) ^ -int64(u&1)
	}
	return c.longVarint()
}

func (c *cursor) longVarint() int64 {
	v, n := binary.Varint(c.b[c.i:])
	if n <= 0 {
		c.short = true
		c.i = len(c.b)
		return 0
	}
	c.i += n
	return v
}

// bytes reads bytes behind their length; a negative length is null.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n < 0 {
		return nil
	}
	if n > int64(len(c.b)-c.i) {
		c.short = true
		c.i = len(c.b)
		return nil
	}
	return c.next(int(n))
}
