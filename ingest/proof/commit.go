package proof

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"
)

// Seed is a batch's 32 random bytes, of which its rows' salts are made.
type Seed [32]byte

func newSeed() (s Seed) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// Salt is the salt of the row at an offset: HMAC-SHA-256(seed, offset), big endian. Who
// has not the seed can tell it from random bytes no better than he can break SHA-256.
func (s Seed) Salt(offset int64) [32]byte {
	var m [8]byte
	binary.BigEndian.PutUint64(m[:], uint64(offset)) // #nosec G115 -- only its bits count
	var h hasher
	return h.hmac(&s, m[:])
}

// hasher computes HMAC-SHA-256 under keys of 32 bytes. crypto/hmac would allocate for
// each of a million keys.
type hasher struct{ inner []byte }

const blockSize = sha256.BlockSize

func (h *hasher) hmac(key *Seed, message []byte) [32]byte {
	var pad [blockSize]byte
	for i := range pad {
		pad[i] = 0x36
	}
	for i, b := range key {
		pad[i] ^= b
	}
	h.inner = append(append(h.inner[:0], pad[:]...), message...)
	sum := sha256.Sum256(h.inner)
	var outer [blockSize + 32]byte
	for i, b := range pad {
		outer[i] = b ^ 0x36 ^ 0x5c
	}
	copy(outer[blockSize:], sum[:])
	return sha256.Sum256(outer[:])
}

// commit is the commitment to a row: HMAC-SHA-256(salt, row).
func (h *hasher) commit(salt [32]byte, row []byte) Hash {
	key := Seed(salt)
	return h.hmac(&key, row)
}

// rowHash is what a batch's tree holds of a row: its offset, big endian, and the
// commitment to it.
func rowHash(offset int64, c Hash) tlog.Hash {
	var m [40]byte
	binary.BigEndian.PutUint64(m[:8], uint64(offset)) // #nosec G115 -- only its bits count
	copy(m[8:], c[:])
	return tlog.RecordHash(m[:])
}

// memory is a tree of few leaves, in memory.
type memory struct{ hashes []tlog.Hash }

// ReadHashes makes memory a tlog.HashReader.
func (m *memory) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		out[i] = m.hashes[n]
	}
	return out, nil
}

// batchTree is the tree over a batch's rows.
func batchTree(offsets []int64, commitments []Hash) (*memory, error) {
	m := &memory{}
	for i := range offsets {
		more, err := tlog.StoredHashesForRecordHash(int64(i), rowHash(offsets[i], commitments[i]), m)
		if err != nil {
			return nil, err
		}
		m.hashes = append(m.hashes, more...)
	}
	return m, nil
}

// rootOf is the Merkle root (RFC 6962) over a batch's rows; without rows that of the
// empty tree.
func rootOf(offsets []int64, commitments []Hash) (Hash, error) {
	if len(offsets) == 0 {
		return Hash(sha256.Sum256(nil)), nil
	}
	m, err := batchTree(offsets, commitments)
	if err != nil {
		return Hash{}, err
	}
	root, err := tlog.TreeHash(int64(len(offsets)), m)
	return Hash(root), err
}

// appendOffsets writes ascending offsets as varints: the first one less from, then each
// one less the one before and one.
func appendOffsets(to []byte, from int64, offsets []int64) []byte {
	for _, o := range offsets {
		to = binary.AppendUvarint(to, uint64(o-from)) // #nosec G115 -- they ascend
		from = o + 1
	}
	return to
}

// readOffsets reads what appendOffsets wrote; false where it is not well formed.
func readOffsets(b string, from int64) (out []int64, ok bool) {
	for b != "" {
		var v uint64
		n := 0
		for shift := 0; ; shift += 7 {
			if n == len(b) || shift > 56 {
				return nil, false
			}
			c := b[n]
			n++
			v |= uint64(c&0x7f) << shift
			if c < 0x80 {
				break
			}
		}
		b = b[n:]
		if v > 1<<40 {
			return nil, false
		}
		from += int64(v)
		out = append(out, from)
		from++
	}
	return out, true
}
