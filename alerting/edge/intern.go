package edge

import "unique"

// intern returns one copy of each text that many entities share.
func intern(s string) string { return unique.Make(s).Value() }
