package console

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// csvOut writes a table that somebody keeps.
type csvOut struct{ w *csv.Writer }

var notOfFiles = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// attach says that an answer is a file.
func attach(w http.ResponseWriter, name, ext, media string) {
	name = notOfFiles.ReplaceAllString(name, "-")
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", `attachment; filename="holdfast-`+name[:min(len(name), 80)]+"."+ext+`"`)
}

func newCSV(w http.ResponseWriter, name string) *csvOut {
	attach(w, name, "csv", "text/csv; charset=utf-8")
	return &csvOut{csv.NewWriter(w)}
}

func (c *csvOut) line(values ...any) {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = cell(fmt.Sprint(v))
	}
	_ = c.w.Write(row)
}

func (c *csvOut) done() error { c.w.Flush(); return c.w.Error() }

// cell keeps a spreadsheet from taking what an event holds for a formula.
func cell(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	return "'" + s
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// fixed writes a number for a picture.
func fixed(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
