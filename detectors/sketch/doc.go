// Package sketch holds the bounded sets and counters behind detection: distinct
// counts, sets of fingerprints, novelty with ages. All of them live in blocks of a
// slab.Arena, so that a struct which contains them has no pointers, all are
// independent of the order in which values arrive (HyperLogLog within its error),
// and all have an exact twin in the tests. Values enter as 64-bit hashes keyed with
// the installation's secret: without it nobody can choose values that collide.
package sketch

import (
	"encoding/binary"
	"unsafe"

	"github.com/dchest/siphash"
)

// Hasher is SipHash-2-4 under a secret. Its zero value hashes under a zero key.
type Hasher struct{ k0, k1 uint64 }

// NewHasher takes the key from the first 16 bytes of the secret.
func NewHasher(secret []byte) Hasher {
	var key [16]byte
	copy(key[:], secret)
	return Hasher{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

// String hashes s.
func (h Hasher) String(s string) uint64 {
	return siphash.Hash(h.k0, h.k1, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// Bytes hashes b.
func (h Hasher) Bytes(b []byte) uint64 { return siphash.Hash(h.k0, h.k1, b) }
