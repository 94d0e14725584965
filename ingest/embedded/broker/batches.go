package broker

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logEnd is the offset after the last whole batch in a partition folder, 0 where
// there is none.
func logEnd(dir string) int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var bases []int64
	for _, e := range entries {
		base, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".dat"), 10, 64)
		if err == nil && strings.HasSuffix(e.Name(), ".dat") {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	for _, base := range slices.Backward(bases) {
		data, err := os.ReadFile(filepath.Join(dir, strconv.FormatInt(base, 10)+".dat"))
		if err != nil {
			continue
		}
		if end := batchesEnd(data); end > 0 {
			return end
		}
	}
	return 0
}

// batchesEnd walks record batches (Kafka's format version 2) and returns the
// offset after the last whole one. A batch is: base offset (8 bytes), length of
// what follows (4), leader epoch (4), magic (1), CRC-32C of all after it (4),
// attributes (2), last offset's distance from the base (4), …
func batchesEnd(data []byte) int64 {
	const head, toCRC = 12, 21
	var end int64
	for len(data) >= head {
		length := int(int32(binary.BigEndian.Uint32(data[8:])))
		if length < 49 || head+length > len(data) {
			break
		}
		batch := data[:head+length]
		if crc32.Checksum(batch[toCRC:], castagnoli) != binary.BigEndian.Uint32(batch[17:]) {
			break
		}
		end = int64(binary.BigEndian.Uint64(batch)) + int64(int32(binary.BigEndian.Uint32(batch[23:]))) + 1
		data = data[head+length:]
	}
	return end
}
