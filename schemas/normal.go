package schemas

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// This file holds the one rule by which two spellings are the same. Whoever compares,
// hashes or looks up what an event names does it by these forms; the event itself, and
// its row, keep the spelling that came. Account, employee, credential, message and
// session ids are opaque and have one spelling only.
//
// A text in lower-case ASCII, as nearly all are, is its own normal form and costs
// neither a copy nor an allocation.

// NormalUser is a user's name as it is compared: in Unicode's compatibility form (NFKC)
// without case. A name that is a mail address is compared as one.
func NormalUser(s string) string {
	return NormalMail(s)
}

// NormalMail is a mail address as it is compared: its domain by NormalDomain, what
// stands before the last @ as a user's name. A text without an @ is one whole.
func NormalMail(s string) string {
	if plainLower(s) && (s == "" || s[len(s)-1] != '.') {
		return s
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return folded(s)
	}
	return folded(s[:at]) + "@" + NormalDomain(s[at+1:])
}

// NormalDomain is a domain's name as it is compared: in lower case, as A-labels
// (xn--mnchen-3ya.example), without the dot of the root. What is no name is compared
// as a user's.
func NormalDomain(s string) string {
	if plainLower(s) {
		return strings.TrimRight(s, ".")
	}
	s = folded(s)
	if !isASCII(s) && utf8.ValidString(s) {
		if ascii, err := idna.Lookup.ToASCII(s); err == nil {
			s = ascii
		}
	}
	return strings.TrimRight(s, ".")
}

// folded is a text in NFKC without case. It is taken apart before it is folded, since a
// Greek iota below a letter becomes one of its own, which stands behind all accents
// (Unicode 3.13, D145). Folding may undo the form, so that both are made until the text
// stays as it is: nearly always at once.
func folded(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	s = norm.NFKC.String(foldCase(norm.NFKD.String(s)))
	for range 3 {
		t := norm.NFKC.String(foldCase(s))
		if t == s {
			break
		}
		s = t
	}
	return s
}

// foldCase is Unicode's full case folding. Cherokee letters fold to their capitals
// (CaseFolding.txt), where package cases takes each of a pair for the other.
func foldCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0xab70 && r <= 0xabbf:
			return r - 0xab70 + 0x13a0
		case r >= 0x13f8 && r <= 0x13fd:
			return r - 8
		}
		return r
	}, cases.Fold().String(s))
}

// plainLower reports whether a text is ASCII without capitals. It looks at eight bytes
// at once, the last ones a second time: a capital has the high bit after 0x80−'A' is
// added, and not after 0x80−'Z'−1 is; in ASCII neither carries into the next byte.
func plainLower(s string) bool {
	if len(s) < 8 {
		for i := range len(s) {
			if c := s[i]; c-'A' <= 'Z'-'A' || c >= utf8.RuneSelf {
				return false
			}
		}
		return true
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	found := uint64(0)
	for i := 0; i+8 < len(b); i += 8 {
		found |= unlike(binary.LittleEndian.Uint64(b[i:]))
	}
	return (found|unlike(binary.LittleEndian.Uint64(b[len(b)-8:])))&highs == 0
}

func unlike(x uint64) uint64 {
	return x | (x+ones*(0x80-'A'))&^(x+ones*(0x80-'Z'-1))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// NormalIP is an address as it is compared: the IPv4 address that stands in one of a
// form of IPv6 by which an IPv4 host is reached or written, and any other without its
// zone. These forms are IPv4-mapped (::ffff:0:0/96), IPv4-translated (::ffff:0:0:0/96,
// RFC 7915), IPv4-compatible (::/96, RFC 4291), and those of NAT64 (RFC 6052): its
// well-known prefix 64:ff9b::/96 and 64:ff9b:1::/48, which RFC 8215 gives to networks
// for prefixes of their own. Behind one /64 of NAT64 are all hosts of IPv4.
//
// An address of 6to4 (2002::/16) stays what it is: its /64 belongs to one site.
func NormalIP(a netip.Addr) netip.Addr {
	if a.Is4() || !a.IsValid() {
		return a
	}
	b := a.As16()
	switch [4]byte(b[:4]) {
	case [4]byte{}:
		if low := [8]byte(b[4:12]); low == [8]byte{} && (b[12] != 0 || b[13] != 0) || low == [8]byte{4: 0xff, 5: 0xff} || low == [8]byte{6: 0xff, 7: 0xff} {
			return netip.AddrFrom4([4]byte(b[12:]))
		}
	case [4]byte{0x00, 0x64, 0xff, 0x9b}:
		if four, ok := ofNAT64(&b); ok {
			return netip.AddrFrom4(four)
		}
	}
	return a.WithZone("")
}

// ofNAT64 takes the IPv4 address out of one below 64:ff9b::/32. Under the prefix for
// local use it stands in the last 32 bits, as behind every /96, unless these are empty:
// then it begins at the 49th bit, around bits 65 to 72, which are zero (RFC 6052, 2.2).
func ofNAT64(b *[16]byte) (four [4]byte, ok bool) {
	switch {
	case [8]byte(b[4:12]) == [8]byte{}:
	case b[4] == 0 && b[5] == 1 && [4]byte(b[12:]) == [4]byte{} && b[8] == 0:
		return [4]byte{b[6], b[7], b[9], b[10]}, true
	case b[4] != 0 || b[5] != 1:
		return four, false
	}
	return [4]byte(b[12:]), true
}
