package config

import (
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing wrong in a configuration.
type Mistake struct {
	Where string // the file, or the environment variable
	Line  int    // from 1; 0 where it has none
	Key   string // kafka.brokers
	What  string
	Fix   string
}

// Error puts it as compilers do: file:line: key: what: how to fix it.
func (m *Mistake) Error() string {
	where := m.Where
	if m.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, m.Line)
	}
	parts := []string{where, m.Key, m.What, m.Fix}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Places tells in which line of the file each key was set. The zero value knows none.
type Places struct {
	file  string
	lines map[string]int
}

// Mistakes makes of what a part says against the section of that key one mistake for
// each error that err joins. Where an error begins with the name of a field, as
// those of most parts do, its line is that field's.
func (p Places) Mistakes(key string, err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, err := range all.Unwrap() {
			out = append(out, p.Mistakes(key, err)...)
		}
		return out
	}
	field, _, _ := strings.Cut(err.Error(), " ")
	m := &Mistake{Line: lineOf(p.lines, join(key, field)), Key: key, What: err.Error()}
	if m.Line > 0 {
		m.Where = p.file
	}
	return []error{m}
}

// nearest returns the known word that is closest to an unknown one, or nothing
// where none is close.
func nearest(word string, known []string) string {
	best, at := 3, ""
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(word, k); d < best && d < len(k) {
			best, at = d, k
		}
	}
	return at
}

// distance is the number of letters to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
