package sshd

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// Options say what the log itself does not. Zero values take the defaults.
type Options struct {
	// Year is the year of the first line, where lines have none. By default it
	// is the latest that puts the first line not after Reference.
	Year int
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
	opts    Options
	last    time.Time // of the last line without a year
	waiting []pending // connections of users that may not log in, oldest first
	line    int64     // of the present line
	emitted int       // events of the present line
	text    string
	buf     []byte
	emit    func(event []byte)
}

// pending is an "Invalid user" line of which no attempt has been seen yet.
type pending struct {
	conn    string // host and process
	msg     message
	at      time.Time
	id      string
	settled bool // an attempt followed
}

const (
	// maxPending bounds the connections remembered; the oldest is taken for over.
	maxPending = 1024
	// graceTime is how long a connection may take to log in; sshd's own limit is
	// 2 min by default.
	graceTime = 10 * time.Minute
)

// New returns a reader of one log. emit gets each event as JSON, valid during
// the call only.
func New(opts Options, emit func(event []byte)) *Reader {
	if opts.Location == nil {
		opts.Location = time.UTC
	}
	if opts.Reference.IsZero() {
		opts.Reference = time.Now()
	}
	return &Reader{opts: opts, emit: emit}
}

// Line reads the log's nth line and reports whether it tells of an attempt.
func (r *Reader) Line(n int64, line []byte) bool {
	r.line, r.emitted, r.text = n, 0, string(trim(line))
	e, ok := parseEntry(r.text)
	if !ok {
		return false
	}
	at, ok := r.time(e.stamp)
	if !ok {
		return false
	}
	r.expire(at)
	if !isSSHD(e.program) {
		return false
	}
	conn := e.host + " " + e.pid
	m := parseMessage(e.message)
	switch m.kind {
	case attempt:
		r.attempt(conn, m, at)
	case unknown:
		r.over(conn)
		r.remember(pending{conn: conn, msg: m, at: at, id: r.nextID()})
	case ending:
		r.over(conn)
	}
	return m.kind == attempt || m.kind == unknown
}

// End tells that the log is over.
func (r *Reader) End() {
	for _, p := range r.waiting {
		r.flush(p)
	}
	r.waiting = nil
}

func (r *Reader) attempt(conn string, m message, at time.Time) {
	for i := range r.waiting {
		if p := &r.waiting[i]; p.conn == conn {
			p.settled = true
			if m.outcome == "failure" {
				m.reason = p.msg.reason
			}
		}
	}
	for range m.times {
		r.write(r.nextID(), m, at)
	}
}

func (r *Reader) remember(p pending) {
	if len(r.waiting) == maxPending {
		r.drop(0)
	}
	r.waiting = append(r.waiting, p)
}

// over ends a connection: if nothing was tried, that it came is the attempt.
func (r *Reader) over(conn string) {
	for i := range r.waiting {
		if r.waiting[i].conn == conn {
			r.drop(i)
			return
		}
	}
}

// expire ends the connections that must be over by now.
func (r *Reader) expire(now time.Time) {
	for len(r.waiting) > 0 && now.Sub(r.waiting[0].at) > graceTime {
		r.drop(0)
	}
}

func (r *Reader) drop(i int) {
	r.flush(r.waiting[i])
	r.waiting = append(r.waiting[:i], r.waiting[i+1:]...)
}

func (r *Reader) flush(p pending) {
	if p.settled {
		return
	}
	p.msg.outcome, p.msg.method = "failure", "invalid"
	r.write(p.id, p.msg, p.at)
}

// nextID derives an event's id from where its line stands and what it says.
func (r *Reader) nextID() string {
	r.emitted++
	return schemas.DeriveID("ssh", strconv.FormatInt(r.line, 10), r.text, strconv.Itoa(r.emitted))
}

func (r *Reader) write(id string, m message, at time.Time) {
	b := r.buf[:0]
	b = append(b, `{"id":`...)
	b = appendString(b, id)
	b = append(b, `,"type":"login","time":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, '"')
	who := "account"
	if r.opts.Staff {
		who = "employee"
	}
	for _, f := range [...][2]string{
		{who, accountOf(m.user)}, {"user", m.user}, {"ip", m.ip.String()}, {"outcome", m.outcome}, {"method", m.method}, {"reason", m.reason},
	} {
		if f[1] == "" && f[0] != "user" {
			continue
		}
		b = append(b, ',', '"')
		b = append(b, f[0]...)
		b = append(b, '"', ':')
		b = appendString(b, f[1])
	}
	b = append(b, '}')
	r.buf = b
	r.emit(b)
}

// accountOf makes a user name an account: what cannot be shown is replaced, and
// a name too long is cut, its hash behind it.
func accountOf(user string) string {
	if user == "" {
		return "(empty)"
	}
	id := strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return utf8.RuneError
		}
		return c
	}, strings.ToValidUTF8(user, "\ufffd"))
	if len(id) > schemas.MaxID {
		id = strings.ToValidUTF8(id[:schemas.MaxID-40], "") + schemas.DeriveID("…", user)
	}
	return id
}

func appendString(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > schemas.MaxText {
		s = strings.ToValidUTF8(s[:schemas.MaxText], "")
	}
	b, err := jsontext.AppendQuote(b, s)
	if err != nil { // only invalid UTF-8 is an error
		return append(b, `""`...)
	}
	return b
}
