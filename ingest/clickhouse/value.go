package clickhouse

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"holdfast/schemas"
)

// Value reads a column's bytes in RowBinary, as Canonical.Values gives them; none is the
// empty value. Its type follows from the kind: string, int64 (all whole numbers),
// float64, bool, time.Time, netip.Addr, []string, []int64, []float64.
func Value(kind schemas.ColumnKind, s string) any {
	n := func(s string) int64 {
		switch len(s) {
		case 4:
			if kind == schemas.ColumnUint32 {
				return int64(binary.LittleEndian.Uint32([]byte(s)))
			}
			return int64(int32(binary.LittleEndian.Uint32([]byte(s)))) // #nosec G115 -- its bits
		case 8:
			return int64(binary.LittleEndian.Uint64([]byte(s))) // #nosec G115 -- its bits
		}
		return 0
	}
	switch kind {
	case schemas.ColumnText, schemas.ColumnWord:
		if _, k := varint(s); k > 0 {
			return s[k:]
		}
		return ""
	case schemas.ColumnInt32, schemas.ColumnUint32, schemas.ColumnInt64:
		return n(s)
	case schemas.ColumnFloat64:
		return math.Float64frombits(uint64(n(s))) // #nosec G115 -- its bits
	case schemas.ColumnBool:
		return s != "" && s[0] != 0
	case schemas.ColumnTime:
		return time.UnixMilli(n(s)).UTC()
	case schemas.ColumnIP:
		if len(s) != 17 {
			return netip.Addr{}
		}
		return netip.AddrFrom16([16]byte([]byte(s[1:]))).Unmap()
	}
	count, k := varint(s)
	rest := s[max(k, 0):]
	switch kind {
	case schemas.ColumnTexts:
		out := make([]string, 0, min(count, uint64(len(s))))
		for range cap(out) {
			size, _ := sizeOfText(rest)
			if size < 0 {
				break
			}
			_, head := varint(rest)
			out, rest = append(out, rest[head:size]), rest[size:]
		}
		return out
	case schemas.ColumnInts:
		out := make([]int64, 0, min(count, uint64(len(s)/8)))
		for range cap(out) {
			out, rest = append(out, n(rest[:8])), rest[8:]
		}
		return out
	}
	out := make([]float64, 0, min(count, uint64(len(s)/4)))
	for range cap(out) {
		out, rest = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32([]byte(rest[:4]))))), rest[4:]
	}
	return out
}
