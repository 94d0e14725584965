package gate

import "fmt"

// Layout names the sections that are written now, with their versions.
func Layout() string {
	s := "sections"
	for t := tagBrake; t <= tagActive; t++ {
		s += fmt.Sprintf(" %d.0", t)
	}
	return s
}
