package detectors

import (
	"hash/maphash"
	"strings"
	"unsafe"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// index finds a handle by key. The map holds no pointers: keys stand in the
// arena and are compared there. Its seed differs from process to process, which
// changes nothing but the order of buckets.
type index struct {
	seed  maphash.Seed
	main  map[uint64]uint32
	clash map[string]uint32 // keys whose 64-bit hash another key had first
}

func newIndex() index { return index{seed: maphash.MakeSeed(), main: map[uint64]uint32{}} }

func (x *index) find(key string, keyOf func(h uint32) string) uint32 {
	h := x.main[maphash.String(x.seed, key)]
	if h != 0 && keyOf(h) == key {
		return h
	}
	if x.clash == nil {
		return 0
	}
	return x.clash[key]
}

func (x *index) put(key string, h uint32) {
	sum := maphash.String(x.seed, key)
	if _, taken := x.main[sum]; !taken {
		x.main[sum] = h
		return
	}
	if x.clash == nil {
		x.clash = map[string]uint32{}
	}
	x.clash[string([]byte(key))] = h
}

func (x *index) drop(key string, h uint32) {
	sum := maphash.String(x.seed, key)
	if x.main[sum] == h {
		delete(x.main, sum)
		return
	}
	delete(x.clash, key)
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
	if h := e.byAccount.find(key, e.accountKey); h != 0 {
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
	if h := e.byAddress.find(key, e.addressKey); h != 0 {
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
			e.remove(strings.Clone(e.addressKey(e.sweep)), schemas.KindIP)
		case least == nil || a.weight(&e.store) < least.weight(&e.store):
			least = a
		}
	}
	if least != nil && e.addresses.Len() >= maxAddresses {
		e.remove(strings.Clone(blockString(&e.store.Store, least.key, least.keyLen)), schemas.KindIP)
	}
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
