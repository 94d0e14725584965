package lane

import (
	"strings"

	"holdfast/schemas"
)

// names gives the strings of headers that repeat, so that what a fold keeps of them
// does not hold a fetch's memory, and costs nothing to make.
type names struct{ known map[string]string }

// maxNames bounds the table, beyond which strings are copied: sources come from the
// configuration, but a header can say anything.
const maxNames = 4096

func newNames() names { return names{known: map[string]string{}} }

func (n *names) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(n.known) < maxNames && len(s) <= schemas.MaxID {
		n.known[s] = s
	}
	return s
}

// own gives a string that does not stand in any of the given bytes.
func own(s string, in ...[]byte) string {
	for _, b := range in {
		if within(bytesOf(s), b) {
			return strings.Clone(s)
		}
	}
	return s
}
