package slab

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// Every block keeps its bytes whatever is allocated, grown and freed around it.
func TestArenaKeepsBlocksApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a Arena
		type block struct {
			ref  Ref
			want []byte
		}
		var live []block
		fill := byte(1)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 3).Draw(t, "op"); {
			case op <= 1 || len(live) == 0:
				fill++
				b := bytes.Repeat([]byte{fill}, rapid.IntRange(1, 700).Draw(t, "size"))
				live = append(live, block{a.Put(b), b})
			case op == 2:
				i := rapid.IntRange(0, len(live)-1).Draw(t, "free")
				a.Free(live[i].ref)
				live = append(live[:i], live[i+1:]...)
			default:
				b := &live[rapid.IntRange(0, len(live)-1).Draw(t, "grow")]
				n := len(b.want) + rapid.IntRange(0, 900).Draw(t, "by")
				b.ref = a.Grow(b.ref, len(b.want), n)
				if len(a.Block(b.ref)) < n {
					t.Fatalf("grown to %d bytes, not %d", len(a.Block(b.ref)), n)
				}
			}
			for _, b := range live {
				if !bytes.Equal(a.Block(b.ref)[:len(b.want)], b.want) {
					t.Fatalf("block %x changed", b.ref)
				}
			}
		}
		for _, b := range live {
			a.Free(b.ref)
		}
		if a.InUse() != 0 {
			t.Fatalf("%d bytes in use after everything was freed", a.InUse())
		}
	})
}

// Blocks of every size stay apart over several chunks.
func TestArenaFillsChunks(t *testing.T) {
	for _, size := range sizes {
		var a Arena
		n := 3*chunkBytes/size + 1
		refs := make([]Ref, n)
		for i := range refs {
			refs[i] = a.Alloc(size)
			b := a.Block(refs[i])
			if len(b) != size {
				t.Fatalf("a block of %d bytes, not %d", len(b), size)
			}
			for at := range b {
				b[at] = byte(i)
			}
		}
		for i, r := range refs {
			for _, c := range a.Block(r) {
				if c != byte(i) {
					t.Fatalf("block %d of %d bytes was written over", i, size)
				}
			}
			a.Free(r)
		}
		if got := a.Alloc(size); got != refs[n-1] || a.InUse() != size || a.Bytes() > 4*chunkBytes {
			t.Errorf("size %d: handle %x after freeing %x, %d bytes in use of %d", size, got, refs[n-1], a.InUse(), a.Bytes())
		}
	}
}

func TestTableReusesHandles(t *testing.T) {
	var tab Table[[4]int]
	a, b := tab.New(), tab.New()
	tab.At(a)[0], tab.At(b)[0] = 1, 2
	tab.Free(a)
	if c := tab.New(); c != a || tab.At(c)[0] != 0 || tab.At(b)[0] != 2 || tab.Len() != 2 {
		t.Errorf("handle %d after freeing %d, values %v %v", c, a, tab.At(c), tab.At(b))
	}
}
