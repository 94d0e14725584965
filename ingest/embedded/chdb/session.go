package chdb

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"unsafe"
)

// Param is a value for a {name:Type} placeholder, in ClickHouse's escaped text form.
type Param struct{ Name, Value string }

// Error is the engine's refusal, its text as ClickHouse words it
// ("Code: 60. DB::Exception: …").
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

var errNoAnswer = &Error{Text: "Code: 1002. DB::Exception: the engine gave no answer. (UNKNOWN_EXCEPTION)"}

// Stats are the engine's own counts for one statement.
type Stats struct {
	ReadRows, ReadBytes       uint64 // from tables
	ResultRows                uint64
	WrittenRows, WrittenBytes uint64
}

// Observer is a writer that wants a statement's counts before its answer.
type Observer interface{ Observe(Stats) }

// Session runs statements one at a time. It is not safe for use by several
// goroutines at once.
type Session struct {
	engine *Engine
	conn   *unsafe.Pointer // what chdb_connect returned: a pointer to the handle
}

// Session opens a session. It costs 0.2 ms, so that a statement can have one of
// its own, whose settings (SET) end with it.
func (e *Engine) Session() (*Session, error) {
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := make([]unsafe.Pointer, 0, len(e.args)+1)
	for _, a := range e.args {
		b := append([]byte(a), 0)
		pins.Pin(&b[0])
		argv = append(argv, unsafe.Pointer(&b[0]))
	}
	argv = append(argv, nil)
	pins.Pin(&argv[0])

	e.mu.Lock()
	defer e.mu.Unlock()
	saved := saveSignals()
	defer saved.restore()
	conn := e.lib.connect(int32(len(e.args)), unsafe.Pointer(&argv[0]))
	if conn == nil {
		return nil, errors.New("the engine refused the connection; see standard error for its reason")
	}
	return &Session{engine: e, conn: (*unsafe.Pointer)(conn)}, nil
}

// Close ends the session.
func (s *Session) Close() {
	if s.conn == nil {
		return
	}
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	saved := saveSignals()
	defer saved.restore()
	s.engine.lib.closeConn(unsafe.Pointer(s.conn))
	s.conn = nil
}

// Query runs one statement and writes its answer in the given format to w.
func (s *Session) Query(w io.Writer, sql, format string, params []Param) (Stats, error) {
	result := s.call(s.engine.lib.queryParams, sql, format, params)
	if result == nil {
		return Stats{}, errNoAnswer
	}
	defer s.engine.lib.destroy(result)
	return s.engine.lib.copyResult(w, result)
}

type queryFunc = func(conn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer

func (s *Session) call(fn queryFunc, sql, format string, params []Param) unsafe.Pointer {
	var pins runtime.Pinner
	defer pins.Unpin()
	text := func(v string) unsafe.Pointer {
		b := append([]byte(v), 0)
		pins.Pin(&b[0])
		return unsafe.Pointer(&b[0])
	}
	n := len(params)
	names, values := make([]unsafe.Pointer, n+1), make([]unsafe.Pointer, n+1)
	nameLens, valueLens := make([]uintptr, n+1), make([]uintptr, n+1)
	for i, p := range params {
		names[i], nameLens[i] = text(p.Name), uintptr(len(p.Name))
		values[i], valueLens[i] = text(p.Value), uintptr(len(p.Value))
	}
	pins.Pin(&names[0])
	pins.Pin(&values[0])
	pins.Pin(&nameLens[0])
	pins.Pin(&valueLens[0])
	return fn(*s.conn, text(sql), uintptr(len(sql)), text(format), uintptr(len(format)),
		unsafe.Pointer(&names[0]), unsafe.Pointer(&nameLens[0]), unsafe.Pointer(&values[0]), unsafe.Pointer(&valueLens[0]), uintptr(n))
}

func (l *library) copyResult(w io.Writer, result unsafe.Pointer) (Stats, error) {
	if text := l.errorText(result); text != nil {
		return Stats{}, &Error{Text: goString(text)}
	}
	stats := Stats{
		ReadRows: l.storageRowsRead(result), ReadBytes: l.storageBytesRead(result), ResultRows: l.rowsRead(result),
		WrittenRows: l.rowsWritten(result), WrittenBytes: l.bytesWritten(result),
	}
	if o, ok := w.(Observer); ok {
		o.Observe(stats)
	}
	n := l.length(result)
	if n == 0 {
		return stats, nil
	}
	_, err := w.Write(unsafe.Slice((*byte)(l.buffer(result)), n))
	return stats, err
}

func goString(p unsafe.Pointer) string {
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return strings.Clone(unsafe.String((*byte)(p), n))
}
