package schemas

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNetwork is the most bytes that an encoded Network takes, MaxCity of its city's name.
const (
	MaxNetwork = 160
	MaxCity    = 64
)

// Network is what is known of the address that an event names: where it is and
// whose. It is looked up once, where the event comes in, and travels with the record
// in HeaderNetwork, so that whoever folds the record later sees what was known then,
// whatever became of the data files since. The zero Network says that nothing is known.
type Network struct {
	Country string // ISO 3166-1 alpha-2, or empty
	City    string // in English, or empty
	ASN     uint32 // the autonomous system, or 0
	Hosting bool   // a data centre's range
	VPN     bool   // a range by which people hide where they are
	Located bool   // Lat and Lon are known
	Lat     float64
	Lon     float64 // degrees, to 4 decimals: 11 m
	// IPv4 is the address inside the event's, where that lies below one of the operator's
	// own NAT64 prefixes, or empty. What else is known is known of it.
	IPv4 string
}

// Known says whether anything is known.
func (n Network) Known() bool { return n != Network{} }

// degree is in how many parts a degree is written.
const degree = 10_000

// AppendNetwork appends the text form of n:
//
//	cc=DE;as=3320;k=hv;lat=52.5244;lon=13.4105;v4=198.51.100.7;c=Berlin
//
// Only what is known stands there, always in this order; k has h for hosting and v
// for VPN; the city comes last and has no escapes. What ParseNetwork would refuse is
// left out or clipped, so that whatever is appended can be read. Nothing is appended
// where nothing is known.
func AppendNetwork(b []byte, n Network) []byte {
	w := networkWriter{b: b}
	if isCountry(n.Country) {
		w.b = append(w.key("cc="), n.Country...)
	}
	if n.ASN != 0 {
		w.b = strconv.AppendUint(w.key("as="), uint64(n.ASN), 10)
	}
	switch {
	case n.Hosting && n.VPN:
		w.b = append(w.key("k="), 'h', 'v')
	case n.Hosting:
		w.b = append(w.key("k="), 'h')
	case n.VPN:
		w.b = append(w.key("k="), 'v')
	}
	if n.Located && math.Abs(n.Lat) <= 90 && math.Abs(n.Lon) <= 180 {
		w.b = appendDegrees(w.key("lat="), n.Lat)
		w.b = appendDegrees(w.key("lon="), n.Lon)
	}
	if isIPv4(n.IPv4) {
		w.b = append(w.key("v4="), n.IPv4...)
	}
	if city := ClipCity(n.City); city != "" {
		w.b = append(w.key("c="), city...)
	}
	return w.b
}

type networkWriter struct {
	b    []byte
	more bool
}

func (w *networkWriter) key(name string) []byte {
	if w.more {
		w.b = append(w.b, ';')
	}
	w.more = true
	return append(w.b, name...)
}

func appendDegrees(b []byte, x float64) []byte {
	n := int64(math.Round(x * degree))
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/degree, 10)
	part := n % degree
	return append(b, '.', byte('0'+part/1000), byte('0'+part/100%10), byte('0'+part/10%10), byte('0'+part%10))
}

// ClipCity returns the longest beginning of a name that a Network may hold as its
// city, or nothing where the name has characters that cannot be shown.
func ClipCity(name string) string {
	end := 0
	for i, r := range name {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError || !unicode.IsGraphic(r) {
			return ""
		}
		if i+size <= MaxCity {
			end = i + size
		}
	}
	return name[:end]
}

// ParseNetwork reads what AppendNetwork wrote and nothing else: ok is false for any
// text that it would not write, and the Network is then the zero one. The texts alias s.
func ParseNetwork(s string) (n Network, ok bool) {
	if s == "" || len(s) > MaxNetwork {
		return Network{}, false
	}
	r := networkReader{rest: s}
	if v, ok := r.take("cc="); ok {
		n.Country = v
		r.check(isCountry(v))
	}
	if v, ok := r.take("as="); ok {
		n.ASN = r.asn(v)
	}
	if v, ok := r.take("k="); ok {
		n.Hosting, n.VPN = v == "h" || v == "hv", v == "v" || v == "hv"
		r.check(n.Hosting || n.VPN)
	}
	if v, ok := r.take("lat="); ok {
		n.Located, n.Lat = true, r.degrees(v, 90)
		v, ok := r.take("lon=")
		r.check(ok)
		n.Lon = r.degrees(v, 180)
	}
	if v, ok := r.take("v4="); ok {
		n.IPv4 = v
		r.check(isIPv4(v))
	}
	if city, ok := strings.CutPrefix(r.rest, "c="); ok && !r.ended {
		n.City, r.ended = city, true
		r.check(city != "" && ClipCity(city) == city)
	}
	if !r.ended || r.bad {
		return Network{}, false
	}
	return n, true
}

// networkReader walks the parts in their order.
type networkReader struct {
	rest  string
	ended bool // the last part was taken
	bad   bool
}

func (r *networkReader) check(ok bool) { r.bad = r.bad || !ok }

// take returns the value of the next part where that has the given key.
func (r *networkReader) take(key string) (string, bool) {
	v, ok := strings.CutPrefix(r.rest, key)
	if !ok || r.ended {
		return "", false
	}
	v, r.rest, ok = strings.Cut(v, ";")
	r.ended = !ok
	return v, true
}

func (r *networkReader) asn(s string) uint32 {
	n, ok := digits(s, 10)
	r.check(ok && n > 0 && n <= math.MaxUint32 && s[0] != '0')
	return uint32(n)
}

// degrees reads what appendDegrees writes.
func (r *networkReader) degrees(s string, limit int64) float64 {
	number, negative := strings.CutPrefix(s, "-")
	before, after, _ := strings.Cut(number, ".")
	whole, ok := digits(before, 3)
	part, ok2 := digits(after, 4)
	n := whole*degree + part
	r.check(ok && ok2 && len(after) == 4 && (before == "0" || before != "" && before[0] != '0') && n <= limit*degree && (n > 0 || !negative))
	if negative {
		n = -n
	}
	return float64(n) / degree
}

// digits reads 1 to most decimal digits.
func digits(s string, most int) (n int64, ok bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

func isIPv4(s string) bool {
	if s == "" {
		return false
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
