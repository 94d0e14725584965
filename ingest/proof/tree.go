package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"
)

// height is the height of a tile: 256 hashes in each (C2SP tlog-tiles).
const (
	height = 8
	width  = 1 << height
)

// Tree is the log of proof on disk, in the layout of C2SP tlog-tiles: tile/LEVEL/N with
// hashes, tile/entries/N with leaves, the newest checkpoint in "checkpoint", and in
// "state.json" how far it has come. One process writes it. It keeps the tiles at its
// right edge in memory, some 8 KiB a level.
type Tree struct {
	dir     string
	size    int64
	levels  [][]byte // of each level of tiles what is not full yet
	entries []byte   // of the bundle that is not full yet
	count   int64    // of leaves in it
	dirty   map[string][]byte
	state   treeState
}

// treeState is what the folder says of itself.
type treeState struct {
	Size int64 `json:"size"`
	Log  string
	Next int64 `json:"next"` // offset of the topic "proof" to read next
	Fold *Fold `json:"fold"`
}

const stateFile = "state.json"

// OpenTree opens the folder of a tree, or an empty one.
func OpenTree(dir string) (*Tree, error) {
	t := &Tree{dir: dir, dirty: map[string][]byte{}, state: treeState{Fold: newFold()}}
	b, err := os.ReadFile(filepath.Join(dir, stateFile)) // #nosec G304 -- the operator's folder
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	if err := json.Unmarshal(b, &t.state); err != nil {
		return nil, fmt.Errorf("proof: %s cannot be read: %w: delete it, and the tree is made again from its topic", filepath.Join(dir, stateFile), err)
	}
	if t.state.Fold == nil || t.state.Fold.Cover == nil || t.state.Fold.IDs == nil {
		return nil, fmt.Errorf("proof: %s is not whole: delete it, and the tree is made again from its topic", filepath.Join(dir, stateFile))
	}
	t.size = t.state.Size
	for level := 0; t.size>>(height*level) > 0; level++ {
		n := t.size >> (height * level)
		b, err := t.readTile(tilePath(fmt.Sprint(level), n/width), int(n%width), int(n%width)*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		t.levels = append(t.levels, b)
	}
	t.count = t.size % width
	if t.count > 0 {
		b, err := t.readTile(tilePath("entries", t.size/width), int(t.count), 0)
		if err != nil {
			return nil, err
		}
		if t.entries, err = cutBundle(b, int(t.count)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Fold is what follows from the leaves.
func (t *Tree) Fold() *Fold { return t.state.Fold }

// tilePath is a tile's path for a level or "entries": its number in groups of three
// digits, all but the last with an x before them.
func tilePath(level string, n int64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	return "tile/" + level + "/" + name
}

func partial(path string, w int) string { return fmt.Sprintf("%s.p/%d", path, w) }

// readTile reads a tile that has at least w entries; size bounds it where it is known.
func (t *Tree) readTile(path string, w, size int) ([]byte, error) {
	if w == 0 {
		return nil, nil
	}
	b, err := readTileFile(t.dir, path, w)
	if err != nil {
		return nil, err
	}
	if size > 0 {
		if len(b) < size {
			return nil, fmt.Errorf("proof: %s in %s is cut: delete %s there, and the tree is made again from its topic", path, t.dir, stateFile)
		}
		b = b[:size:size]
	}
	return b, nil
}

// readTileFile reads a tile of w entries or the narrowest file that has more.
func readTileFile(dir, path string, w int) ([]byte, error) {
	for try := w; try < width; try++ {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(partial(path, try)))) // #nosec G304 -- the operator's folder
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("proof: %w", err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path))) // #nosec G304 -- the operator's folder
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	return b, nil
}

// cutBundle keeps the first n leaves of a bundle.
func cutBundle(b []byte, n int) ([]byte, error) {
	at := 0
	for range n {
		if at+2 > len(b) || at+2+int(binary.BigEndian.Uint16(b[at:])) > len(b) {
			return nil, errors.New("proof: a bundle of leaves is cut")
		}
		at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	}
	return b[:at:at], nil
}

// ReadHashes makes the tree a tlog.HashReader.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(height, index)
		data, err := t.tile(tile)
		if err != nil {
			return nil, err
		}
		if out[i], err = tlog.HashFromTile(tile, data, index); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
	}
	return out, nil
}

