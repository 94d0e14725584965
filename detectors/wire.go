package detectors

import (
	"encoding/binary"
	"math"

	"holdfast/detectors/baseline"
	"holdfast/detectors/sketch"
)

// writer appends the parts of a state value.
type writer struct{ b []byte }

func (w *writer) byte(v byte)   { w.b = append(w.b, v) }
func (w *writer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) float(v float32) {
	w.b = binary.LittleEndian.AppendUint32(w.b, math.Float32bits(v))
}

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func (w *writer) text(v string) {
	w.uint(uint64(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) series(s *baseline.Series) {
	w.uint(uint64(s.N))
	w.uint(uint64(s.Active))
	if s.N == 0 {
		return
	}
	for _, v := range [...]float32{s.Mean, s.Var, s.P95, s.Max} {
		w.float(v)
	}
}

// reader takes a state value apart. After the first fault every read returns
// zero and ok stays false.
type reader struct {
	b       []byte
	ok      bool
	version byte // of the section that is being read
}

func (r *reader) fail() { r.ok, r.b = false, nil }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// float reads a finite number that is not negative: nothing else is ever kept.
func (r *reader) float() float32 {
	if len(r.b) < 4 {
		r.fail()
		return 0
	}
	v := math.Float32frombits(binary.LittleEndian.Uint32(r.b))
	r.b = r.b[4:]
	if !(v >= 0) || math.IsInf(float64(v), 0) {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail()
	}
	return v == 1
}

func (r *reader) bytes(limit uint64) []byte {
	n := r.uint(limit)
	if uint64(len(r.b)) < n {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text(limit uint64) string { return string(r.bytes(limit)) }

func (r *reader) series() (s baseline.Series) {
	s.N, s.Active = uint16(r.uint(math.MaxUint16)), uint16(r.uint(math.MaxUint16))
	if s.N == 0 {
		return s
	}
	s.Mean, s.Var, s.P95, s.Max = r.float(), r.float(), r.float(), r.float()
	if !s.Sound() {
		r.fail()
	}
	return s
}

// distinct, prints and novelty read the sketches of package sketch.
func (r *reader) distinct() (c sketch.Decoded) {
	c, rest, err := sketch.CutDistinct(r.b)
	if err != nil {
		r.fail()
		return sketch.Decoded{}
	}
	r.b = rest
	return c
}

func (r *reader) prints() []byte {
	members, rest, err := sketch.CutFingerprints(r.b)
	if err != nil {
		r.fail()
		return nil
	}
	r.b = rest
	return members
}

func (r *reader) novelty() []byte {
	entries, rest, err := sketch.CutNovelty(r.b, maxSources+maxNetworks)
	if err != nil {
		r.fail()
		return nil
	}
	r.b = rest
	return entries
}

// cut reads a list that cut finds and checks.
func (r *reader) cut(cut func([]byte) (list, rest []byte, err error)) []byte {
	list, rest, err := cut(r.b)
	if err != nil {
		r.fail()
		return nil
	}
	r.b = rest
	return list
}

func (r *reader) records() []byte {
	b := r.bytes(64 << 10)
	if _, err := cutRecords(string(b), nil); err != nil {
		r.fail()
		return nil
	}
	return b
}
