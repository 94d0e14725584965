package detectors

import (
	"hash/maphash"
	"strings"
	"unsafe"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// index finds a handle by key. It holds no keys: 96 bits of hash under seeds of this
// process stand for one, so that nobody can make two of them meet. It is a table of
// open addressing without pointers, 16 bytes a slot, at most four fifths full.
type index struct {
	seeds [2]maphash.Seed
	slots []slot
	n     int
}

type slot struct {
	a      uint64
	b      uint32
	handle uint32 // 0: free
}

func newIndex() index { return index{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}} }

// look gives the place of a key, or the free one where it belongs.
func (x *index) look(key string) (s slot, at uint64) {
	s.a, s.b = maphash.String(x.seeds[0], key), uint32(maphash.String(x.seeds[1], key))
	mask := uint64(len(x.slots) - 1)
	for at = s.a & mask; ; at = (at + 1) & mask {
		if o := &x.slots[at]; o.handle == 0 || o.a == s.a && o.b == s.b {
			return s, at
		}
	}
}

func (x *index) find(key string) uint32 {
	if x.n == 0 {
		return 0
	}
	_, at := x.look(key)
	return x.slots[at].handle
}

// put adds a key that is not there.
func (x *index) put(key string, handle uint32) {
	if 5*(x.n+1) > 4*len(x.slots) {
		x.grow()
	}
	s, at := x.look(key)
	s.handle = handle
	x.slots[at] = s
	x.n++
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(16, 2*len(old)))
	mask := uint64(len(x.slots) - 1)
	for _, s := range old {
		if s.handle == 0 {
			continue
		}
		at := s.a & mask
		for x.slots[at].handle != 0 {
			at = (at + 1) & mask
		}
		x.slots[at] = s
	}
}

// drop takes a key out and moves those behind it up, so that none is cut off from
// where its search begins.
func (x *index) drop(key string) {
	if x.find(key) == 0 {
		return
	}
	_, at := x.look(key)
	mask := uint64(len(x.slots) - 1)
	for next := (at + 1) & mask; x.slots[next].handle != 0; next = (next + 1) & mask {
		if (next-x.slots[next].a)&mask >= (next-at)&mask {
			x.slots[at] = x.slots[next]
			at = next
		}
	}
	x.slots[at] = slot{}
	x.n--
}

func (e *Engine) accountKey(h uint32) string {
	a := e.accounts.At(h)
	return blockString(&e.store.Store, a.key, a.keyLen)
}

func (e *Engine) addressKey(h uint32) string {
	a := e.addresses.At(h)
	return blockString(&e.store.Store, a.key, a.keyLen)
}

// blockString reads a key in place; it is valid until the block is freed.
func blockString(s *sketch.Store, r slab.Ref, n uint8) string {
	b := s.Block(r)[:n]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// findAccount returns the account with that key, nil where there is none.
func (e *Engine) findAccount(key string) *account {
	if h := e.byAccount.find(key); h != 0 {
		return e.accounts.At(h)
	}
	return nil
}

func (e *Engine) newAccount(key string) *account {
	h := e.accounts.New()
	a := e.accounts.At(h)
	a.key, a.keyLen = e.store.Put([]byte(key)), uint8(len(key))
	e.byAccount.put(key, h)
	return a
}

func (e *Engine) findAddress(key string) *address {
	if h := e.byAddress.find(key); h != 0 {
		return e.addresses.At(h)
	}
	return nil
}

// An address that nothing has been heard of for staleAfter has nothing to say any
// more: what it was told is compared within two days, and forgotten whenever its
// memory is needed. A lane holds at most maxAddresses; whoever comes with more makes
// it forget those of which least is known.
const (
	staleAfter   = 5 * msDay
	maxAddresses = 500_000
)

// makeRoom looks at a few addresses whenever a new one comes.
func (e *Engine) makeRoom() {
	end := e.addresses.End()
	var least *address
	for range 8 {
		if e.sweep++; e.sweep > end {
			e.sweep = 1
		}
		if end == 0 {
			return
		}
		a := e.addresses.At(e.sweep)
		switch {
		case a.keyLen == 0: // free
		case a.heard < e.arrived-staleAfter:
			e.forget(e.addressKey(e.sweep), schemas.KindIP)
		case least == nil || a.weight(&e.store) < least.weight(&e.store):
			least = a
		}
	}
	if least != nil && e.addresses.Len() >= maxAddresses {
		e.forget(blockString(&e.store.Store, least.key, least.keyLen), schemas.KindIP)
	}
}

// maxGone bounds the keys of forgotten entities that wait to be swept. What was
// saved of others stays until the entity is heard of again.
const maxGone = 1 << 16

// forget drops an entity and notes that what was saved of it can go.
func (e *Engine) forget(key string, kind schemas.EntityKind) {
	key = strings.Clone(key)
	e.remove(key, kind)
	if len(e.gone) < maxGone {
		e.gone = append(e.gone, key)
	}
}

// takeGone returns at most n keys of forgotten entities, each once.
func (e *Engine) takeGone(n int) []string {
	n = min(n, len(e.gone))
	keys := e.gone[:n:n]
	if e.gone = e.gone[n:]; len(e.gone) == 0 {
		e.gone = nil
	}
	return keys
}

// hear notes that a record of the address has come. What is stale is forgotten now
// at the latest, so that it does not matter whether its memory was needed before.
func (e *Engine) hear(a *address, arrival int64) {
	if a.heard < e.arrived-staleAfter {
		s := &e.store
		a.records.clear(&s.Store)
		a.tries.clear(&s.Arena)
		a.victims.clear(&s.Arena)
		a.marked.clear(&s.Arena)
		a.hangUp(s)
		a.clock = 0
	}
	a.heard = max(a.heard, arrival)
}

// weight orders addresses by how much is known of them.
func (a *address) weight(s *store) uint32 {
	n := uint32(a.victims.n)*4 + uint32(a.tries.n) + a.records.n/64
	if a.held != 0 {
		n += uint32(s.sockets.At(a.held).held)
	}
	return n
}

func (e *Engine) newAddress(key string) *address {
	e.makeRoom()
	h := e.addresses.New()
	a := e.addresses.At(h)
	a.key, a.keyLen, a.heard = e.store.Put([]byte(key)), uint8(len(key)), e.arrived
	e.byAddress.put(key, h)
	return a
}
