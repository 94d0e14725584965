package schemas

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestNormalForms(t *testing.T) {
	for _, c := range []struct {
		name     string
		of       func(string) string
		in, want string
	}{
		{"lower case", NormalUser, "ann@example.com", "ann@example.com"},
		{"capitals", NormalUser, "Ann@EXAMPLE.Com", "ann@example.com"},
		{"name without a domain", NormalUser, "ROOT", "root"},
		{"wide letters", NormalUser, "Ａｎｎ", "ann"},
		{"ligature", NormalUser, "oﬃce", "office"},
		{"sharp s", NormalUser, "STRAẞE", "strasse"},
		{"iota below an accent", NormalUser, "\u1f88\u0300", "\u1f02\u03b9"},
		{"composed", NormalUser, "jo\u0308rg", "jörg"},
		{"final sigma", NormalUser, "ΟΔΥΣΣΕΥΣ", "οδυσσευσ"},
		{"domain in letters", NormalMail, "a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"},
		{"A-label in capitals", NormalMail, "a@XN--MNCHEN-3YA.example", "a@xn--mnchen-3ya.example"},
		{"dot of the root", NormalMail, "Ann@example.com.", "ann@example.com"},
		{"dot of the root, lower case", NormalUser, "ann@example.com.", "ann@example.com"},
		{"name with a dot at the end", NormalUser, "ann.", "ann."},
		{"ideographic dot", NormalDomain, "example。com", "example.com"},
		{"domain", NormalDomain, "Mail.Example.COM.", "mail.example.com"},
		{"two at signs", NormalMail, `"a@B"@Example.com`, `"a@b"@example.com`},
		{"only an at sign", NormalMail, "@", "@"},
		{"no domain", NormalMail, "Ann@", "ann@"},
		{"what is no domain", NormalMail, "Ann@-É-", "ann@-é-"},
		{"empty", NormalUser, "", ""},
	} {
		if got := c.of(c.in); got != c.want {
			t.Errorf("%s: %q gives %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

// Each letter's normal form is its own, and that of its capital and its small letter.
func TestNormalFormsOfAllLetters(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		s := string(r)
		for name, of := range map[string]func(string) string{"user": NormalUser, "domain": NormalDomain} {
			if once := of(s); of(once) != once {
				t.Errorf("%s: %U gives %+q, and that %+q", name, r, once, of(once))
			}
		}
	}
	pair := func(capital, small rune) {
		if a, b := NormalUser("x"+string(capital)), NormalUser("x"+string(small)); a != b || a != "x"+string(capital) {
			t.Errorf("%U gives %+q and %U gives %+q", capital, a, small, b)
		}
	}
	for r := rune(0x13a0); r <= 0x13ef; r++ { // Cherokee, whose letters fold to capitals
		pair(r, r-0x13a0+0xab70)
	}
	for r := rune(0x13f0); r <= 0x13f5; r++ {
		pair(r, r+8)
	}
}

// A normal form is its own, whatever it is of.
func TestNormalFormsStay(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("aZ.@\u0345\u0300\u0130\u01c5\u03a3\u1e9e\u1fb3\u2126\uff21"), unicode.Cherokee, unicode.Lt, unicode.Mn)), rapid.StringMatching(`[A-Za-zäÖß．。@ﬁ]{0,12}@?[A-Za-zÄß.。-]{0,12}[.]?`))
	rapid.Check(t, func(t *rapid.T) {
		s := texts.Draw(t, "text")
		for name, of := range map[string]func(string) string{"user": NormalUser, "mail": NormalMail, "domain": NormalDomain} {
			once := of(s)
			if twice := of(once); twice != once {
				t.Fatalf("%s: %q gives %q, and that %q", name, s, once, twice)
			}
		}
		if strings.IndexByte(s, '@') >= 0 {
			return // the domain of an address has rules of its own
		}
		for _, x := range []string{s, strings.ToUpper(s), strings.ToLower(s)} {
			if whole, apart := NormalUser(x), NormalUser(norm.NFD.String(x)); whole != apart {
				t.Fatalf("%+q gives %+q, and taken apart %+q", x, whole, apart)
			}
		}
	})
}

// The short way agrees with a look at every byte, wherever the odd one stands.
func TestPlainLower(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for c := range 256 {
				b := []byte(strings.Repeat("a", n))
				b[at] = byte(c)
				if want := c < 'A' || c > 'Z' && c < 0x80; plainLower(string(b)) != want {
					t.Fatalf("byte %#x at %d of %d: %v, want %v", c, at, n, !want, want)
				}
			}
		}
	}
}

func TestNormalIP(t *testing.T) {
	for in, want := range map[string]string{
		"198.51.100.7":                   "198.51.100.7",
		"::ffff:198.51.100.7":            "198.51.100.7",
		"::ffff:0:198.51.100.7":          "198.51.100.7",
		"::198.51.100.7":                 "198.51.100.7",
		"64:ff9b::198.51.100.7":          "198.51.100.7",
		"64:ff9b:1::198.51.100.7":        "198.51.100.7",
		"64:ff9b:1:fffe::198.51.100.7":   "198.51.100.7",
		"64:ff9b:1:a:b:c:198.51.100.7":   "198.51.100.7",
		"64:ff9b:1:c633:64:700::":        "198.51.100.7", // RFC 6052, section 2.2, a prefix of 48 bits
		"64:ff9b:2::198.51.100.7":        "64:ff9b:2::c633:6407",
		"64:ff9b:0:0:1::198.51.100.7":    "64:ff9b::1:0:c633:6407",
		"2001:db8::1":                    "2001:db8::1",
		"2001:db8:64:ff9b::198.51.100.7": "2001:db8:64:ff9b::c633:6407",
		"2002:c633:6407::1":              "2002:c633:6407::1",
		"fe80::1%eth0":                   "fe80::1",
		"::1":                            "::1",
		"::":                             "::",
	} {
		if got := NormalIP(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	if NormalIP(netip.Addr{}).IsValid() {
		t.Error("no address became one")
	}
	if got := IPKey(netip.MustParseAddr("64:ff9b::198.51.100.7")); got != "198.51.100.7" {
		t.Errorf("the entity is %s", got)
	}
}

// What nearly all events hold costs nothing to compare.
func TestPlainFormsAllocateNothing(t *testing.T) {
	a := netip.MustParseAddr("2001:db8::7")
	if n := testing.AllocsPerRun(100, func() {
		_ = NormalMail("u7905205@gmail.example")
		_ = NormalUser("user47-0@shop47.example")
		_ = NormalDomain("shop47.example")
		_ = NormalIP(a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNormalMail(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = NormalMail("u7905205@gmail.example")
	}
}
