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

const (
	indexBits = 27 // 134 million blocks a class
	indexMask = 1<<indexBits - 1
	chunkGoal = 64 << 10 // bytes; small enough that a test with ten entities stays small
)

type class struct {
	chunks [][]byte
	free   uint32 // index+1 of the first free block; each holds the next
	used   uint32 // blocks ever handed out
	shift  uint   // log2 of the blocks in a chunk
	ready  bool
}

// Arena hands out blocks. Its zero value is ready.
type Arena struct {
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
	if !c.ready {
		for 1<<(c.shift+1)*sizes[k] <= chunkGoal {
			c.shift++
		}
		c.ready = true
	}
	var at uint32
	if c.free != 0 {
		at = c.free - 1
		c.free = binary.LittleEndian.Uint32(c.at(at, sizes[k]))
	} else {
		at = c.used
		if at>>c.shift == uint32(len(c.chunks)) {
			size := sizes[k] << c.shift
			c.chunks = append(c.chunks, make([]byte, size))
			a.bytes += size
		}
		c.used++
	}
	if at >= indexMask {
		panic("slab: more blocks of one size than handles")
	}
	a.inUse += sizes[k]
	return Ref(uint32(k)<<indexBits | (at + 1))
}

func (c *class) at(i uint32, size int) []byte {
	chunk := c.chunks[i>>c.shift]
	off := int(i&(1<<c.shift-1)) * size
	return chunk[off : off+size : off+size]
}

// Block returns all bytes of a block, valid until it is freed; nil for no block.
func (a *Arena) Block(r Ref) []byte {
	if r == 0 {
		return nil
	}
	k := uint32(r) >> indexBits
	return a.classes[k].at(uint32(r)&indexMask-1, sizes[k])
}

// Free gives a block back.
func (a *Arena) Free(r Ref) {
	if r == 0 {
		return
	}
	k := uint32(r) >> indexBits
	c := &a.classes[k]
	i := uint32(r)&indexMask - 1
	binary.LittleEndian.PutUint32(c.at(i, sizes[k]), c.free)
	c.free = i + 1
	a.inUse -= sizes[k]
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