func (t *Tree) tile(x tlog.Tile) ([]byte, error) {
	if n := t.size >> (height * x.L); x.N == n/width && x.L < len(t.levels) {
		return t.levels[x.L], nil
	}
	path := tilePath(fmt.Sprint(x.L), x.N)
	if b, ok := t.dirty[path]; ok {
		return b, nil
	}
	return t.readTile(path, x.W, 0)
}

// Append adds a leaf. It is on disk after Flush.
func (t *Tree) Append(leaf []byte) error {
	if len(leaf) > maxEntry {
		return fmt.Errorf("proof: a leaf of %d bytes is too long", len(leaf))
	}
	hashes, err := tlog.StoredHashesForRecordHash(t.size, leafHash(leaf), t)
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	for k, h := range hashes {
		if k%height != 0 {
			continue
		}
		level := k / height
		for len(t.levels) <= level {
			t.levels = append(t.levels, nil)
		}
		t.levels[level] = append(t.levels[level], h[:]...)
	}
	t.entries = append(binary.BigEndian.AppendUint16(t.entries, uint16(len(leaf))), leaf...) // #nosec G115 -- checked above
	n := t.size
	t.size++
	if t.count++; t.count == width {
		t.dirty[tilePath("entries", n/width)] = t.entries
		t.entries, t.count = nil, 0
	}
	for level := range t.levels {
		if len(t.levels[level]) == width*tlog.HashSize {
			t.dirty[tilePath(fmt.Sprint(level), (t.size>>(height*level))/width-1)] = t.levels[level]
			t.levels[level] = nil
		}
	}
	return nil
}

// Flush writes what was appended and how far the topic was read.
func (t *Tree) Flush(logID string, next int64) error {
	if t.state.Next == next && t.state.Size == t.size && t.state.Log == logID {
		return nil
	}
	for path, b := range t.dirty {
		if err := t.write(path, b); err != nil {
			return err
		}
		_ = os.RemoveAll(filepath.Join(t.dir, filepath.FromSlash(path)+".p")) // the whole tile has what they had
	}
	clear(t.dirty)
	for level, b := range t.levels {
		if len(b) > 0 {
			path := tilePath(fmt.Sprint(level), (t.size>>(height*level))/width)
			if err := t.write(partial(path, len(b)/tlog.HashSize), b); err != nil {
				return err
			}
		}
	}
	if t.count > 0 {
		if err := t.write(partial(tilePath("entries", t.size/width), int(t.count)), t.entries); err != nil {
			return err
		}
	}
	t.state.Size, t.state.Next, t.state.Log = t.size, next, logID
	b, err := json.Marshal(&t.state, json.Deterministic(true))
	if err != nil {
		return err
	}
	return t.write(stateFile, b)
}

// write replaces a file, whole or not at all.
func (t *Tree) write(path string, b []byte) error {
	return writeFile(filepath.Join(t.dir, filepath.FromSlash(path)), b)
}

func writeFile(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("proof: write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	d, err := os.Open(dir) // #nosec G304 -- the operator's folder
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Root is the root of the first n leaves.
func (t *Tree) Root(n int64) (tlog.Hash, error) {
	if n > t.size {
		return tlog.Hash{}, fmt.Errorf("proof: the tree has %d leaves, not %d", t.size, n)
	}
	return tlog.TreeHash(n, t)
}

// Leaves calls f with the leaves from one on, as they stand in the folder.
func Leaves(dir string, from, to int64, f func(n int64, leaf []byte) error) error {
	for n := from; n < to; {
		bundle := n / width
		w := int(min(to-bundle*width, width))
		b, err := readTileFile(dir, tilePath("entries", bundle), w)
		if err != nil {
			return err
		}
		if b, err = cutBundle(b, w); err != nil {
			return fmt.Errorf("%w: %s", err, tilePath("entries", bundle))
		}
		for i := bundle * width; len(b) > 0; i++ {
			size := int(binary.BigEndian.Uint16(b))
			if i >= n {
				if err := f(i, b[2:2+size]); err != nil {
					return err
				}
			}
			b = b[2+size:]
		}
		n = (bundle + 1) * width
	}
	return nil
}

// Clear empties the folder of a tree but for its checkpoint, so that it is made again
// from the topic, and is held against that checkpoint.
func Clear(dir string) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		if n.Name() == "tile" || n.Name() == stateFile || strings.HasPrefix(n.Name(), ".new-") {
			if err := os.RemoveAll(filepath.Join(dir, n.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
