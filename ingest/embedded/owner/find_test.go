package owner

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// The table of sockets is read where the kernel does not answer for one alone. The second
// row is a socket that no process holds (inode 0).
func TestFind(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C40 0100007F:2384 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 20 4 30 10 -1
   1: 0100007F:9C41 0100007F:2384 05 00000000:00000000 03:000016E2 00000000     0        0 0 3 0000000000000000
`
	remote := netip.MustParseAddrPort("127.0.0.1:9092")
	for port, want := range map[uint16]int{40000: 1000, 40001: -1, 40002: -1} {
		uid, err := find(strings.NewReader(table), netip.AddrPortFrom(remote.Addr(), port), remote)
		if want < 0 && !errors.Is(err, ErrUnknown) || want >= 0 && (err != nil || uid != want) {
			t.Errorf("port %d: user %d, %v", port, uid, err)
		}
	}
}
