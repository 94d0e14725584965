package schemas

import "hash/maphash"

// idHash stands for a source's id: 64 bits under a seed of this process, so that a sender
// cannot make two ids meet. Among 65,536 offsets another id's is found with
// probability 2^-48.
type idHash uint64

var idSeed, sourceSeed = maphash.MakeSeed(), maphash.MakeSeed()

// hashID joins the hashes of an id and of its source: under seeds of their own, nobody
// who does not know these can choose an id that meets another source's.
func (r *Ring) hashID(source, id string) idHash {
	return idHash(maphash.String(idSeed, id)) ^ r.hashSource(source)
}

// hashSource hashes a source; that of the last one, as most are, is kept.
func (r *Ring) hashSource(source string) idHash {
	if string(r.source) != source {
		r.source, r.of = append(r.source[:0], source...), idHash(maphash.String(sourceSeed, source))
	}
	return r.of
}

// Ring knows the ids that stand among the last offsets of a partition. Each source has
// ids of its own: what one sends makes no record of another a duplicate. What it knows is
// a function of the log alone: an offset without an id, a fence or a gap takes a place
// too. It takes 24 to 32 bytes an offset in reach.
//
// Ids with the same low bits are chained, newest first, by the low halves of their
// offsets. Nothing is ever taken out of a chain: it ends where it leads out of reach,
// which shows before any memory is looked at, or where another chain's id stands, as one
// does once the low half has come round.
type Ring struct {
	next  int64    // the offset after the last one seen
	ids   []ringID // by offset modulo the reach, which is the id's place
	heads []uint32 // by the low bits: the newest's offset
	ahead []idHash // used by SeenAll, as what follows
	touch idHash

	source []byte // the last one, and its hash
	of     idHash
}

type ringID struct {
	hash   idHash
	before uint32 // the offset of the one before in its chain
}

// NewRing returns a ring that has seen nothing and reaches so many offsets back
// from the next one.
func NewRing(reach, next int64) *Ring {
	size := int64(1)
	for size < 2*reach {
		size *= 2
	}
	return &Ring{next: next, ids: make([]ringID, reach), heads: make([]uint32, size), of: idHash(maphash.String(sourceSeed, ""))}
}

// Seen notes the id of a source at an offset and tells whether it stands among the reach
// before. Offsets must rise.
func (r *Ring) Seen(offset int64, source, id string) bool {
	return r.seen(offset, r.hashID(source, id))
}

// SeenAll appends to known what Seen says of one source's ids at consecutive offsets. All
// places are touched before any is needed, so that the waits for memory overlap.
func (r *Ring) SeenAll(offset int64, source string, ids []string, known []bool) []bool {
	r.ahead = r.ahead[:0]
	of := r.hashSource(source)
	for _, id := range ids {
		r.ahead = append(r.ahead, idHash(maphash.String(idSeed, id))^of)
	}
	from, touched := r.place(offset), idHash(0)
	for _, h := range r.ahead {
		if age := uint32(offset) - *r.head(h); r.reaches(age) {
			touched |= r.ids[r.back(from, age)].hash
		}
	}
	r.touch = touched
	for i, h := range r.ahead {
		known = append(known, r.seen(offset+int64(i), h))
	}
	return known
}

func (r *Ring) seen(offset int64, h idHash) bool {
	r.Pass(offset)
	from, head := r.place(offset), r.head(h)
	known := r.find(h, uint32(offset), from)
	r.ids[from] = ringID{h, *head}
	*head = uint32(offset)
	r.next = offset + 1
	return known
}

// place is where an offset's id stands, and back where one stands that came so much
// earlier than another.
func (r *Ring) place(offset int64) uint32 { return uint32(offset % int64(len(r.ids))) }

func (r *Ring) back(place, age uint32) uint32 {
	if age > place {
		place += uint32(len(r.ids))
	}
	return place - age
}

func (r *Ring) reaches(age uint32) bool { return age-1 < uint32(len(r.ids)) }

func (r *Ring) head(h idHash) *uint32 { return &r.heads[h&r.low()] }

func (r *Ring) low() idHash { return idHash(len(r.heads) - 1) }

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

// find walks the id's chain as seen from an offset and its place.
func (r *Ring) find(h idHash, offset, from uint32) bool {
	last := uint32(0)
	for at := *r.head(h); ; {
		age := offset - at
		if age <= last || !r.reaches(age) {
			return false
		}
		id := &r.ids[r.back(from, age)]
		if (id.hash^h)&r.low() != 0 {
			return false
		}
		if id.hash == h {
			return true
		}
		last, at = age, id.before
	}
}
