package policy

import (
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// Setting is one number of one detector, as it stands in a line of the file.
type Setting struct {
	Detector, Name string
	Value          float64
	Line           int
}

// maxSettings is how many numbers a file may set.
const maxSettings = 10_000

// settings reads detectors' numbers: detector, name, number. Which of them there are
// is the detectors' business, and checked where both are known.
func (r *reader) settings(n *yaml.Node, what string) (out []Setting) {
	r.pairs(n, what, "write detector:, and below it name: number", func(detector, values *yaml.Node) {
		at := what + "." + detector.Value
		r.pairs(values, at, "write name: number below it", func(name, value *yaml.Node) {
			x, err := strconv.ParseFloat(value.Value, 64)
			switch {
			case err != nil || value.Kind != yaml.ScalarNode || math.IsNaN(x) || math.IsInf(x, 0):
				r.at(value, fmt.Sprintf("%s.%s is no number", at, name.Value), "write a number such as 0.5")
			case len(out) == maxSettings:
				r.at(name, fmt.Sprintf("there are more than %d parameters", maxSettings), "leave out those that keep their default")
			default:
				out = append(out, Setting{detector.Value, name.Value, x, name.Line})
			}
		})
	})
	return out
}

// pairs reads a mapping whose keys are not known here, each once.
func (r *reader) pairs(n *yaml.Node, what, fix string, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.at(n, what+" is no mapping", fix)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if seen[k.Value] {
			r.at(k, fmt.Sprintf("%s.%s appears twice", what, k.Value), "remove one of them")
			continue
		}
		seen[k.Value] = true
		each(k, n.Content[i+1])
	}
}
