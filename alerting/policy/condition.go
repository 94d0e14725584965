package policy

import (
	"go.yaml.in/yaml/v4"
)

// when compiles a condition and tries it on samples, so that mistakes which only
// show when it runs (an index beyond the list) are found at load.
func (r *reader) when(p *Policy, n *yaml.Node) {
	src := r.text(n, "when", 4096)
	if src == "" {
		return
	}
	program, at, err := compile(src)
	if err != nil {
		m := &Mistake{File: r.file, Line: n.Line, Column: n.Column, What: "when: " + err.Error(),
			Fix: "see the fields that conditions may use: entity, signals, family, families, certain, severity, alone, risk, history"}
		if at != nil {
			m.Line, m.Column = place(n, at.Line, at.Column)
		}
		r.mistakes = append(r.mistakes, m)
		return
	}
	p.When, p.when = src, program
	for _, env := range samples() {
		if _, err := p.Holds(env); err != nil {
			r.at(n, "when: "+err.Error(), "make the condition hold for any number of signals, also none")
			return
		}
	}
}

// place turns a place inside a condition into one of the file. Folded and
// literal blocks begin on the line below their mark; a block's indentation is not
// known, so its column counts from the text's own margin.
func place(n *yaml.Node, line, column int) (int, int) {
	switch n.Style {
	case yaml.LiteralStyle:
		return n.Line + line, column + 1
	case yaml.FoldedStyle:
		return n.Line + 1, column + 1
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		return n.Line, n.Column + column + 1
	}
	return n.Line, n.Column + column
}

func samples() []*Env {
	one := Signal{Detector: "volume", Family: "volume", Severity: 3, Score: .9, Observed: 1000, Unit: "recipients"}
	two := Signal{Detector: "fan_out", Family: "network", Severity: 2, Score: .5, Observed: 20, Unit: "addresses"}
	return []*Env{
		NewEnv(Entity{}, History{}, nil),
		NewEnv(Entity{Kind: "account", ID: "a"}, History{}, []Signal{one}),
		NewEnv(Entity{Kind: "account", ID: "a"}, History{Stops: 1}, []Signal{one, two}),
	}
}
