package chdb

import (
	"context"
	"io"
	"unsafe"
)

// Streams tells whether a SELECT's answer in this format can be written piece by
// piece. The engine formats each piece by itself, so only formats without a head
// or an end can be.
func Streams(format string) bool {
	switch format {
	case "Native", "RowBinary", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow", "LineAsString":
		return true
	}
	return false
}

// Stream runs a SELECT and writes its answer block by block, so that memory holds
// no more than one. It stops early when ctx ends. An error may come after a part
// of the answer has been written.
func (s *Session) Stream(ctx context.Context, w io.Writer, sql, format string, params []Param) (Stats, error) {
	lib := s.engine.lib
	stream := s.call(lib.streamParams, sql, format, params)
	if stream == nil {
		return Stats{}, errNoAnswer
	}
	defer lib.destroy(stream)
	if text := lib.errorText(stream); text != nil {
		return Stats{}, &Error{Text: goString(text)}
	}
	var total Stats
	for {
		if err := ctx.Err(); err != nil {
			lib.streamCancel(*s.conn, stream)
			return total, err
		}
		n, err := s.fetch(w, stream, &total)
		if err != nil {
			lib.streamCancel(*s.conn, stream)
			return total, err
		}
		if n == 0 {
			return total, nil
		}
	}
}

// fetch writes the next block and returns its length, 0 at the end.
func (s *Session) fetch(w io.Writer, stream unsafe.Pointer, total *Stats) (int, error) {
	lib := s.engine.lib
	block := lib.streamFetch(*s.conn, stream)
	if block == nil {
		return 0, errNoAnswer
	}
	defer lib.destroy(block)
	stats, err := lib.copyResult(w, block)
	total.add(stats)
	return int(lib.length(block)), err
}

func (s *Stats) add(more Stats) {
	s.ReadRows += more.ReadRows
	s.ReadBytes += more.ReadBytes
	s.ResultRows += more.ResultRows
	s.WrittenRows += more.WrittenRows
	s.WrittenBytes += more.WrittenBytes
}
