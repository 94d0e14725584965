package enrich

import (
	"net/netip"
	"strings"
	"testing"
)

func TestListsInTheFormsInUse(t *testing.T) {
	for name, text := range map[string]string{
		"lines":           "\uFEFF# a list\n\n192.0.2.0/24\t; SBL1\r\n2001:db8::/32 # v6\n198.51.100.7\nAS64496\nas64497\n",
		"host bits":       "192.0.2.77/24\n::ffff:198.51.100.7\n2001:db8::5/32\nAS64496\nAS64497",
		"csv, headed":     "Name,CIDR,Note\n\"a, b\",192.0.2.0/24,x\nb, 198.51.100.7 ,y\nc,2001:db8::/32,z\nd,AS64496,\ne,AS64497,",
		"csv, not headed": "# made today\n192.0.2.0/24,Acme,US\n198.51.100.7,Acme,US\n2001:db8::/32,Acme\nAS64496,x\nAS64497,x\n",
		"amazon":          `{"syncToken":"1","createDate":"x","prefixes":[{"ip_prefix":"192.0.2.0/24","region":"r"},{"ip_prefix":"198.51.100.7/32"}],"ipv6_prefixes":[{"ipv6_prefix":"2001:db8::/32"}]}`,
		"google":          ` {"creationTime":"x","prefixes":[{"ipv4Prefix":"192.0.2.0/24","scope":"s"},{"ipv6Prefix":"2001:db8::/32"},{"ipv4Prefix":"198.51.100.7/32"}]}`,
	} {
		r, n, err := parseRanges(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, a := range []string{"192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8:ffff::1"} {
			if !r.has(netip.MustParseAddr(a), 0) {
				t.Errorf("%s: %s is not in it", name, a)
			}
		}
		for _, a := range []string{"192.0.3.0", "198.51.100.8", "2001:db9::", "::1"} {
			if r.has(netip.MustParseAddr(a), 0) || r.has(netip.MustParseAddr(a), 64498) {
				t.Errorf("%s: %s is in it", name, a)
			}
		}
		if json := strings.Contains(text, "{"); !json && (n != 5 || !r.has(netip.MustParseAddr("203.0.113.1"), 64497)) || json && n != 3 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
}

// A list that cannot be read whole is not taken at all, and the error says where.
func TestListsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "names no network",
		"# nothing\n\n; at all":          "names no network",
		`{"prefixes":[]}`:                "names no network",
		`{}`:                             "names no network",
		"<!DOCTYPE html>\n<html>":        "f:1:",
		"192.0.2.0/24\n192.0.2.0/33":     "f:2:",
		"192.0.2.0/24\nexample.com":      "f:2:",
		"fe80::1%eth0":                   "f:1:",
		"0.0.0.0/0":                      "wider than /8",
		"192.0.2.0/24\n64.0.0.0/7":       "wider than /8",
		"2000::/3":                       "wider than /12",
		"::ffff:0:0/96":                  "wider than /8",
		"AS0":                            "no autonomous system",
		"AS4294967296":                   "no autonomous system",
		"name,color\na,b":                "f:1: no column holds networks",
		"cidr,x\n192.0.2.0/24,1\n,2":     "f:3:",
		"x,cidr\n1,192.0.2.0/24\n2":      "f:3: has 1 columns",
		"cidr,\"x\n192.0.2.0/24":         "f:",
		`{"prefixes":[{"region":"x"}]}`:  "prefix 1 has none",
		`{"prefixes":[{"ip_prefix":5}]}`: "f:",
		`{"prefixes":[{"ip_prefix":"192.0.2.0/24"}`: "f:",
	} {
		if _, _, err := parseRanges("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", text, err, want)
		}
	}
}

func FuzzParseRanges(f *testing.F) {
	for _, s := range []string{"192.0.2.0/24 # x\nAS1", "a,cidr\n1,192.0.2.0/24", `{"prefixes":[{"ip_prefix":"192.0.2.0/24"}]}`, "::/12", "\"", ",", "{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, n, err := parseRanges("f", data)
		if err != nil {
			return
		}
		if n == 0 || n != r.len() {
			t.Fatalf("%q: %d entries of %d", data, n, r.len())
		}
		for p := range r.table.All() {
			if p != p.Masked() || p.Bits() < widest(p) || !r.has(p.Addr(), 0) {
				t.Fatalf("%q holds %v", data, p)
			}
		}
	})
}

// Whatever stands in a database, opening it and asking it ends without a panic, and
// what it says can be written down.
func FuzzDatabase(f *testing.F) {
	f.Add(cities(f))
	f.Add(systems(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, open := range []func(string, []byte) (*database, int, error){openCity, openASN} {
			db, _, err := open("f", data)
			if err != nil {
				continue
			}
			for _, a := range []string{"192.0.2.1", "2001:db8::1", "0.0.0.0", "ffff::"} {
				if n := db.lookUp(netip.MustParseAddr(a)); canonical(n) != n {
					t.Fatalf("%+v", n)
				}
			}
		}
	})
}

func TestDatabasesAreOfTheirKind(t *testing.T) {
	if _, _, err := openCity("f", systems(t)); err == nil || !strings.Contains(err.Error(), "has no country.iso_code") {
		t.Errorf("systems for cities: %v", err)
	}
	if _, _, err := openASN("f", cities(t)); err == nil || !strings.Contains(err.Error(), "has no autonomous_system_number") {
		t.Errorf("cities for systems: %v", err)
	}
	if _, _, err := openCity("f", []byte("192.0.2.0/24")); err == nil || !strings.Contains(err.Error(), "no MMDB file") {
		t.Errorf("text: %v", err)
	}
}
