package schemas

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The addresses of RFC 6052, section 2.4, and what has no IPv4 address in it.
func TestNAT64(t *testing.T) {
	n, err := ParseNAT64([]string{"2001:db8::/32", "2001:db8:100::/40", "2001:db8:122::/48", "2001:db8:122:300::/56", "2001:db8:122:344::/64", "2001:db8:122:344::/96"})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"2001:db8:c000:221::":              "192.0.2.33",
		"2001:db8:1c0:2:21::":              "192.0.2.33",
		"2001:db8:122:c000:2:2100::":       "192.0.2.33",
		"2001:db8:122:3c0:0:221::":         "192.0.2.33",
		"2001:db8:122:344:c0:2:2100::":     "192.0.2.33",
		"2001:db8:122:344::192.0.2.33":     "192.0.2.33",
		"2001:db8:122:344::192.0.2.33%en0": "192.0.2.33",
		"2001:db8:c000:221::1":             "192.0.2.33",                   // what stands behind is ignored
		"2001:db8:122:c000:102:2100::":     "2001:db8:122:c000:102:2100::", // bits 64 to 71 are not zero
		"2001:db9::192.0.2.33":             "2001:db9::c000:221",
		"64:ff9b::192.0.2.33":              "192.0.2.33", // needs no prefix
		"::ffff:192.0.2.33":                "192.0.2.33",
		"192.0.2.34":                       "192.0.2.34",
	} {
		if got := n.IP(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	if n.IP(netip.Addr{}).IsValid() || NAT64(nil).IP(netip.MustParseAddr("2001:db8::1")).String() != "2001:db8::1" {
		t.Error("an address was made of nothing")
	}
}

// Whatever IPv4 address a gateway writes below a prefix of any length is found again.
func TestNAT64FindsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SampledFrom([]int{32, 40, 48, 56, 64, 96}).Draw(t, "bits")
		four := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "prefix"))
		b[0], b[8] = 0x20, 0
		for i, at := 0, bits/8; i < 4; i, at = i+1, at+1 {
			if at == 8 && bits < 96 {
				at++
			}
			b[at] = four[i]
		}
		a := netip.AddrFrom16(b)
		p, err := a.Prefix(bits)
		if err != nil {
			t.Fatal(err)
		}
		n, err := ParseNAT64([]string{p.String()})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := n.Within(a); !ok || got != netip.AddrFrom4(four) {
			t.Fatalf("%s below %s is %s, want %v", a, p, got, four)
		}
	})
}

func TestParseNAT64Refuses(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.0/24":                "not an IPv6 prefix",
		"2001:db8::":                  "not an IPv6 prefix",
		"::ffff:0:0/96":               "not an IPv6 prefix",
		"2001:db8::/33":               "33 bits",
		"2001:db8::1/96":              "write 2001:db8::/96",
		"::/96":                       "no gateway",
		"2001:db8::/32 2001:db8::/32": "listed twice",
	} {
		if _, err := ParseNAT64(strings.Fields(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

// What intake found counts, whatever the address that came; nothing of it is an address
// where it found none.
func TestEventIsTranslated(t *testing.T) {
	for _, c := range []struct{ ip, four, want string }{
		{"2001:db8::c633:6407", "198.51.100.7", "ip:198.51.100.7"},
		{"2001:db8::c633:6407", "", "ip:2001:db8::/64"},
		{"", "198.51.100.7", "ip:"},
	} {
		e := Event{Type: TypeConnection}
		if c.ip != "" {
			e.IP = netip.MustParseAddr(c.ip)
		}
		if e.Translate(&Network{IPv4: c.four}); e.Entity().Key() != c.want {
			t.Errorf("%+v: %s", c, e.Entity().Key())
		}
	}
}
