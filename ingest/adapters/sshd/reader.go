package sshd

import (
	"bytes"
	"strings"
	"time"
)

// Options say what the log itself does not. Zero values take the defaults.
type Options struct {
	// Year is the year of the first line, where lines have none. By default it
	// is the latest that puts the first line not after Reference.
	Year int
	// After is a time that the first line follows: the end of the log that was
	// rotated before this one. It goes before Year.
	After time.Time
	// Reference is a time at or after the log's last line, such as the file's
	// time of change; by default the present.
	Reference time.Time
	// Location is the zone of times without one; default UTC.
	Location *time.Location
	// Staff makes the users employees instead of accounts.
	Staff bool
}

// Reader turns lines into events. It is not safe for use by several goroutines.
type Reader struct {
	opts  Options
	clock clock
	zones zones
	conns conns
	held  []held // lines whose time is in doubt
	prev  *held  // the line before, for "last message repeated"
	local bool   // a time without a zone was read

	line    int64 // of the present line
	emitted int   // ids of the present line
	text    string
	buf     []byte
	emit    func(event []byte)
}

// held is a line that was taken apart.
type held struct {
	entry entry
	msg   message
	line  int64
	text  string
	at    time.Time
}

// maxHeld bounds the lines whose time is in doubt.
const maxHeld = 1024

// New returns a reader of one log. emit gets each event as JSON, valid during
// the call only.
func New(opts Options, emit func(event []byte)) *Reader {
	if opts.Location == nil {
		opts.Location = time.UTC
	}
	if opts.Reference.IsZero() {
		opts.Reference = time.Now()
	}
	r := &Reader{opts: opts, emit: emit, conns: newConns(), zones: zonesOf(opts.Location, opts.Reference)}
	r.clock = clock{loc: opts.Location, year: opts.Year, limit: opts.Reference.Add(24 * time.Hour), last: opts.After}
	r.clock.unlimited = opts.Year != 0 && opts.After.After(r.clock.limit)
	return r
}

// whyCut says what is wrong with a line of which a part is missing.
const whyCut = "begins as sshd's lines about an attempt do, and does not end so"

// cutShort tells such lines from others that begin with the same word.
func cutShort(words string) bool {
	verb, rest, _ := strings.Cut(words, " ")
	method, _, isAttempt := strings.Cut(rest, " for")
	switch verb {
	case "Accepted", "Failed":
		return isAttempt && method != "none" && !strings.Contains(method, " ")
	case "Invalid", "Illegal":
		return strings.HasPrefix(rest, "user")
	}
	return false
}

// whyLeap says what is wrong with a February 29.
const whyLeap = "is of a February 29 that no year near has: give the year of the first line with --year"

// Line reads the log's nth line. It reports whether the line says anything of an
// attempt, and why where it cannot be read at all: then whether it does is not known.
func (r *Reader) Line(n int64, line []byte) (used bool, unreadable string) {
	h := held{line: n, text: string(trim(line))}
	var ok bool
	if h.entry, ok, unreadable = parseEntry(h.text, r.zones); !ok {
		return false, unreadable
	}
	if isSSHD(h.entry.program) {
		words := h.entry.words()
		if h.msg = parseMessage(words); h.msg.kind == other && cutShort(words) {
			return false, whyCut
		}
	}
	if h.entry.repeats > 0 && r.prev != nil && r.prev.entry.host == h.entry.host {
		h.msg, h.entry.pid = r.prev.msg, r.prev.entry.pid
		h.msg.again(h.entry.repeats)
	} else {
		prev := h
		r.prev = &prev
	}
	r.local = r.local || !h.entry.stamp.zoned && h.entry.stamp.loc == nil
	if !r.place(h) {
		return false, whyLeap
	}
	return h.msg.kind.tells() || h.msg.kind == ending && h.msg.named, ""
}

// trim drops a line's end, and the zeros that a file system leaves where the power failed.
func trim(line []byte) []byte {
	return bytes.TrimLeft(bytes.TrimRight(line, "\r\n\x00"), "\x00")
}

// place finds a line's time and takes it, or holds it back while that is in doubt.
func (r *Reader) place(h held) bool {
	at, how, ok := r.clock.place(h.entry.stamp)
	if !ok {
		return false
	}
	h.at = at
	switch how {
	case doubtful:
		if len(r.held) == maxHeld {
			r.take(r.held[0])
			r.held = r.held[1:]
		}
		r.held = append(r.held, h)
		return true
	case returned:
		for i := range r.held {
			r.held[i].at = r.clock.old
		}
	}
	r.release()
	r.take(h)
	return true
}

// release takes the lines that were held back.
func (r *Reader) release() {
	for _, h := range r.held {
		r.take(h)
	}
	r.held = nil
}

func (r *Reader) take(h held) {
	r.line, r.emitted, r.text = h.line, 0, h.text
	r.expire(h.at)
	if h.msg.kind == other {
		return
	}
	r.handle(h.entry.host, h.entry.pid, h.msg, h.at)
}

// End tells that the log is over.
func (r *Reader) End() {
	r.release()
	r.end(r.clock.last)
}

// Last is the latest time so far, for Options.After of the log that follows.
func (r *Reader) Last() time.Time { return r.clock.last }

// Local reports whether a line's time had no zone, so that Options.Location was used.
func (r *Reader) Local() bool { return r.local }
