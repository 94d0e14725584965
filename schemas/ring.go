package schemas

import "hash/maphash"

// idHash stands for an id: 128 bits under seeds of this process, so that a sender
// cannot make two ids meet.
type idHash struct{ a, b uint64 }

var idSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hashID(id string) idHash {
	return idHash{maphash.String(idSeeds[0], id), maphash.String(idSeeds[1], id)}
}

// Ring knows the ids that stand among the last offsets of a partition. What it
// knows is a function of the log alone: an offset without an id, a fence or a gap
// takes a place too. It takes 24 bytes an offset in reach.
type Ring struct {
	next  int64    // the offset after the last one seen
	ids   []idHash // by offset modulo the reach
	table []uint32 // open addressing: place in ids, plus one; the latest of equal ids
}

// NewRing returns a ring that has seen nothing and reaches so many offsets back
// from the next one.
func NewRing(reach, next int64) *Ring {
	size := int64(1)
	for size < 2*reach {
		size *= 2
	}
	return &Ring{next: next, ids: make([]idHash, reach), table: make([]uint32, size)}
}

// Seen notes the id at an offset and tells whether it stands among the reach
// before. Offsets must rise.
func (r *Ring) Seen(offset int64, id string) bool {
	h := hashID(id)
	r.Pass(offset)
	_, known := r.find(h)
	r.forget(offset) // the one that stood reach offsets before: the last still in reach
	slot, _ := r.find(h)
	place := uint32(offset % int64(len(r.ids)))
	r.ids[place] = h
	r.table[slot] = place + 1
	r.next = offset + 1
	return known
}

// Pass forgets what the offsets before the given one push out of reach.
func (r *Ring) Pass(offset int64) {
	if offset-r.next >= int64(len(r.ids)) {
		clear(r.ids)
		clear(r.table)
		r.next = offset
	}
	for ; r.next < offset; r.next++ {
		r.forget(r.next)
		r.ids[r.next%int64(len(r.ids))] = idHash{}
	}
}

// find gives the slot of an id, or the free one where it belongs.
func (r *Ring) find(h idHash) (slot uint64, known bool) {
	mask := uint64(len(r.table) - 1)
	for slot = h.a & mask; r.table[slot] != 0; slot = (slot + 1) & mask {
		if r.ids[r.table[slot]-1] == h {
			return slot, true
		}
	}
	return slot, false
}

// forget takes the id at an offset's place out of the table, unless a later offset
// has it too.
func (r *Ring) forget(offset int64) {
	place := uint32(offset % int64(len(r.ids)))
	h := r.ids[place]
	if h == (idHash{}) {
		return
	}
	slot, known := r.find(h)
	if known && r.table[slot] == place+1 {
		r.remove(slot)
	}
}

// remove empties a slot and moves those behind it up, so that none is cut off from
// where its search begins.
func (r *Ring) remove(slot uint64) {
	mask := uint64(len(r.table) - 1)
	for next := slot; ; {
		next = (next + 1) & mask
		if r.table[next] == 0 {
			break
		}
		home := r.ids[r.table[next]-1].a & mask
		if (next-home)&mask >= (next-slot)&mask {
			r.table[slot] = r.table[next]
			slot = next
		}
	}
	r.table[slot] = 0
}
