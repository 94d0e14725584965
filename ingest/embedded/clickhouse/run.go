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
	chdb          *chdb.Engine
	tmp           string
	reads, writes chan struct{}

	version, timezone string
}

func openEngine(cfg ServeConfig) (*engine, error) {
	tmp := filepath.Join(cfg.Dir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o750)); err != nil {
		return nil, fmt.Errorf("clickhouse: temporary folder: %w", err)
	}
	config := filepath.Join(cfg.Dir, "config.xml")
	if err := os.WriteFile(config, serverConfig(cfg.MaxMemory), 0o600); err != nil {
		return nil, fmt.Errorf("clickhouse: write the engine's settings: %w", err)
	}
	db, err := chdb.Open(cfg.Lib, filepath.Join(cfg.Dir, "data"), config)
	if err != nil {
		return nil, err
	}
	e := &engine{chdb: db, tmp: tmp, reads: make(chan struct{}, cfg.Readers), writes: make(chan struct{}, cfg.Writers)}
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

// serverConfig is the engine's configuration. An insert that was answered survives
// a power failure, and so does what a merge made of it: offsets are committed on
// the strength of that answer. Memory is bounded because the engine shares the
// machine with everything else.
func serverConfig(maxMemory int64) []byte {
	memory := "<max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>"
	if maxMemory > 0 {
		memory = fmt.Sprintf("<max_server_memory_usage>%d</max_server_memory_usage>", maxMemory)
	}
	return []byte(`<clickhouse>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
  </merge_tree>
  ` + memory + `
</clickhouse>
`)
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
		return e.prepareInsert(text, st, rest)
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
	return &prepared{sql: text, st: st}, nil
}

func (e *engine) prepareInsert(text string, st statement, rest io.Reader) (*prepared, error) {
	data := strings.TrimLeft(text[st.dataAt:], " \t\r;")
	data = strings.TrimPrefix(data, "\n")
	f, err := os.CreateTemp(e.tmp, "insert-*.data")
	if err != nil {
		return nil, fileFault{fmt.Errorf("make a file for the rows: %w", err)}
	}
	p := &prepared{st: st, file: f.Name()}
	p.sql = text[:st.clausesAt] + " FROM INFILE " + quote(f.Name()) + " COMPRESSION 'none' " + text[st.clausesAt:st.dataAt]
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
	if p.st.reads() {
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
	if req.database != "" && req.database != "default" {
		if _, err := s.Query(io.Discard, "USE "+quoteName(req.database), "Null", nil); err != nil {
			return chdb.Stats{}, err
		}
	}
	if set := req.setStatement(); set != "" {
		if _, err := s.Query(io.Discard, set, "Null", nil); err != nil {
			return chdb.Stats{}, err
		}
	}
	if p.st.selects() && chdb.Streams(first(p.st.format, req.format)) {
		return s.Stream(ctx, w, p.sql, req.format, req.params)
	}
	return s.Query(w, p.sql, req.format, req.params)
}

// readUpTo reads at most n bytes; the end before that is no error.
func readUpTo(r io.Reader, n int) ([]byte, error) {
	if n <= 0 {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r, int64(n)))
}
