package detectors

import (
	"math"

	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

// appendKeys encodes the account's credentials: 0 for none, 1 and its print for the
// only one, or their number and all there is to each.
func (a *account) appendKeys(w *writer, s *store) {
	if a.keys&soleKey != 0 {
		w.uint(1 + maxKeys)
		w.uint(uint64(a.keys))
		return
	}
	n := uint64(0)
	a.eachKey(s, func(*keyPast) { n++ })
	w.uint(n)
	a.eachKey(s, func(k *keyPast) {
		for _, v := range [...]uint64{uint64(k.print), uint64(k.alarmed), uint64(k.frozen), uint64(k.last), uint64(k.first)} {
			w.uint(v)
		}
		for i := range k.recipients {
			w.uint(uint64(k.recipients[i]))
			w.byte(k.given[i])
		}
		w.text(blockString(&s.Store, k.name, k.nameLen))
		w.series(&k.base[0])
		w.series(&k.base[1])
		for i := range k.sources {
			w.b = k.sources[i].Append(&s.Arena, w.b)
		}
		w.series(&k.spread[0])
		w.series(&k.spread[1])
	})
}

// keysValue is checked credentials that are not yet in a store.
type keysValue struct {
	sole    uint32
	keys    []keyPast
	names   []string
	sources [][3][]byte
}

func (r *reader) keys() (v keysValue) {
	n := r.uint(1 + maxKeys)
	if n > maxKeys {
		if v.sole = uint32(r.uint(math.MaxUint32)); v.sole&soleKey == 0 {
			r.fail()
		}
		return v
	}
	for range n {
		k := keyPast{print: uint32(r.uint(math.MaxUint32)), alarmed: uint8(r.uint(7)), frozen: uint16(r.uint(math.MaxUint16)), last: sketch.Day(r.uint(math.MaxUint16)), first: int32(r.uint(maxHour))}
		for i := range k.recipients {
			k.recipients[i], k.given[i] = uint32(r.uint(math.MaxUint32)), r.byte()
		}
		v.names = append(v.names, r.text(schemas.MaxID))
		k.base[0], k.base[1] = r.series(), r.series()
		v.sources = append(v.sources, [3][]byte{r.prints(), r.prints(), r.prints()})
		k.spread[0], k.spread[1] = r.series(), r.series()
		v.keys = append(v.keys, k)
		if !r.ok {
			return v
		}
	}
	return v
}

// load puts the credentials in place of the account's, which has none.
func (v *keysValue) load(a *account, s *store) {
	a.keys = v.sole
	at := &a.keys
	for i := range v.keys {
		h := s.keys.New()
		*at = h
		k := s.keys.At(h)
		*k = v.keys[i]
		for j, members := range v.sources[i] {
			k.sources[j].Load(&s.Arena, members)
		}
		k.name, k.nameLen = s.Put([]byte(v.names[i])), uint8(len(v.names[i]))
		at = &k.next
	}
}
