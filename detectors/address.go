package detectors

import (
	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
)

// recordDays is how many days behind its newest record a record is kept. Pairs
// lie at most three days apart; the rest is room for lanes that are at different
// times, as when years are imported.
const recordDays = 90

// address is the state of one address (IPv6: one /64): who used it, told by
// facts. 48 bytes, and a block of records.
type address struct {
	key     slab.Ref
	keyLen  uint8
	clock   int64 // of its own events; facts do not move it
	applied [2]int64
	records records
}

func (a *address) free(s *sketch.Store) {
	a.records.clear(s)
	s.Free(a.key)
	a.key = 0
}
