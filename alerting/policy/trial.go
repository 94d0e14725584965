package policy

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// Trial is detectors' numbers that run in shadow beside the live ones. What it does
// not set is as it is live.
type Trial struct {
	Name       string
	Parameters []Setting
	Line       int
}

// shadow reads the one trial that a file may have.
func (r *reader) shadow(s *Set, n *yaml.Node) {
	if n.Kind == yaml.SequenceNode {
		r.at(n, "shadow is a list", "write one trial: name: and parameters:; one runs at a time")
		return
	}
	t := &Trial{Line: n.Line}
	if !r.mapping(n, "shadow", fields{
		"name": func(n *yaml.Node) {
			if t.Name = n.Value; !namePattern.MatchString(n.Value) {
				r.at(n, fmt.Sprintf("shadow.name %q is not a name", n.Value), "use lower case letters, digits and dashes, at most 63")
			}
		},
		"parameters": func(n *yaml.Node) { t.Parameters = r.settings(n, "shadow.parameters") },
	}) {
		return
	}
	if !has(n, "name") {
		r.at(n, "what runs in shadow has no name", "add name: in lower case with dashes; its signals and decisions carry it")
	}
	if !has(n, "parameters") || len(t.Parameters) == 0 && len(r.mistakes) == 0 {
		r.at(n, "shadow sets no number", "add parameters: with the numbers to be tried, or remove shadow:")
	}
	s.Trial = t
}
