package policy

import (
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"
	"go.yaml.in/yaml/v4"

	"holdfast/schemas"
)

// MaxProxies bounds the networks under trusted_proxies.
const MaxProxies = 10_000

// shared are the addresses that no outsider sends from, or behind which anybody may be.
// Documentation ranges are not among them: they are as good as any in a test.
var shared = func() *bart.Table[string] {
	t := new(bart.Table[string])
	for what, networks := range map[string][]string{
		"an unspecified address":                          {"0.0.0.0/8", "::/128"},
		"a loopback address":                              {"127.0.0.0/8", "::1/128"},
		"a private address":                               {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"},
		"a link-local address":                            {"169.254.0.0/16", "fe80::/10"},
		"an address that a provider's customers share":    {"100.64.0.0/10", "192.0.0.0/24"},
		"a multicast or broadcast address":                {"224.0.0.0/4", "255.255.255.255/32", "ff00::/8"},
		"a reserved address":                              {"240.0.0.0/4"},
		"a network in which IPv4 addresses stand":         {"::/64", "64:ff9b::/64", "64:ff9b:1::/48"},
		"the network of a Teredo relay, which many share": {"2001::/32"},
	} {
		for _, n := range networks {
			t.Insert(netip.MustParsePrefix(n), what)
		}
	}
	return t
}()

// SharedAddress says why an address, or a network, is never blocked by a policy alone: it
// cannot come from outside, so that it is a proxy's or a host's of one's own, many share
// it, or it is listed as a trusted proxy. what is empty where nothing of this holds.
func (s *Set) SharedAddress(id string) (what string) {
	p, ok := networkOf(id)
	if !ok {
		return ""
	}
	if s.proxies != nil && s.proxies.OverlapsPrefix(p) {
		return "a trusted proxy"
	}
	for _, what := range shared.Supernets(p) {
		return what // the longest first
	}
	return ""
}

// networkOf reads an entity's id: an address or a network.
func networkOf(id string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(id); err == nil {
		a = schemas.NormalIP(a)
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(id)
	return p, err == nil
}

// proxy reads one of the operator's own proxies: an address or a network.
func (r *reader) proxy(s *Set, n *yaml.Node) {
	p, ok := networkOf(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || !ok:
		r.at(n, fmt.Sprintf("trusted proxy %q is neither an address nor a network", n.Value), "write 203.0.113.7 or 203.0.113.0/24")
		return
	case p != p.Masked():
		r.at(n, fmt.Sprintf("trusted proxy %s has bits behind its network", n.Value), "write "+p.Masked().String()+", or the address alone")
		return
	case p.Bits() == 0:
		r.at(n, fmt.Sprintf("trusted proxy %s is every address", n.Value), "to block nobody, run the policies about addresses in mode shadow")
		return
	}
	if s.proxies == nil {
		s.proxies = new(bart.Lite)
	}
	s.proxies.Insert(p)
}
