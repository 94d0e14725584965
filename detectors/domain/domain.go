// Package domain rolls a domain's name up to the part that somebody registered, so
// that a sender who takes a new subdomain for every message is still one sender. It
// reads the Public Suffix List that golang.org/x/net compiles in: no network, no file,
// and the same answer wherever the same binary runs.
package domain

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// maxName and maxLabel are the most bytes of a name without its last dot, and of one
// of its labels (RFC 1035, section 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// Registrable returns the registrable domain of a name: the public suffix and one
// label more (shop.example.co.uk gives example.co.uk), in lower case and, for
// international names, in their ASCII form. It is empty where there is none: for a
// suffix of a registry (co.uk), a single label, an address, and what is no name.
//
// A suffix that an owner put on the list for customers of its own (github.io) is a
// registered domain itself and returned as it is; a name below it (a.github.io) is
// somebody else's and registrable in its own right.
//
// For names in lower-case ASCII the result is a part of the argument, and a name that
// was asked for lately costs no allocation.
func Registrable(name string) string {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 4*maxName {
		return ""
	}
	switch shapeOf(name) {
	case shapeUpper:
		name = strings.ToLower(name)
	case shapeForeign:
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil || !utf8.ValidString(name) { // what is not UTF-8 it takes for U+FFFD
			return ""
		}
		name = strings.TrimSuffix(ascii, ".")
	}
	if !valid(name) {
		return ""
	}
	return name[known.start(name):]
}

// startOf is where the registrable domain begins in a valid name; its length where
// there is none.
func startOf(name string) int {
	suffix, byRegistry := publicsuffix.PublicSuffix(name)
	if len(suffix) < len(name) {
		rest := name[:len(name)-len(suffix)-1]
		return strings.LastIndexByte(rest, '.') + 1
	}
	if byRegistry || strings.IndexByte(name, '.') < 0 {
		return len(name)
	}
	return 0
}

// shape says what has to be done to a name before it can be looked up.
type shape byte

const (
	shapeLower shape = iota
	shapeUpper
	shapeForeign
)

func shapeOf(name string) shape {
	s := shapeLower
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 0x80:
			return shapeForeign
		case c >= 'A' && c <= 'Z':
			s = shapeUpper
		}
	}
	return s
}

// valid checks a lower-case ASCII name. Underscores pass: hosts have them, whatever
// the standard says. A last label without a letter belongs to an IPv4 address.
func valid(name string) bool {
	if len(name) > maxName {
		return false
	}
	letter := false
	for start, i := 0, 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			if i == start || i-start > maxLabel || name[start] == '-' || name[i-1] == '-' {
				return false
			}
			if i < len(name) {
				letter = false
			}
			start = i + 1
			continue
		}
		switch c := name[i]; {
		case c >= 'a' && c <= 'z':
			letter = true
		case c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return letter
}

// Host is the domain of a mail address: what follows its last @, or nothing where it
// has none.
func Host(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return address[at+1:]
}
