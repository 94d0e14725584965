package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"holdfast/ingest/embedded/chdb"
)

// maxStatement bounds the text of a statement; an INSERT's data are not part of it.
const maxStatement = 16 << 20

// headSize is how much of a body is looked at to find where its statement ends.
const headSize = 1 << 20

// engine runs requests on sessions of one open data folder. Reads and writes have
// slots of their own, so that a queue of inserts never holds up a query.
type engine struct {
	chdb    *chdb.Engine
	checker *checker
	tmp     string

	reads, writes, dashboards chan struct{}
	limits                    readerLimits

	version, timezone string
}

func openEngine(cfg ServeConfig) (*engine, error) {
	tmp := filepath.Join(cfg.Dir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return nil, fmt.Errorf("clickhouse: temporary folder: %w", err)
	}
	config, users := filepath.Join(cfg.Dir, "config.xml"), filepath.Join(cfg.Dir, "users.xml")
	err := errors.Join(
		os.WriteFile(users, usersConfig(cfg.ReaderDatabase), 0o600),
		os.WriteFile(config, serverConfig(cfg.MaxMemory, users, filepath.Join(cfg.Dir, "nowhere")), 0o600))
	if err != nil {
		return nil, fmt.Errorf("clickhouse: write the engine's settings: %w", err)
	}
	db, err := chdb.Open(cfg.Lib, filepath.Join(cfg.Dir, "data"), config)
	if err != nil {
		return nil, err
	}
	e := &engine{
		chdb: db, tmp: tmp, limits: limitsOf(cfg.MaxMemory),
		reads: make(chan struct{}, cfg.Readers), writes: make(chan struct{}, cfg.Writers), dashboards: make(chan struct{}, cfg.Dashboards),
	}
	if e.checker, err = newChecker(db); err != nil {
		return nil, err
	}
	s, err := db.Session()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var out bytes.Buffer
	if _, err := s.Query(&out, "SELECT version(), timezone()", "TabSeparated", nil); err != nil {
		return nil, fmt.Errorf("clickhouse: ask the engine's version: %w", err)
	}
	e.version, e.timezone, _ = strings.Cut(strings.TrimSpace(out.String()), "\t")
	return e, nil
}

// prepared is a statement ready to run; remove its file when done.
type prepared struct {
	sql  string
	st   statement
	file string
}

func (p *prepared) close() {
	if p.file != "" {
		_ = os.Remove(p.file)
	}
}

// prepare reads the statement, and puts an INSERT's data into a file.
func (e *engine) prepare(req *request) (*prepared, error) {
	text, rest := req.sql, req.body
	if text != "" {
		text += "\n"
	} else {
		head, err := readUpTo(req.body, headSize)
		if err != nil {
			return nil, err
		}
		text = string(head)
	}
	st := parse(text)
	if st.dataFollow {
		return e.prepareInsert(req, text, st, rest)
	}
	more, err := readUpTo(rest, maxStatement+1-len(text))
	if err != nil {
		return nil, err
	}
	if len(text)+len(more) > maxStatement {
		return nil, refuse(codeTooLarge, "TOO_MANY_BYTES", "a statement may hold %d bytes; send rows as INSERT … FORMAT with the data after it", maxStatement)
	}
	if len(more) > 0 {
		text += string(more)
		st = parse(text)
	}
	switch {
	case st.verb == "":
		return nil, refuse(codeSyntax, "SYNTAX_ERROR", "Empty query")
	case st.another:
		return nil, refuse(codeSyntax, "SYNTAX_ERROR", "Multi-statements are not allowed")
	case st.usesInput:
		return nil, refuse(codeNotImplemented, "NOT_IMPLEMENTED", "INSERT … SELECT FROM input() is not supported; insert into a table of engine Null with a materialized view")
	}
	if err := e.checker.examine(text, "", req.onlyReads()); err != nil {
		return nil, err
	}
	if err := e.roomFor(text); err != nil {
		return nil, err
	}
	return &prepared{sql: text, st: st}, nil
}

func (e *engine) prepareInsert(req *request, text string, st statement, rest io.Reader) (*prepared, error) {
	data := strings.TrimLeft(text[st.dataAt:], " \t\r;")
	data = strings.TrimPrefix(data, "\n")
	f, err := os.CreateTemp(e.tmp, "insert-*.data")
	if err != nil {
		return nil, fileFault{fmt.Errorf("make a file for the rows: %w", err)}
	}
	p := &prepared{st: st, file: f.Name()}
	p.sql = text[:st.clausesAt] + " FROM INFILE " + quote(f.Name()) + " COMPRESSION 'none' " + text[st.clausesAt:st.formatAt] + "FORMAT " + st.format
	if err := e.checker.examine(p.sql, p.file, req.onlyReads()); err != nil {
		_ = f.Close()
		p.close()
		return nil, err
	}
	to := &fileWriter{f: f}
	_, err = io.Copy(to, io.MultiReader(strings.NewReader(data), rest))
	if closed := f.Close(); closed != nil && err == nil {
		err = fileFault{closed}
	}
	if to.err != nil {
		err = fileFault{fmt.Errorf("write the rows to a file: %w", to.err)}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// fileWriter keeps a failed write apart from a failed read of what is written.
type fileWriter struct {
	f   *os.File
	err error
}

func (w *fileWriter) Write(b []byte) (int, error) {
	n, err := w.f.Write(b)
	w.err = err
	return n, err
}

// run runs a statement in a session of its own, so that nothing it sets outlives
// it, and writes the answer to w.
func (e *engine) run(ctx context.Context, req *request, p *prepared, w io.Writer) (chdb.Stats, error) {
	slots := e.writes
	switch {
	case req.reader:
		slots = e.dashboards
	case p.st.reads():
		slots = e.reads
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return chdb.Stats{}, refuse(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "the client left while waiting for its turn")
	}
	s, err := e.chdb.Session()
	if err != nil {
		return chdb.Stats{}, err
	}
	defer s.Close()
	for _, sql := range e.beforehand(req) {
		if _, err := s.Query(io.Discard, sql, "Null", nil); err != nil {
			return chdb.Stats{}, err
		}
	}
	if p.st.selects() && chdb.Streams(first(p.st.format, req.format)) {
		return s.Stream(ctx, w, p.sql, req.format, req.params)
	}
	return s.Query(w, p.sql, req.format, req.params)
}

// beforehand are the statements that make a session what the request may do: its
// role, its database, its settings, and last what it cannot lift.
func (e *engine) beforehand(req *request) []string {
	role := roleFull
	if req.reader {
		role = roleReader
	}
	out := []string{"SET ROLE " + role}
	if req.database != "" && req.database != "default" {
		out = append(out, "USE "+quoteName(req.database))
	}
	if set := req.setStatement(); set != "" {
		out = append(out, set)
	}
	switch {
	case req.reader:
		out = append(out, e.limits.set(req), "SET readonly = 1")
	case req.onlyReads():
		out = append(out, "SET readonly = 2")
	}
	return out
}

// readUpTo reads at most n bytes; the end before that is no error.
func readUpTo(r io.Reader, n int) ([]byte, error) {
	if n <= 0 {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r, int64(n)))
}
