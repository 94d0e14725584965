package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"holdfast/detectors/baseline"
	"holdfast/ingest/unpack"
)

type seriesCmd struct {
	File string `arg:"" help:"CSV with a timestamp and a value in each row; - is standard input."`
	Out  string `short:"o" placeholder:"FILE" help:"Write the scores here (default: standard output)."`
}

// Run scores the series. An interrupt ends it behind a whole row, and what was scored is
// written; a read that blocks does not keep it waiting.
func (s *seriesCmd) Run(ctx context.Context) error {
	done := make(chan error, 1)
	var lines atomic.Int64 // written
	go func() { done <- s.score(ctx, &lines) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(time.Second): // a read blocks: all rows before it are written
			err = ctx.Err()
		}
	}
	if err != nil && ctx.Err() != nil {
		fmt.Fprintf(os.Stderr, "not done; so far: %s\n", count(max(lines.Load()-1, 0), "row", "rows"))
	}
	return err
}

// untilDone is a reader that ends with ctx.
type untilDone struct {
	ctx context.Context
	in  io.Reader
}

// Read reads unless ctx is over.
func (r untilDone) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(b)
}

// lineCounter counts the lines that are written.
type lineCounter struct {
	out   io.Writer
	lines *atomic.Int64
}

// Write writes and counts.
func (c lineCounter) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	c.lines.Add(int64(bytes.Count(b[:n], []byte("\n"))))
	return n, err
}

func (s *seriesCmd) score(ctx context.Context, lines *atomic.Int64) error {
	in, name := os.Stdin, "standard input"
	if s.File != "-" {
		f, err := os.Open(s.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, s.File
	}
	out := os.Stdout
	if s.Out != "" && s.Out != "-" {
		if same(in, s.Out) {
			return fmt.Errorf("--out names %s itself, which would be lost: name another file", name)
		}
		f, err := os.Create(s.Out)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	text, err := unpack.New(untilDone{ctx, in}, s.File, "series")
	if err != nil {
		return err
	}
	if err := scoreSeries(text, lineCounter{out, lines}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if out == os.Stdout {
		return nil
	}
	return out.Close()
}

func same(in *os.File, path string) bool {
	a, err := in.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// maxSeriesLine bounds a line: a timestamp and a number take less than 100 bytes.
const maxSeriesLine = 4096

// scoreSeries reads timestamp,value and writes timestamp,value,anomaly_score, one row
// for each. A header and empty lines are passed over; a row without a value, or with
// NaN, is a count that is missing and scores 0; any other row that cannot be read ends
// it with an error, after the rows before it were written. Rows are written when no
// more input waits, so that a live feed is scored as it comes.
func scoreSeries(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReaderSize(in, maxSeriesLine), bufio.NewWriter(out)
	if _, err := w.WriteString("timestamp,value,anomaly_score\n"); err != nil {
		return err
	}
	rows := series{w: w}
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			if bad := rows.score(string(line), number); bad != nil {
				return errors.Join(bad, w.Flush())
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return w.Flush()
		case errors.Is(err, bufio.ErrBufferFull):
			return errors.Join(fmt.Errorf("line %d is longer than %d bytes: give each row a line of its own", number, maxSeriesLine), w.Flush())
		case err != nil:
			return errors.Join(fmt.Errorf("line %d: %w", number, err), w.Flush())
		case r.Buffered() == 0:
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// series scores one row after the other.
type series struct {
	stream baseline.Stream
	w      io.Writer
	begun  bool // a header or a row has come
}

// score scores a line. A header can only stand before the first row.
func (s *series) score(line string, number int) error {
	line = strings.TrimSpace(line)
	first := !s.begun
	s.begun = s.begun || line != ""
	if line == "" || first && isHeader(line) {
		return nil
	}
	stamp, text, value, err := parseRow(line)
	if err != nil {
		return fmt.Errorf("line %d: %w", number, err)
	}
	score := strconv.FormatFloat(s.stream.Score(value), 'g', 6, 64)
	_, err = fmt.Fprintf(s.w, "%s,%s,%s\n", stamp, text, score)
	return err
}

// isHeader reports whether neither column of a first line is what a row has.
func isHeader(line string) bool {
	stamp, value, _ := strings.Cut(line, ",")
	_, number := strconv.ParseFloat(unquote(value), 64)
	return !isTime(unquote(stamp)) && number != nil
}

// parseRow returns both columns as they were written, and the value: NaN where it is
// missing.
func parseRow(line string) (stamp, text string, value float64, err error) {
	stamp, text, found := strings.Cut(line, ",")
	if !found || strings.Contains(text, ",") {
		return "", "", 0, fmt.Errorf("%q has %s: write timestamp,value", line, count(strings.Count(line, ",")+1, "column", "columns"))
	}
	stamp, text = unquote(stamp), unquote(text)
	if !isTime(stamp) {
		return "", "", 0, fmt.Errorf("timestamp %q is not understood: write 2014-02-14 14:30:00 or RFC 3339, 2014-02-14T14:30:00Z", stamp)
	}
	if text == "" {
		return stamp, text, math.NaN(), nil
	}
	value, err = strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) {
		return "", "", 0, fmt.Errorf("value %q is no finite number: correct it, or leave it empty if the count is missing", text)
	}
	return stamp, text, value, nil
}

func unquote(field string) string {
	field = strings.TrimSpace(field)
	if len(field) >= 2 && field[0] == '"' && field[len(field)-1] == '"' {
		field = strings.TrimSpace(field[1 : len(field)-1])
	}
	return field
}

func isTime(text string) bool {
	for _, layout := range [...]string{time.DateTime, time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return false
}
