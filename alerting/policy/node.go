package policy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// fields maps a mapping's keys to what reads their values.
type fields map[string]func(*yaml.Node)

// mapping reads n as a mapping with no other keys than known, each once.
func (r *reader) mapping(n *yaml.Node, what string, known fields) bool {
	if n.Kind != yaml.MappingNode {
		r.at(n, what+" must be a mapping", "write key: value pairs")
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		read, ok := known[k.Value]
		switch {
		case !ok:
			r.at(k, fmt.Sprintf("%s has no field %q", what, k.Value), "use one of "+names(known))
		case seen[k.Value]:
			r.at(k, fmt.Sprintf("%s has field %q twice", what, k.Value), "remove one of them")
		case v.Kind == yaml.AliasNode:
			r.at(v, "aliases are not used here", "write the value out")
		default:
			seen[k.Value] = true
			read(v)
		}
	}
	return true
}

func names(known fields) string {
	out := make([]string, 0, len(known))
	for k := range known {
		out = append(out, k)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (r *reader) list(n *yaml.Node, what string, most int, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.at(n, what+" must be a list", "write each item on a line of its own after a dash")
		return
	}
	if len(n.Content) > most {
		r.at(n, fmt.Sprintf("%s has %d items", what, len(n.Content)), fmt.Sprintf("keep to %d", most))
		return
	}
	for _, x := range n.Content {
		each(x)
	}
}

func (r *reader) text(n *yaml.Node, what string, most int) string {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		r.at(n, what+" must be text", "write a string")
	case len(n.Value) > most:
		r.at(n, fmt.Sprintf("%s has %d bytes", what, len(n.Value)), fmt.Sprintf("keep to %d", most))
	case strings.TrimSpace(n.Value) == "":
		r.at(n, what+" is empty", "write something or leave the field out")
	default:
		return n.Value
	}
	return ""
}

func (r *reader) oneOf(n *yaml.Node, what string, allowed ...string) string {
	if n.Kind == yaml.ScalarNode && slices.Contains(allowed, n.Value) {
		return n.Value
	}
	r.at(n, fmt.Sprintf("%s %q is unknown", what, n.Value), "use one of "+strings.Join(allowed, ", "))
	return ""
}

func (r *reader) number(n *yaml.Node, what string, least float64) float64 {
	f, err := strconv.ParseFloat(n.Value, 64)
	if n.Kind != yaml.ScalarNode || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		r.at(n, fmt.Sprintf("%s %q is not a number", what, n.Value), "write a number such as 100")
		return least
	}
	if f < least {
		r.at(n, fmt.Sprintf("%s %s is too small", what, n.Value), fmt.Sprintf("write at least %g", least))
		return least
	}
	return f
}

func (r *reader) whole(n *yaml.Node, what string) int {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || v < 1 || v > math.MaxInt32 {
		r.at(n, fmt.Sprintf("%s %q is not a whole number above 0", what, n.Value), "write a number such as 1")
		return 1
	}
	return v
}

func (r *reader) duration(n *yaml.Node, what string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		r.at(n, fmt.Sprintf("%s %q is not a duration", what, n.Value), "write for example 24h or 30m")
	case d < least || d > most:
		r.at(n, fmt.Sprintf("%s %s is out of range", what, n.Value), fmt.Sprintf("write between %s and %s", least, most))
	default:
		return d
	}
	return most
}

func (r *reader) time(n *yaml.Node, what string) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		r.at(n, fmt.Sprintf("%s %q is not a time", what, n.Value), "write for example 2026-12-31T00:00:00Z")
	}
	return t.UTC()
}

// document parses the file to its root node, nil where it cannot.
func (r *reader) document(data []byte) *yaml.Node {
	var doc yaml.Node
	if len(bytes.TrimSpace(data)) == 0 {
		r.mistakes = append(r.mistakes, &Mistake{r.file, 1, 1, "the file is empty", "write policies: and at least one policy"})
		return nil
	}
	if err := yaml.Load(data, &doc); err != nil {
		m := &Mistake{File: r.file, What: err.Error(), Fix: "fix the YAML"}
		var at *yaml.LoadError
		if errors.As(err, &at) {
			m.Line, m.Column, m.What = at.Mark.Line, at.Mark.Column, at.Message
		}
		r.mistakes = append(r.mistakes, m)
		return nil
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0]
	}
	return &doc
}
