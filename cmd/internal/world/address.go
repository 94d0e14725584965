package world

import "net/netip"

// networks are the Internet of one world: who gets addresses where. Customers,
// staff and attackers draw from the same.
type networks struct {
	homes   [][2]byte // /16 of access providers
	hosting [][2]byte // /16 of hosting providers
	vpn     [][2]byte // /16 of privacy networks
	homes6  [][4]byte // /32 of access providers
	cloud6  [][4]byte // /32 of hosting providers
	relays  [][]netip.Addr
}

func newNetworks(d dice) *networks {
	n := &networks{}
	for range 30 + d.IntN(60) {
		n.homes = append(n.homes, prefix4(d))
	}
	for range 10 + d.IntN(25) {
		n.hosting = append(n.hosting, prefix4(d))
	}
	for range 4 + d.IntN(8) {
		n.vpn = append(n.vpn, prefix4(d))
	}
	for range 6 + d.IntN(10) {
		n.homes6 = append(n.homes6, [4]byte{0x2a, byte(d.IntN(16)), byte(d.IntN(256)), byte(d.IntN(256))})
		n.cloud6 = append(n.cloud6, [4]byte{0x26, byte(d.IntN(16)), byte(d.IntN(256)), byte(d.IntN(256))})
	}
	for range 5 + d.IntN(8) {
		var relay []netip.Addr
		at := one(d, n.hosting)
		for range 2 + d.IntN(6) {
			relay = append(relay, in4(d, at))
		}
		n.relays = append(n.relays, relay)
	}
	return n
}

// prefix4 is a /16 of ordinary public addresses.
func prefix4(d dice) [2]byte {
	for {
		a, b := byte(1+d.IntN(222)), byte(d.IntN(256))
		switch a {
		case 10, 100, 127, 169, 172, 192, 198, 203:
		default:
			return [2]byte{a, b}
		}
	}
}

func in4(d dice, p [2]byte) netip.Addr {
	return netip.AddrFrom4([4]byte{p[0], p[1], byte(d.IntN(256)), byte(1 + d.IntN(254))})
}

// in6 is an address of a /64 of its own.
func in6(d dice, p [4]byte) netip.Addr {
	a := [16]byte{p[0], p[1], p[2], p[3], byte(d.IntN(256)), byte(d.IntN(256)), byte(d.IntN(256)), byte(d.IntN(256))}
	a[14], a[15] = byte(d.IntN(256)), byte(1+d.IntN(255))
	return netip.AddrFrom16(a)
}

// again is another address of the same /64, or of the same /24.
func again(d dice, a netip.Addr) netip.Addr {
	if a.Is4() {
		b := a.As4()
		b[3] = byte(1 + d.IntN(254))
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	for i := 8; i < 16; i++ {
		b[i] = byte(d.IntN(256))
	}
	return netip.AddrFrom16(b)
}

func (n *networks) home(d dice) netip.Addr {
	if d.chance(0.3) {
		return in6(d, one(d, n.homes6))
	}
	return in4(d, one(d, n.homes))
}

func (n *networks) server(d dice) netip.Addr {
	if d.chance(0.1) {
		return in6(d, one(d, n.cloud6))
	}
	return in4(d, one(d, n.hosting))
}

// foreign is where an attacker may sit: mostly rented, sometimes a privacy network
// or somebody's home.
func (n *networks) foreign(d dice) netip.Addr {
	switch x := d.Float64(); {
	case x < 0.5:
		return n.server(d)
	case x < 0.75:
		return in4(d, one(d, n.vpn))
	}
	return n.home(d)
}

// sourceKind is how a sender's addresses behave.
type sourceKind int

const (
	fixed      sourceKind = iota // one server or a few
	rotating                     // a pool of cloud addresses, some replaced each day
	serverless                   // addresses of a provider, new ones all the time
	roaming                      // office, home, and on the road
	block6                       // one /64
	relay                        // a service provider's addresses, shared by many
	sourceKinds
)

// source is where a credential sends from.
type source struct {
	kind  sourceKind
	addrs []netip.Addr
	nets  [][2]byte
	day   int64
}

func newSource(d dice, n *networks, kind sourceKind) *source {
	s := &source{kind: kind, day: -1}
	switch kind {
	case rotating:
		s.nets = [][2]byte{one(d, n.hosting), one(d, n.hosting)}
		for range 6 + d.IntN(18) {
			s.addrs = append(s.addrs, in4(d, one(d, s.nets)))
		}
	case serverless:
		for range 2 + d.IntN(3) {
			s.nets = append(s.nets, one(d, n.hosting))
		}
	case roaming:
		s.addrs = []netip.Addr{n.home(d), n.home(d), n.home(d)}
		s.nets = n.homes
	case block6:
		s.addrs = []netip.Addr{in6(d, one(d, n.cloud6))}
	case relay:
		s.addrs = one(d, n.relays)
	default:
		for range 1 + d.IntN(3) {
			s.addrs = append(s.addrs, n.server(d))
		}
	}
	return s
}

// at is where a message of that time comes from.
func (s *source) at(d dice, t int64) netip.Addr {
	switch s.kind {
	case rotating:
		if today := t / day; today != s.day {
			s.day = today
			for range 1 + d.IntN(3) {
				s.addrs[d.IntN(len(s.addrs))] = in4(d, one(d, s.nets))
			}
		}
	case serverless:
		return in4(d, one(d, s.nets))
	case roaming:
		if d.chance(0.04) {
			return in4(d, one(d, s.nets))
		}
		if d.chance(0.6) {
			return s.addrs[0]
		}
	case block6:
		return again(d, s.addrs[0])
	}
	return one(d, s.addrs)
}
