package schemas

import "hash/maphash"

// idHash stands for an id: 64 bits under a seed of this process, so that a sender
// cannot make two ids meet. Among 65,536 offsets another id's is found with
// probability 2^-48.
type idHash uint64

var idSeed = maphash.MakeSeed()

func hashID(id string) idHash { return idHash(maphash.String(idSeed, id)) }

// Ring knows the ids that stand among the last offsets of a partition. What it
// knows is a function of the log alone: an offset without an id, a fence or a gap
// takes a place too. It takes 24 to 32 bytes an offset in reach.
//
// Ids with the same low bits are chained, newest first. Nothing is ever taken out of
// a chain: it ends where it does not lead back in time, or to another chain, because
// what stood there has been written over.
type Ring struct {
	next  int64    // the offset after the last one seen
	ids   []ringID // by offset modulo the reach, which is the id's place
	heads []uint32 // by the low bits: place of the newest, plus one
	ahead []idHash // used by SeenAll, as what follows
	touch idHash
}

type ringID struct {
	hash   idHash
	before uint32 // place of the one before in its chain, plus one
}

// NewRing returns a ring that has seen nothing and reaches so many offsets back
// from the next one.
func NewRing(reach, next int64) *Ring {
	size := int64(1)
	for size < 2*reach {
		size *= 2
	}
	return &Ring{next: next, ids: make([]ringID, reach), heads: make([]uint32, size)}
}

// Seen notes the id at an offset and tells whether it stands among the reach
// before. Offsets must rise.
func (r *Ring) Seen(offset int64, id string) bool { return r.seen(offset, hashID(id)) }

// SeenAll appends to known what Seen says of ids at consecutive offsets. All places
// are touched before any is needed, so that the waits for memory overlap.
func (r *Ring) SeenAll(offset int64, ids []string, known []bool) []bool {
	r.ahead = r.ahead[:0]
	for _, id := range ids {
		r.ahead = append(r.ahead, hashID(id))
	}
	mask, touched := idHash(len(r.heads)-1), idHash(0)
	for i := range r.ahead {
		if head := r.heads[r.ahead[i]&mask]; head != 0 {
			touched |= r.ids[head-1].hash
		}
	}
	r.touch = touched
	for i := range r.ahead {
		known = append(known, r.seen(offset+int64(i), r.ahead[i]))
	}
	return known
}

func (r *Ring) seen(offset int64, h idHash) bool {
	r.Pass(offset)
	place := uint32(offset % int64(len(r.ids)))
	known := r.find(h, place)
	head := &r.heads[h&idHash(len(r.heads)-1)]
	r.ids[place] = ringID{h, *head}
	*head = place + 1
	r.next = offset + 1
	return known
}

// Pass forgets what the offsets before the given one push out of reach.
func (r *Ring) Pass(offset int64) {
	if offset-r.next >= int64(len(r.ids)) {
		clear(r.ids)
		clear(r.heads)
		r.next = offset
	}
	for ; r.next < offset; r.next++ {
		r.ids[r.next%int64(len(r.ids))] = ringID{}
	}
}

// find walks the id's chain as seen from a place: what stands there is the oldest.
func (r *Ring) find(h idHash, from uint32) bool {
	mask := idHash(len(r.heads) - 1)
	last := uint32(0)
	for at := r.heads[h&mask]; at != 0; {
		place := at - 1
		age := from - place
		if place >= from {
			age += uint32(len(r.ids))
		}
		id := &r.ids[place]
		if age <= last || (id.hash^h)&mask != 0 {
			return false
		}
		if id.hash == h {
			return true
		}
		last, at = age, id.before
	}
	return false
}
