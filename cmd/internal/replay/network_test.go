package replay

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast/cmd/internal/traffic"
	"holdfast/schemas"
)

// A gateway of the operator's own that writes IPv4 addresses as IPv6 changes no decision:
// lines that name its addresses give what the same lines with the IPv4 addresses give.
func TestOwnNAT64ChangesNothing(t *testing.T) {
	nat64, err := schemas.ParseNAT64([]string{"2001:db8:64::/96"})
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`"ip":"(\d+)\.(\d+)\.(\d+)\.(\d+)"`)
	guesser, err := os.ReadFile("../cases/testdata/login-01-nat64.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	plain := string(life(traffic.Leak(3, begin, time.Hour))) + strings.ReplaceAll(string(guesser), "64:ff9b::c633:6407", "198.51.100.7")
	written := address.ReplaceAllString(plain, `"ip":"2001:db8:64::$1.$2.$3.$4"`)
	known := func(a netip.Addr) (n schemas.Network) {
		if four, ok := nat64.Within(a); ok {
			n.IPv4 = four.String()
		}
		return n
	}
	decided := func(data string, networks func(netip.Addr) schemas.Network) string {
		var out strings.Builder
		r, err := New(Config{Networks: networks}, Deps{Signals: func(v []byte) error { out.Write(append(v, '\n')); return nil },
			Decisions: func(v []byte) error { out.Write(append(v, '\n')); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context(), strings.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	want := decided(plain, known)
	if !strings.Contains(want, `"verdict":"block"`) || strings.Count(written, "2001:db8:64::") < 1000 {
		t.Fatal("no address is blocked, or few are written otherwise: nothing is shown")
	}
	if got := decided(written, known); got != want {
		t.Errorf("with the gateway's addresses:\n%.2000s\nwith IPv4 addresses:\n%.2000s", got, want)
	}
	if decided(written, nil) == want {
		t.Error("the same comes out where the prefix is not known: nothing is shown")
	}
}

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
