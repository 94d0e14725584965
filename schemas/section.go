package schemas

import (
	"encoding/binary"
	"fmt"
)

// FrameSections is the version of a StateFrame whose payload is a sequence of
// sections. Other versions are layouts of one fold, as they were before sections.
const FrameSections byte = 32

// Section is one part of an entity's state:
//
//	uvarint  tag × 8 + version
//	uvarint  length of what follows
//	bytes    the fold's own
//
// The rules that make one program read what another wrote:
//
//   - Tags are the fold's own, from 1 on, and are never used again for something else.
//     Sections stand in rising order of their tags, each at most once.
//   - A section that holds nothing is left out; one that is missing holds nothing.
//   - A section whose tag is unknown is kept as it is and written back.
//   - A known section is read in its present version and in the one before. A newer
//     version is refused by ErrStateNewer, so a new version may only be written at a
//     feature level (see Level) that all programs know.
//
// To add what an entity remembers: take the next free tag, with version 0, and write it
// behind the sections that are there. Nothing else has to change: programs without it
// carry it along. To change a section: raise its version (0 to 7, then take a new tag),
// keep the reader of the version before, and write the new one from a new Level on.
type Section struct {
	Tag     uint64
	Version byte
	Body    []byte
	Raw     []byte // the whole section as it stands in the payload
}

// MaxSectionVersion is the highest version that a section's head can tell.
const MaxSectionVersion = 7

// BeginSection appends the head of a section. EndSection, with where it began, gives it
// its length once its body has been appended.
func BeginSection(dst []byte, tag uint64, version byte) (out []byte, body int) {
	dst = append(binary.AppendUvarint(dst, tag<<3|uint64(version&MaxSectionVersion)), 0)
	return dst, len(dst)
}

// EndSection ends the section whose head ends at body. One without a body, or whose body
// is nothing but zero bytes, is taken back, up to from: where its head begins.
func EndSection(dst []byte, from, body int) []byte {
	empty := true
	for _, b := range dst[body:] {
		if b != 0 {
			empty = false
			break
		}
	}
	if empty {
		return dst[:from]
	}
	n := len(dst) - body
	if n < 0x80 {
		dst[body-1] = byte(n)
		return dst
	}
	var size [binary.MaxVarintLen64]byte
	w := binary.PutUvarint(size[:], uint64(n))
	dst = append(dst, size[:w-1]...) // room
	copy(dst[body+w-1:], dst[body:body+n])
	copy(dst[body-1:], size[:w])
	return dst
}

// AppendSection appends a section whose body is known, or nothing where that is empty.
func AppendSection(dst []byte, tag uint64, version byte, body []byte) []byte {
	if len(body) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, tag<<3|uint64(version&MaxSectionVersion))
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// CutSection takes the first section off a payload; its parts alias the payload. last is
// the tag before it, 0 for the first one.
func CutSection(payload []byte, last uint64) (s Section, rest []byte, err error) {
	head, n := binary.Uvarint(payload)
	if n <= 0 {
		return s, nil, fmt.Errorf("%w: the head of a section is cut", ErrStateDamaged)
	}
	size, m := binary.Uvarint(payload[n:])
	if m <= 0 || size > uint64(len(payload)-n-m) {
		return s, nil, fmt.Errorf("%w: section %d is cut", ErrStateDamaged, head>>3)
	}
	if head>>3 <= last {
		return s, nil, fmt.Errorf("%w: section %d follows section %d", ErrStateDamaged, head>>3, last)
	}
	end := n + m + int(size)
	return Section{Tag: head >> 3, Version: byte(head & MaxSectionVersion), Body: payload[n+m : end : end], Raw: payload[:end:end]}, payload[end:], nil
}

// UnreadableSection says why a known section of a version that is not read is refused.
func UnreadableSection(s Section, present byte) error {
	if s.Version > present {
		return fmt.Errorf("%w: section %d has version %d, this program knows %d", ErrStateNewer, s.Tag, s.Version, present)
	}
	return fmt.Errorf("%w: section %d has version %d, this program reads %d and the one before: run the release between, which writes it anew", ErrStateOlder, s.Tag, s.Version, present)
}
