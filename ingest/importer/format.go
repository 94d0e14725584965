package importer

import (
	"bytes"
	"time"

	"holdfast/ingest/adapters/sshd"
)

// reader makes events of lines. emit gets each as JSON; the bytes stay unchanged.
type reader interface {
	// line reports whether the line is of use, and why where it cannot be read.
	line(n int64, data []byte, emit func(event []byte)) (used bool, unreadable string)
	end(emit func(event []byte))
	// remembers says that what a line gives depends on the lines before it.
	remembers() bool
	// last is the latest time read, and local whether one had no zone.
	last() (at time.Time, local bool)
}

func (c *Config) reader(opts sshd.Options) reader {
	if c.Format == SSHD {
		r := &sshdReader{}
		r.in = sshd.New(opts, func(event []byte) { r.emit(bytes.Clone(event)) })
		return r
	}
	return ndjson{}
}

// ndjson has one event a line.
type ndjson struct{}

func (ndjson) line(_ int64, data []byte, emit func([]byte)) (bool, string) {
	data = bytes.TrimSpace(data)
	if len(data) > 0 {
		emit(data)
	}
	return len(data) > 0, ""
}

func (ndjson) end(func([]byte)) {}
func (ndjson) remembers() bool  { return false }

func (ndjson) last() (time.Time, bool) { return time.Time{}, false }

// sshdReader hands lines to the adapter.
type sshdReader struct {
	in   *sshd.Reader
	emit func([]byte)
}

func (r *sshdReader) line(n int64, data []byte, emit func([]byte)) (bool, string) {
	r.emit = emit
	return r.in.Line(n, data)
}

func (r *sshdReader) end(emit func([]byte)) {
	r.emit = emit
	r.in.End()
}

func (r *sshdReader) remembers() bool { return true }

func (r *sshdReader) last() (time.Time, bool) { return r.in.Last(), r.in.Local() }
