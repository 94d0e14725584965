package enrich

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// maxFile bounds what one file takes in memory, in bytes. The largest databases of
// cities have some 100 MiB.
const maxFile = 1 << 30

// watched is a file as Enricher tends it, whatever it holds. All but loaded and
// entries are for one goroutine.
type watched interface {
	kind() Kind
	name() string
	changed() bool
	read() error
	loaded() bool
	failed() bool
	entries() int
}

// stamp is by what a file's versions are told apart.
type stamp struct {
	modified time.Time
	size     int64
	id       any // the file's own number, where there is one: a renamed file has another
}

// source is one file and what was read from it last.
type source[T any] struct {
	of    Kind
	path  string
	parse func(path string, data []byte) (*T, int, error)

	now  atomic.Pointer[T]
	size atomic.Int64 // entries

	last stamp // of what was read last
	seen stamp // at the last look
	err  error // of the last reading
}

func (s *source[T]) kind() Kind   { return s.of }
func (s *source[T]) name() string { return s.path }
func (s *source[T]) loaded() bool { return s.now.Load() != nil }
func (s *source[T]) failed() bool { return s.err != nil }
func (s *source[T]) entries() int { return int(s.size.Load()) }

// changed tells whether there is another file than was read last, and it stood still
// since the look before: a copy that is still being written is not read in halves.
func (s *source[T]) changed() bool {
	now := stampOf(s.path)
	still := now == s.seen
	s.seen = now
	return still && now != s.last
}

// stampOf is the zero stamp where the file cannot be seen.
func stampOf(path string) stamp {
	st, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{modified: st.ModTime(), size: st.Size(), id: fileID(st)}
}

// read takes the file in; the old one stays where that fails.
func (s *source[T]) read() error {
	s.seen = stampOf(s.path)
	s.last = s.seen
	var data []byte
	data, s.err = readFile(s.path)
	if s.err == nil && stampOf(s.path) != s.last {
		s.last = stamp{} // it is read again when it stands still
		s.err = fmt.Errorf("%s was being written while it was read", s.path)
	}
	if s.err != nil {
		return s.err
	}
	v, n, err := s.parse(s.path, data)
	if err != nil {
		s.err = err
		return err
	}
	s.size.Store(int64(n))
	s.now.Store(v)
	return nil
}

// readFile reads a whole file. Databases are kept in memory rather than mapped: a
// mapped file that is cut short in its place takes the process down.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: name a file that is there, or leave it out", err)
		}
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no plain file: name one", path)
	case st.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes, more than %d: it is no such file", path, st.Size(), maxFile)
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
}
