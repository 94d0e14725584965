package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// StateFrame wraps one entity's state value on a projection:
//
//	byte 0      FrameSections, or the layout of the payload, the fold's own
//	byte 1      number n of applied offsets, at most 8
//	n × 9 bytes topic index (1), offset (8, big-endian)
//	payload
//	last 4      CRC-32C of everything before
//
// Applied says up to which offset of each topic the state has been folded, so
// that a restored lane skips what it already holds.
type StateFrame struct {
	Version byte
	Applied Applied
	Payload []byte
}

// AppliedTopic numbers the topics that lanes fold.
type AppliedTopic byte

// The topics whose offsets stand in a state value.
const (
	AppliedEvents AppliedTopic = iota
	AppliedFacts
	AppliedInbox
	AppliedProposals
	appliedTopics
)

// Applied holds the next offset to be applied of each topic: everything below it
// is part of the state.
type Applied [appliedTopics]int64

// MaxState is the largest state value of one entity, in bytes.
const MaxState = 256 << 10

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Errors of state values. What is damaged is lost, whoever reads it. What another version
// of the program wrote is whole, and must be left to a version that can read it.
var (
	ErrStateDamaged = errors.New("state value is damaged")
	ErrStateNewer   = errors.New("a newer version of holdfast wrote the state")
	ErrStateOlder   = errors.New("an older version of holdfast wrote the state")
)

// UnreadableLayout says that a whole state value has a layout that the program does not
// know.
func UnreadableLayout(version byte) error {
	return fmt.Errorf("%w: its layout is %d, which this program does not know: run the version that wrote it, or a newer one", ErrStateNewer, version)
}

// AppendStateFrame appends f's encoding to dst.
func AppendStateFrame(dst []byte, f StateFrame) []byte {
	start := len(dst)
	dst = append(dst, f.Version, 0)
	for t, o := range f.Applied {
		if o > 0 {
			dst[start+1]++
			dst = append(dst, byte(t))
			dst = binary.BigEndian.AppendUint64(dst, uint64(o))
		}
	}
	dst = append(dst, f.Payload...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crcTable))
}

// ParseStateFrame reads what AppendStateFrame wrote; Payload aliases data.
func ParseStateFrame(data []byte) (StateFrame, error) {
	if len(data) < 6 {
		return StateFrame{}, fmt.Errorf("%w: %d bytes are too few", ErrStateDamaged, len(data))
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, crcTable) != sum {
		return StateFrame{}, fmt.Errorf("%w: checksum differs", ErrStateDamaged)
	}
	f := StateFrame{Version: body[0]}
	n, rest := int(body[1]), body[2:]
	if n > int(appliedTopics) || len(rest) < 9*n {
		return StateFrame{}, fmt.Errorf("%w: %d applied offsets do not fit", ErrStateDamaged, n)
	}
	for range n {
		t := rest[0]
		if t >= byte(appliedTopics) {
			return StateFrame{}, fmt.Errorf("%w: topic %d is unknown", ErrStateDamaged, t)
		}
		f.Applied[t] = int64(binary.BigEndian.Uint64(rest[1:]))
		rest = rest[9:]
	}
	f.Payload = rest
	return f, nil
}
