package sketch

// Ring counts in consecutive buckets of time and remembers the last four, which
// is what five-minute buckets need under a lateness of ten minutes. Advance it
// before a bucket beyond its head is used.
type Ring struct {
	counts [4]uint32
	head   int32
}

// Advance makes bucket the newest where it is newer than the head.
func (r *Ring) Advance(bucket int32) {
	if bucket-r.head >= int32(len(r.counts)) || r.head == 0 {
		r.counts = [4]uint32{}
		r.head = max(r.head, bucket)
		return
	}
	for r.head < bucket {
		r.head++
		r.counts[r.head&3] = 0
	}
}

// Add adds n to a bucket and returns its count before and after; both are zero
// for a bucket that the ring no longer holds.
func (r *Ring) Add(bucket int32, n uint32) (before, after uint32) {
	if bucket > r.head || r.head-bucket >= int32(len(r.counts)) {
		return 0, 0
	}
	c := &r.counts[bucket&3]
	before = *c
	*c = saturate(before, n)
	return before, *c
}

func saturate(a, b uint32) uint32 {
	if a+b < a {
		return ^uint32(0)
	}
	return a + b
}

// Parts and RingOf take a ring apart for an encoding and put it together.
func (r *Ring) Parts() (head int32, counts [4]uint32) { return r.head, r.counts }

// RingOf returns the ring with these parts.
func RingOf(head int32, counts [4]uint32) Ring { return Ring{counts: counts, head: head} }
