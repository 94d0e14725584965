package policy

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// Mistake is one thing wrong in a policy file.
type Mistake struct {
	File         string
	Line, Column int // from 1; 0 where unknown
	What         string
	Fix          string
}

// Error puts it as compilers do: file:line:column: what: how to fix it.
func (m *Mistake) Error() string {
	at := m.File
	if m.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d", m.File, m.Line, max(1, m.Column))
	}
	if m.Fix == "" {
		return at + ": " + m.What
	}
	return at + ": " + m.What + ": " + m.Fix
}

// reader walks a file's nodes and collects what is wrong with them.
type reader struct {
	file     string
	mistakes []error
}

func (r *reader) at(n *yaml.Node, what, fix string) {
	r.mistakes = append(r.mistakes, &Mistake{r.file, n.Line, n.Column, what, fix})
}

func (r *reader) err() error { return errors.Join(r.mistakes...) }
