package respond

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// maxKnown bounds the answered ids of one entity: 16 KiB.
const (
	maxKnown  = 1024
	knownSize = 16
)

// known holds the ids of the records that were answered, each as 8 bytes of its
// SHA-256 and 8 of its time, in the order in which they came.
type known []byte

func knownKey(id string) [8]byte {
	sum := sha256.Sum256([]byte(id))
	return [8]byte(sum[:8])
}

func (k known) has(id string) bool {
	key := knownKey(id)
	for i := 0; i < len(k); i += knownSize {
		if bytes.Equal(k[i:i+8], key[:]) {
			return true
		}
	}
	return false
}

func (k *known) add(id string, ms int64) {
	key := knownKey(id)
	if len(*k) >= maxKnown*knownSize {
		*k = append((*k)[:0], (*k)[knownSize:]...)
	}
	*k = append(*k, key[:]...)
	*k = binary.BigEndian.AppendUint64(*k, uint64(ms))
}

// forget drops the ids of records whose time lies before ms.
func (k *known) forget(ms int64) {
	out := (*k)[:0]
	for i := 0; i < len(*k); i += knownSize {
		if e := (*k)[i : i+knownSize]; int64(binary.BigEndian.Uint64(e[8:])) >= ms {
			out = append(out, e...)
		}
	}
	*k = out
}

// unknown is the first stage: it drops a signal that was answered before, in
// whatever episode.
func (j *judgement) unknown() bool {
	if j.st.Known.has(j.signal.ID) {
		return false
	}
	j.st.Known.add(j.signal.ID, j.signal.Time)
	return true
}
