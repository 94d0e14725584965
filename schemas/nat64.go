package schemas

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// NAT64 are the prefixes by which an operator's own NAT64 gateways write IPv4 addresses
// as IPv6 (RFC 6052), the longest first. NormalIP knows the prefixes that belong to
// everybody; these hold in one installation only. So intake looks an event's address up
// once, and what it finds travels with the record as Network.IPv4.
type NAT64 []netip.Prefix

// MaxNAT64 bounds the prefixes.
const MaxNAT64 = 64

// ParseNAT64 reads prefixes. The error joins what is wrong with each.
func ParseNAT64(list []string) (NAT64, error) {
	var out NAT64
	var errs []error
	if len(list) > MaxNAT64 {
		errs = append(errs, fmt.Errorf("%d NAT64 prefixes: list at most %d", len(list), MaxNAT64))
	}
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil || !p.Addr().Is6() || p.Addr().Is4In6() || p.Addr().Zone() != "":
			errs = append(errs, fmt.Errorf("NAT64 prefix %q is not an IPv6 prefix: write for example 2001:db8:64::/96", s))
		case !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()):
			errs = append(errs, fmt.Errorf("NAT64 prefix %s has %d bits: RFC 6052 has prefixes of 32, 40, 48, 56, 64 and 96 bits", s, p.Bits()))
		case p != p.Masked():
			errs = append(errs, fmt.Errorf("NAT64 prefix %s has bits behind its end: write %s", s, p.Masked()))
		case p.Addr().IsUnspecified():
			errs = append(errs, fmt.Errorf("NAT64 prefix %s belongs to no gateway: write the prefix that yours translates", s))
		case slices.Contains(out, p):
			errs = append(errs, fmt.Errorf("NAT64 prefix %s is listed twice: delete one", s))
		default:
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b netip.Prefix) int { return b.Bits() - a.Bits() })
	return out, errors.Join(errs...)
}

// Within returns the IPv4 address that stands in an address below one of the prefixes.
// Below a prefix of less than 96 bits it begins right behind the prefix and leaves out
// bits 64 to 71, which must be zero (RFC 6052, section 2.2). What stands behind it is
// reserved and ignored.
func (n NAT64) Within(a netip.Addr) (four netip.Addr, ok bool) {
	if len(n) == 0 || !a.Is6() {
		return netip.Addr{}, false
	}
	a = a.WithZone("")
	for _, p := range n {
		if !p.Contains(a) {
			continue
		}
		b := a.As16()
		if p.Bits() < 96 && b[8] != 0 {
			return netip.Addr{}, false
		}
		var v [4]byte
		at := p.Bits() / 8
		for i := range v {
			if at == 8 && p.Bits() < 96 {
				at++
			}
			v[i] = b[at]
			at++
		}
		return netip.AddrFrom4(v), true
	}
	return netip.Addr{}, false
}

// IP is an address as it is compared where the prefixes hold: see NormalIP.
func (n NAT64) IP(a netip.Addr) netip.Addr {
	if four, ok := n.Within(a); ok {
		return four
	}
	return NormalIP(a)
}

// Translate gives the event the address by which it is compared where intake found
// another one than the sender wrote. Whoever folds an event calls it first; the audit
// row keeps what came.
func (e *Event) Translate(n *Network) {
	if n.IPv4 == "" || !e.IP.IsValid() {
		return
	}
	if a, err := netip.ParseAddr(n.IPv4); err == nil {
		e.IP = a
	}
}
