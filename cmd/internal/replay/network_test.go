package replay

import (
	"net/netip"
	"strings"
	"testing"

	"holdfast/schemas"
)

// Events of a file are given the network that intake would have noted.
func TestLinesAreGivenTheirNetwork(t *testing.T) {
	known := func(a netip.Addr) schemas.Network {
		return schemas.Network{Country: "DE", Hosting: a == netip.MustParseAddr("192.0.2.1")}
	}
	const file = `{"id":"a","type":"login","account":"x","user":"u","outcome":"success","time":"2026-03-02T00:00:00Z","ip":"192.0.2.1"}
{"id":"b","type":"delivery","account":"x","recipient":"r@x.example","outcome":"delivered","message_id":"m","time":"2026-03-02T00:00:00Z"}
`
	lines := strings.SplitAfter(file, "\n")
	r, b, in := reader{seen: newRing(), networks: known}, newBlock(), newInput()
	for with, file := range []string{file, lines[1] + lines[0]} { // where one with an address stood, one without comes
		r.begin(strings.NewReader(file))
		r.read(b)
		r.decode(b)
		if len(b.lines) != 2 || b.lines[0].err != nil || b.lines[1].err != nil {
			t.Fatalf("lines %+v", b.lines)
		}
		if b.lines[with].input(&in); in.Network != known(netip.MustParseAddr("192.0.2.1")) {
			t.Errorf("with an address: %+v", in.Network)
		}
		if b.lines[1-with].input(&in); in.Network.Known() {
			t.Errorf("without one: %+v", in.Network)
		}
	}
}
