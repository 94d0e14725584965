package gateway

import (
	"net/netip"
	"sync"
)

// places shares out how many requests are served at once. Whoever holds many leaves
// some for the others: a request is served where its token, and its address, hold
// fewer than three times what stays free. So one of them alone gets three quarters,
// the next three quarters of the rest, and there is a place for one that holds none
// until hundreds do.
type places struct {
	mu     sync.Mutex
	free   int
	single bool // there is one token: it shares with nobody
	tokens map[*sender]int
	addrs  map[netip.Prefix]int
}

func newPlaces(n int, single bool) *places {
	return &places{free: n, single: single, tokens: map[*sender]int{}, addrs: map[netip.Prefix]int{}}
}

// take gives a place, and the function by which it is given back; false: there is
// none for this token or address now.
func (p *places) take(token *sender, addr netip.Prefix) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fair := p.tokens[token] == 0 || p.share(p.addrs[addr]) && (p.single || p.share(p.tokens[token]))
	if p.free == 0 || !fair {
		return nil, false
	}
	p.free--
	p.tokens[token]++
	p.addrs[addr]++
	return func() { p.leave(token, addr) }, true
}

func (p *places) share(held int) bool { return held == 0 || held < 3*(p.free-1) }

func (p *places) leave(token *sender, addr netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.tokens[token]--; p.tokens[token] == 0 {
		delete(p.tokens, token)
	}
	if p.addrs[addr]--; p.addrs[addr] == 0 {
		delete(p.addrs, addr)
	}
}

// network is what an address counts as: itself, or the /64 of an IPv6 address, which
// one machine has.
func network(addr string) netip.Prefix {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if ip := a.Addr().Unmap(); ip.Is6() {
		bits = 64
	}
	p, _ := a.Addr().Unmap().WithZone("").Prefix(bits)
	return p
}
