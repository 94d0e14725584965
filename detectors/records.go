package detectors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"holdfast/detectors/sketch"
	"holdfast/detectors/slab"
	"holdfast/schemas"
)

// recordKind says what a record tells.
type recordKind byte

const (
	recordSeen    recordKind = 1 + iota // an employee saw the account's secret
	recordSuspect                       // an employee who saw it is under suspicion
	recordUse                           // a credential was used from an unknown source
	recordStaff                         // an employee used the address
	recordKinds
)

// Caps of the records of one entity, by kind; the newest by day are kept.
var recordCap = [recordKinds]int{recordSeen: 16, recordSuspect: 16, recordUse: 64, recordStaff: 32}

// record is one thing that an entity was told or that it keeps to be compared
// with what it will be told: who (an employee, or on an address an account) and
// which credential on which day, and the event behind it.
type record struct {
	kind       recordKind
	live       bool // the event's origin
	day        sketch.Day
	time       int64
	arrival    int64
	who        string
	credential string // "" for any
	place      string // an address
	event      string
}

func (r *record) origin() schemas.Origin {
	if r.live {
		return schemas.OriginLive
	}
	return schemas.OriginImport
}

// same reports whether two records tell the same, as facts that come twice do.
func (r *record) same(o *record) bool {
	return r.kind == o.kind && r.day == o.day && r.who == o.who && r.credential == o.credential && r.place == o.place
}

func (r *record) compare(o *record) int {
	return cmp.Or(cmp.Compare(r.kind, o.kind), cmp.Compare(r.day, o.day), strings.Compare(r.who, o.who),
		strings.Compare(r.credential, o.credential), strings.Compare(r.place, o.place))
}

// records is a short list of records in one block, at most 64 KiB.
type records struct {
	ref slab.Ref
	n   uint32 // bytes
}

func (r *records) bytes(s *sketch.Store) []byte { return s.Block(r.ref)[:r.n] }

func (r *records) clear(s *sketch.Store) {
	s.Free(r.ref)
	*r = records{}
}

// list decodes the records into buf; their strings are parts of one copy.
func (r *records) list(s *sketch.Store, buf []record) []record {
	out, err := cutRecords(string(r.bytes(s)), buf[:0])
	if err != nil {
		panic(err) // only checked bytes are ever stored
	}
	return out
}

// recordBuffer is what adding needs room for.
type recordBuffer struct {
	list  []record
	bytes []byte
}

// add inserts x unless it is there, and drops records of more than recordDays before
// the newest and the oldest beyond the cap of their kind. What is kept now is buf.list.
func (r *records) add(s *sketch.Store, x record, buf *recordBuffer) (added bool) {
	list := r.list(s, buf.list)
	buf.list = list
	newest := x.day
	for i := range list {
		if list[i].same(&x) {
			return false
		}
		newest = max(newest, list[i].day)
	}
	list = append(list, x)
	since := newest - min(newest, recordDays)
	list = slices.DeleteFunc(list, func(o record) bool { return o.day < since })
	slices.SortFunc(list, func(a, b record) int { return a.compare(&b) })
	list = capRecords(list)
	buf.list, buf.bytes = list, r.store(s, list, buf.bytes)
	return slices.ContainsFunc(list, func(o record) bool { return o.same(&x) })
}

// capRecords keeps the last of each kind; list is sorted by kind, then day.
func capRecords(list []record) []record {
	var count [recordKinds]int
	for i := range list {
		count[list[i].kind]++
	}
	return slices.DeleteFunc(list, func(o record) bool {
		if count[o.kind] > recordCap[o.kind] {
			count[o.kind]--
			return true
		}
		return false
	})
}

// store encodes the list in b, which it returns, and keeps a copy.
func (r *records) store(s *sketch.Store, list []record, b []byte) []byte {
	b = b[:0]
	for i := range list {
		b = appendRecord(b, &list[i])
	}
	for len(b) > slab.MaxBlock { // cannot be for ids within their limits; drop the oldest
		list = list[1:]
		b = b[:0]
		for i := range list {
			b = appendRecord(b, &list[i])
		}
	}
	s.Free(r.ref)
	r.ref, r.n = s.Put(b), uint32(len(b))
	return b
}

func appendRecord(b []byte, r *record) []byte {
	flag := byte(0)
	if r.live {
		flag = 0x80
	}
	b = append(b, byte(r.kind)|flag)
	b = binary.LittleEndian.AppendUint16(b, uint16(r.day))
	b = binary.AppendVarint(b, r.time)
	b = binary.AppendVarint(b, r.arrival)
	for _, s := range [...]string{r.who, r.credential, r.place, r.event} {
		s = s[:min(len(s), schemas.MaxID)]
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b
}

var errRecords = errors.New("a list of records is cut or damaged")

// cutRecords decodes records until src ends; their strings are parts of it.
func cutRecords(src string, out []record) ([]record, error) {
	for len(src) > 0 {
		if len(src) < 3 {
			return nil, errRecords
		}
		x := record{kind: recordKind(src[0] & 0x7f), live: src[0]&0x80 != 0, day: sketch.Day(src[1]) | sketch.Day(src[2])<<8}
		if x.kind == 0 || x.kind >= recordKinds {
			return nil, errRecords
		}
		src = src[3:]
		for _, v := range [...]*int64{&x.time, &x.arrival} {
			n, w := binary.Varint([]byte(src[:min(len(src), binary.MaxVarintLen64)]))
			if w <= 0 {
				return nil, errRecords
			}
			*v, src = n, src[w:]
		}
		for _, v := range [...]*string{&x.who, &x.credential, &x.place, &x.event} {
			if len(src) == 0 || int(src[0]) > schemas.MaxID || len(src) < 1+int(src[0]) {
				return nil, errRecords
			}
			*v, src = src[1:1+int(src[0])], src[1+int(src[0]):]
		}
		out = append(out, x)
	}
	return out, nil
}
