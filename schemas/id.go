package schemas

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strconv"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// DeriveID returns prefix_ and 26 characters (130 bits) of the SHA-256 over the
// parts, each preceded by its length, so that no two lists of parts collide by
// being run together. The same cause always makes the same id.
func DeriveID(prefix string, parts ...string) string {
	var room [256]byte
	b := room[:0]
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	var code [52]byte // of 32 bytes
	idEncoding.Encode(code[:], sum[:])
	return prefix + "_" + string(code[:26])
}

// SignalID derives a signal's id from its detector, entity, window or value, and level.
func SignalID(detector string, e Entity, windowOrValue string, level int) string {
	return DeriveID("sig", detector, e.Key(), windowOrValue, strconv.Itoa(level))
}

// DecisionID derives a decision's id from its policy, entity, proposed verdict, mode and episode.
func DecisionID(policy string, e Entity, proposed Verdict, mode Mode, episode int) string {
	return DeriveID("dec", policy, e.Key(), string(proposed), string(mode), strconv.Itoa(episode))
}
