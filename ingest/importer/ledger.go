package importer

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ledger is the progress file: how far each file is. It exists only while an
// import is unfinished. A nil path keeps it in memory.
type ledger struct {
	path   string
	synced time.Time
	state  struct {
		Version int    `json:"version"`
		Format  Format `json:"format"`
		// Began is when the first run began: what arrived later is the import's own.
		Began time.Time `json:"began,omitzero"`
		Files []*entry  `json:"files"`
	}
}

// entry is one file, known by its path, size and first bytes.
type entry struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Head   string `json:"head"`   // SHA-256 of its first 64 KiB
	Offset int64  `json:"offset"` // in the plain text: everything before it is acknowledged
	Line   int64  `json:"line"`
	Counts `json:"counts"`
	Done   bool `json:"done"`
	// Ends are the ends of the events topic's partitions: what was sent beyond
	// Offset stands at or behind them.
	Ends []int64 `json:"ends,omitempty"`
	// Last is the latest time in a log that is done: the years of the one that was
	// rotated after it follow from there.
	Last time.Time `json:"last,omitzero"`
}

const ledgerVersion = 1

func openLedger(path string, format Format) (*ledger, error) {
	l := &ledger{path: path}
	l.state.Version, l.state.Format = ledgerVersion, format
	if path == "" {
		return l, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("import: cannot read the progress file: %w", err)
	}
	if err := json.Unmarshal(data, &l.state); err != nil || l.state.Version != ledgerVersion {
		return nil, fmt.Errorf("import: %s is no progress file of this version: remove it to import from the beginning, or name another", path)
	}
	if l.state.Format != format {
		return nil, fmt.Errorf("import: %s belongs to an import of format %s: remove it to import from the beginning, or name another", path, l.state.Format)
	}
	return l, nil
}

// begun is when the import's first run began, which is now where there was none.
func (l *ledger) begun(now time.Time) time.Time {
	if l.state.Began.IsZero() {
		l.state.Began = now.UTC().Truncate(time.Millisecond)
	}
	return l.state.Began
}

// find returns the file's entry, a new one where there is none. Standard input
// has none that could be found again.
func (l *ledger) find(name string) (*entry, error) {
	e := &entry{Path: name}
	if name == "-" || l.path == "" {
		return e, nil
	}
	if err := e.identify(); err != nil {
		return nil, err
	}
	for _, old := range l.state.Files {
		if old.Path == e.Path && old.Size == e.Size && old.Head == e.Head {
			return old, nil
		}
	}
	l.state.Files = append(l.state.Files, e)
	return e, nil
}

func (e *entry) identify() error {
	f, err := os.Open(e.Path)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("import: %s is no regular file: it cannot be gone on with; give it as - or import without a progress file", e.Path)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(bufio.NewReader(f), 64<<10)); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if e.Path, err = filepath.Abs(e.Path); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	e.Size, e.Head = st.Size(), hex.EncodeToString(h.Sum(nil))
	return nil
}

// save replaces the file at once: a crash leaves the one before or this one. It
// waits for the disk once a second; what a power failure takes is sent again.
func (l *ledger) save(force bool) error {
	if l.path == "" {
		return nil
	}
	data, err := json.Marshal(&l.state, jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("import: writing the progress file: %w", err)
	}
	if err := l.replace(append(data, '\n'), force || time.Since(l.synced) > time.Second); err != nil {
		return fmt.Errorf("import: cannot write the progress file, without which an interrupted import begins again: %w", err)
	}
	return nil
}

func (l *ledger) replace(data []byte, sync bool) error {
	f, err := os.CreateTemp(filepath.Dir(l.path), filepath.Base(l.path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename it is gone already
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
		l.synced = time.Now()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), l.path)
}

// finish removes the file: nothing is left to go on with.
func (l *ledger) finish() error {
	if l.path == "" {
		return nil
	}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("import: every record is in, but the progress file remains: %w", err)
	}
	return nil
}
