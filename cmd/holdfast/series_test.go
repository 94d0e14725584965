package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

func TestSeriesKeepsEveryRow(t *testing.T) {
	in := "\ufeffTimestamp,Value\r\n" +
		"2014-02-14 14:30:00,1.5\r\n\r\n" +
		"2014-02-14T14:35:00+02:00, -3e2\n" +
		"\"2014-02-14 14:40\",\"7\"\n" +
		"2014-02-14 14:45:00.5,\n" +
		"2014-02-14 14:50:00,NaN\n" +
		"2014-02-14 14:40:00,7"
	want := "timestamp,value,anomaly_score\n" +
		"2014-02-14 14:30:00,1.5,0\n" +
		"2014-02-14T14:35:00+02:00,-3e2,0\n" +
		"2014-02-14 14:40,7,0\n" +
		"2014-02-14 14:45:00.5,,0\n" +
		"2014-02-14 14:50:00,NaN,0\n" +
		"2014-02-14 14:40:00,7,0\n"
	var out bytes.Buffer
	if err := scoreSeries(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", &out, want)
	}
}

func TestSeriesNamesTheBadRow(t *testing.T) {
	const good = "timestamp,value\n2014-02-14 14:30:00,1\n"
	cases := map[string]string{
		good + "2014-02-14 14:35:00,many\n":           `line 3: value "many" is no finite number: correct it, or leave it empty if the count is missing`,
		good + "2014-02-14 14:35:00,Inf\n":            `line 3: value "Inf" is no finite number: correct it, or leave it empty if the count is missing`,
		good + "14.2.2014,1\n":                        `line 3: timestamp "14.2.2014" is not understood: write 2014-02-14 14:30:00 or RFC 3339, 2014-02-14T14:30:00Z`,
		good + "2014-02-14 14:35:00\n":                `line 3: "2014-02-14 14:35:00" has 1 column: write timestamp,value`,
		good + "2014-02-14 14:35:00,1,2\n":            `line 3: "2014-02-14 14:35:00,1,2" has 3 columns: write timestamp,value`,
		good + strings.Repeat("x", maxSeriesLine+1):   "line 3 is longer than 4096 bytes: give each row a line of its own",
		"2014-02-14 14:35:00,many\n":                  `line 1: value "many" is no finite number: correct it, or leave it empty if the count is missing`,
		good + "timestamp,value\n2014-02-14 15:00:00": `line 3: timestamp "timestamp" is not understood: write 2014-02-14 14:30:00 or RFC 3339, 2014-02-14T14:30:00Z`,
	}
	for in, want := range cases {
		var out bytes.Buffer
		err := scoreSeries(strings.NewReader(in), &out)
		if err == nil || err.Error() != want {
			t.Errorf("%.60q: %v, want %s", in, err, want)
		}
		if strings.HasPrefix(in, good) && !strings.HasSuffix(out.String(), "14:30:00,1,0\n") {
			t.Errorf("%.60q: the good row was lost: %q", in, &out)
		}
	}
}

// feed gives one line at a time and asks, before the next, whether the last was scored.
type feed struct {
	t   *testing.T
	out *bytes.Buffer
	row int
}

func (f *feed) Read(p []byte) (int, error) {
	if rows := strings.Count(f.out.String(), "\n"); f.row > 0 && rows != f.row+1 {
		f.t.Fatalf("after %d rows %d lines were written", f.row, rows)
	}
	if f.row++; f.row > 5 {
		return 0, os.ErrClosed
	}
	return copy(p, "2014-02-14 14:30:00,1\n"), nil
}

func TestSeriesScoresALiveFeed(t *testing.T) {
	var out bytes.Buffer
	if err := scoreSeries(&feed{t: t, out: &out}, &out); err == nil {
		t.Error("the end of the feed was not told")
	}
}

func TestSeriesCommand(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv")
	var text strings.Builder
	for i := range 400 {
		v := i % 7
		if i == 390 {
			v = 1000
		}
		fmt.Fprintf(&text, "2014-02-%02d %02d:00:00,%d\n", 1+i/24, i%24, v)
	}
	if err := os.WriteFile(in, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"series", in, "--out", out}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	scored, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(scored)), "\n")
	if len(lines) != 401 {
		t.Fatalf("%d lines for 400 rows", len(lines))
	}
	if got := lines[391]; !strings.HasPrefix(got, "2014-02-17 06:00:00,1000,0.") {
		t.Errorf("the spike reads %q", got)
	}
	if run(t.Context(), []string{"series", in, "--out", in}) == 0 {
		t.Error("the series may be written over itself")
	}
	if back, _ := os.ReadFile(in); string(back) != text.String() {
		t.Error("the series was changed")
	}
}

// Whatever is read: no panic, and either an error or a score for every row.
func FuzzSeries(f *testing.F) {
	f.Add("timestamp,value\n2014-02-14 14:30:00,1\n2014-02-14T14:35:00Z,-2.5e3\n")
	f.Add("\ufeff\"2014-02-14 14:30\",\"\"\r\n\r\n2014-02-14 14:30:00.25,nan\n")
	f.Add("2014-02-14 14:30:00,1e400\n")
	f.Fuzz(func(t *testing.T, in string) {
		var out bytes.Buffer
		err := scoreSeries(strings.NewReader(in), &out)
		rows := 0
		for lines := bufio.NewScanner(&out); lines.Scan(); rows++ {
			fields := strings.Split(lines.Text(), ",")
			if len(fields) != 3 {
				t.Fatalf("row %q has %d fields", lines.Text(), len(fields))
			}
			score, bad := strconv.ParseFloat(fields[2], 64)
			if rows > 0 && (bad != nil || !(score >= 0 && score <= 1)) {
				t.Fatalf("row %q has no score", lines.Text())
			}
		}
		if err != nil {
			return
		}
		full := 0
		for _, line := range strings.Split(strings.TrimPrefix(in, "\ufeff"), "\n") {
			if strings.TrimSpace(line) != "" {
				full++
			}
		}
		if header := full - (rows - 1); header != 0 && header != 1 {
			t.Fatalf("%d lines gave %d rows", full, rows-1)
		}
	})
}

// An interrupt ends a series behind a whole row, with what was scored before it.
func TestSeriesInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begin := strings.NewReader("2014-02-14 14:30:00,1\n2014-02-14 14:35:00,2\n2014-02-14 14:40:00,1")
	in := untilDone{ctx, io.MultiReader(begin, readerFunc(func([]byte) (int, error) { t.Error("read on"); return 0, io.EOF }))}
	var out bytes.Buffer
	var lines atomic.Int64
	err := scoreSeries(readerFunc(func(b []byte) (int, error) {
		n, err := in.Read(b)
		cancel()
		return n, err
	}), lineCounter{&out, &lines})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	want := "timestamp,value,anomaly_score\n2014-02-14 14:30:00,1,0\n2014-02-14 14:35:00,2,0\n"
	if out.String() != want || lines.Load() != 3 {
		t.Errorf("%d lines, wrote\n%s\nwant\n%s", lines.Load(), &out, want)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
