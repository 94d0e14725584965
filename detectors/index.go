package detectors

import (
	"hash/maphash"
	"unsafe"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
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

func (e *Engine) newAddress(key string) *address {
	h := e.addresses.New()
	a := e.addresses.At(h)
	a.key, a.keyLen = e.store.Put([]byte(key)), uint8(len(key))
	e.byAddress.put(key, h)
	return a
}
