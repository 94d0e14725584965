// Package slab keeps many small byte blocks and fixed structs in few large
// allocations that hold no pointers, so that the garbage collector has nothing to
// look through however many entities there are. Blocks are named by 32-bit
// handles. Nothing here is safe for use by several goroutines at once.
package slab

import "encoding/binary"

// Ref names one block; zero names none.
type Ref uint32

// sizes are the classes of block, half-way steps between powers of two, so that
// at most a third of a block is waste.
var sizes = [...]int{
	16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072,
	4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536,
}

// MaxBlock is the size of the largest block.
const MaxBlock = 65536

// A handle says which chunk a block is in, and where, in units of eight bytes.
const (
	unit       = 8
	placeBits  = 13
	placeMask  = 1<<placeBits - 1
	chunkBytes = unit << placeBits     // at most; small enough that a test with ten entities stays small
	maxChunks  = 1 << (32 - placeBits) // 24 to 32 GB
)

// chunk holds blocks of one size.
type chunk struct {
	data []byte
	size uint32
	kind uint32 // its number among sizes
}

// class is where blocks of one size come from.
type class struct {
	free Ref // the first free block; each holds the next
	next Ref // the first block of the newest chunk that was never handed out
	left int // how many of these there are
}

// Arena hands out blocks. Its zero value is ready.
type Arena struct {
	chunks  []chunk // the first is none
	classes [len(sizes)]class
	bytes   int
	inUse   int
}

// Bytes is what the arena has taken from the heap, and InUse what its blocks fill.
func (a *Arena) Bytes() int { return a.bytes }

// InUse is the size of all blocks that are not free.
func (a *Arena) InUse() int { return a.inUse }

func classFor(n int) int {
	lo, hi := 0, len(sizes)-1
	for lo < hi {
		m := (lo + hi) / 2
		if sizes[m] < n {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// Alloc returns a block of at least n bytes, n ≤ MaxBlock, with undefined content.
func (a *Arena) Alloc(n int) Ref {
	if n > MaxBlock {
		panic("slab: block too large")
	}
	k := classFor(n)
	c := &a.classes[k]
	a.inUse += sizes[k]
	if r := c.free; r != 0 {
		c.free = Ref(binary.LittleEndian.Uint32(a.Block(r)))
		return r
	}
	if c.left == 0 {
		c.next, c.left = a.newChunk(k)
	}
	r := c.next
	c.next += Ref(sizes[k] / unit)
	c.left--
	return r
}

// newChunk returns the first block of a new chunk, and how many it has.
func (a *Arena) newChunk(k int) (first Ref, blocks int) {
	if len(a.chunks) == 0 {
		a.chunks = append(a.chunks, chunk{})
	}
	if len(a.chunks) == maxChunks {
		panic("slab: more chunks than handles")
	}
	blocks = chunkBytes / sizes[k]
	data := make([]byte, blocks*sizes[k])
	a.bytes += len(data)
	a.chunks = append(a.chunks, chunk{data, uint32(sizes[k]), uint32(k)})
	return Ref((len(a.chunks) - 1) << placeBits), blocks
}

// Block returns all bytes of a block, valid until it is freed; nil for no block.
func (a *Arena) Block(r Ref) []byte {
	if r == 0 {
		return nil
	}
	c := &a.chunks[r>>placeBits]
	at := uint32(r) & placeMask * unit
	return c.data[at : at+c.size : at+c.size]
}

// Free gives a block back.
func (a *Arena) Free(r Ref) {
	if r == 0 {
		return
	}
	chunk := &a.chunks[r>>placeBits]
	c := &a.classes[chunk.kind]
	binary.LittleEndian.PutUint32(a.Block(r), uint32(c.free))
	c.free = r
	a.inUse -= int(chunk.size)
}

// Grow returns a block of at least n bytes that begins with the first used bytes
// of r; it is r itself where that is large enough.
func (a *Arena) Grow(r Ref, used, n int) Ref {
	old := a.Block(r)
	if n <= len(old) {
		return r
	}
	fresh := a.Alloc(n)
	copy(a.Block(fresh), old[:used])
	a.Free(r)
	return fresh
}

// Put stores b in a block of its own, none for nothing.
func (a *Arena) Put(b []byte) Ref {
	if len(b) == 0 {
		return 0
	}
	r := a.Alloc(len(b))
	copy(a.Block(r), b)
	return r
}
