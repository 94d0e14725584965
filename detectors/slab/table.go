package slab

const tableBits = 8

// Table keeps values of one pointer-free type behind 32-bit handles that start
// at 1. Its zero value is ready; pointers from At are valid until Free.
type Table[T any] struct {
	chunks []*[1 << tableBits]T
	free   []uint32
	used   uint32
}

// New returns the handle of a zeroed value.
func (t *Table[T]) New() uint32 {
	if n := len(t.free); n > 0 {
		h := t.free[n-1]
		t.free = t.free[:n-1]
		return h
	}
	if t.used>>tableBits == uint32(len(t.chunks)) {
		t.chunks = append(t.chunks, new([1 << tableBits]T))
	}
	t.used++
	return t.used
}

// At returns the value behind a handle.
func (t *Table[T]) At(h uint32) *T {
	return &t.chunks[(h-1)>>tableBits][(h-1)&(1<<tableBits-1)]
}

// Free clears the value and lets its handle be used again.
func (t *Table[T]) Free(h uint32) {
	var zero T
	*t.At(h) = zero
	t.free = append(t.free, h)
}

// End is the highest handle ever given out; values behind freed ones are zero.
func (t *Table[T]) End() uint32 { return t.used }

// Len is the number of values in use.
func (t *Table[T]) Len() int { return int(t.used) - len(t.free) }
