package proof

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The tree on disk is that of RFC 6962, whatever was flushed when, and opens again as it
// was; its tiles are those that tlog's own reader of tiles accepts.
func TestTreeOnDisk(t *testing.T) {
	dir := t.TempDir()
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := &memory{}
	for n := range int64(70_000) {
		leaf := fmt.Appendf(nil, "leaf %d", n)
		if err := tree.Append(leaf); err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(n, leaf, want)
		if err != nil {
			t.Fatal(err)
		}
		want.hashes = append(want.hashes, more...)
		if n == 0 || n == 255 || n == 256 || n == 511 || n == 65_535 || n == 65_536 || n%13_337 == 7 {
			if err := tree.Flush("log", n+1); err != nil {
				t.Fatal(err)
			}
			if tree, err = OpenTree(dir); err != nil {
				t.Fatal(n, err)
			}
			root, err := tree.Root(n + 1)
			if err != nil {
				t.Fatal(n, err)
			}
			if is, _ := tlog.TreeHash(n+1, want); is != root {
				t.Fatalf("the root of %d leaves is %v, not %v", n+1, root, is)
			}
		}
	}
	if err := tree.Flush("log", 70_000); err != nil {
		t.Fatal(err)
	}
	root, _ := tree.Root(70_000)
	r := tlog.TileHashReader(tlog.Tree{N: 70_000, Hash: root}, tiles(dir))
	for _, n := range []int64{0, 255, 256, 65_535, 65_536, 69_999} {
		p, err := tlog.ProveRecord(70_000, n, r)
		if err != nil {
			t.Fatal(n, err)
		}
		if err := tlog.CheckRecord(p, 70_000, root, n, leafHash(fmt.Appendf(nil, "leaf %d", n))); err != nil {
			t.Error(n, err)
		}
	}
	seen := int64(0)
	err = Leaves(dir, 0, 70_000, func(n int64, leaf []byte) error {
		if n != seen || string(leaf) != fmt.Sprintf("leaf %d", n) {
			return fmt.Errorf("leaf %d is %q", n, leaf)
		}
		seen++
		return nil
	})
	if err != nil || seen != 70_000 {
		t.Errorf("%d leaves, %v", seen, err)
	}
}

// tiles reads tiles as a client of the log would.
type tiles string

func (d tiles) Height() int { return 8 }

func (d tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range list {
		b, err := readTileFile(string(d), tilePath(fmt.Sprint(t.L), t.N), t.W)
		if err != nil {
			return nil, err
		}
		out = append(out, b[:t.W*tlog.HashSize])
	}
	return out, nil
}

func (d tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func TestOffsets(t *testing.T) {
	for _, list := range [][]int64{nil, {7}, {7, 8, 9}, {7, 300, 1 << 30}} {
		got, ok := readOffsets(string(appendOffsets(nil, 5, list)), 5)
		if !ok || fmt.Sprint(got) != fmt.Sprint(list) {
			t.Errorf("%v became %v", list, got)
		}
	}
}

// FuzzOffsets: no text makes readOffsets fail or return what is not ascending.
func FuzzOffsets(f *testing.F) {
	f.Add(string(appendOffsets(nil, 0, []int64{1, 2, 700})))
	f.Fuzz(func(t *testing.T, s string) {
		list, _ := readOffsets(s, 3)
		for i := 1; i < len(list); i++ {
			if list[i] <= list[i-1] {
				t.Fatal(list)
			}
		}
	})
}

// FuzzEntry: what is read as a leaf is written as one that reads the same.
func FuzzEntry(f *testing.F) {
	for _, e := range []Entry{{Kind: KindLog, Log: "a"}, {Kind: KindBatch, Log: "a", Topic: "events", Seq: 1, To: 3, Rows: 2}, {Kind: KindErasure, ID: "x", By: "ada"}} {
		b, _ := e.Bytes()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadEntry(b)
		if err != nil {
			return
		}
		again, err := e.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadEntry(again); err != nil && len(again) <= maxEntry {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

// FuzzBundle: a bundle that is cut or made up is refused, not read beyond.
func FuzzBundle(f *testing.F) {
	f.Add(binary.BigEndian.AppendUint16(nil, 0), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if cut, err := cutBundle(b, n&0xff); err == nil && len(cut) > len(b) {
			t.Fatal(cut)
		}
	})
}

func TestCheckpointIsHeldAgainstItsKey(t *testing.T) {
	dir := t.TempDir()
	k, err := EnsureKeys(filepath.Join(dir, "a"), "holdfast/a")
	if err != nil {
		t.Fatal(err)
	}
	again, err := EnsureKeys(filepath.Join(dir, "a"), "holdfast/a")
	if err != nil || again.Public != k.Public {
		t.Errorf("the second time the key is another one: %v", err)
	}
	if st, err := os.Stat(filepath.Join(dir, "a")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others may read the key: %v, %v", st.Mode(), err)
	}
	other, err := EnsureKeys(filepath.Join(dir, "b"), "holdfast/a")
	if err != nil {
		t.Fatal(err)
	}
	c := &Checkpoint{Origin: "holdfast/a", Size: 12}
	if err := c.sign(k.Signer); err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(c.Note, k.Verifier); err != nil || got.Size != 12 {
		t.Error(got, err)
	}
	if _, err := OpenCheckpoint(c.Note, other.Verifier); err == nil {
		t.Error("a checkpoint passes under another key")
	}
	for i := range c.Note {
		b := append([]byte(nil), c.Note...)
		b[i] ^= 1
		if got, err := OpenCheckpoint(b, k.Verifier); err == nil && got.text() != c.text() {
			t.Fatalf("byte %d may be changed", i)
		}
	}
}
