package respond

import "fmt"

// Layout names the sections that are written now, with their versions.
func Layout() string {
	s := "sections"
	for t := tagSignals; t <= lastTag; t++ {
		s += fmt.Sprintf(" %d.0", t)
	}
	return s
}
