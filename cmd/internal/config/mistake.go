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

// Error puts it as compilers do: file:line: key: what: how to mend it.
func (m *Mistake) Error() string {
	var b strings.Builder
	b.WriteString(m.Where)
	if m.Line > 0 {
		fmt.Fprintf(&b, ":%d", m.Line)
	}
	for _, part := range []string{m.Key, m.What, m.Fix} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	return b.String()
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
