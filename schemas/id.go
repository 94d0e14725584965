package schemas

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash"
	"strconv"
	"sync"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

var hashes = sync.Pool{New: func() any { return sha256.New() }}

// DeriveID returns prefix_ and 26 characters (130 bits) of the SHA-256 over the
// parts, each preceded by its length, so that no two lists of parts collide by
// being run together. The same cause always makes the same id.
func DeriveID(prefix string, parts ...string) string {
	h := hashes.Get().(hash.Hash)
	defer hashes.Put(h)
	h.Reset()
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var sum [sha256.Size]byte
	return prefix + "_" + idEncoding.EncodeToString(h.Sum(sum[:0]))[:26]
}

// SignalID derives a signal's id from its detector, entity, window or value, and level.
func SignalID(detector string, e Entity, windowOrValue string, level int) string {
	return DeriveID("sig", detector, e.Key(), windowOrValue, strconv.Itoa(level))
}

// DecisionID derives a decision's id from its policy, entity, proposed verdict, mode and episode.
func DecisionID(policy string, e Entity, proposed Verdict, mode Mode, episode int) string {
	return DeriveID("dec", policy, e.Key(), string(proposed), string(mode), strconv.Itoa(episode))
}
