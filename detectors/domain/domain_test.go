package domain

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/publicsuffix"
)

func TestRegistrable(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"example.com":                      "example.com",
		"mail.example.com":                 "example.com",
		"x7f3.campaign.shop.example.co.uk": "example.co.uk",
		"MAIL.Example.COM":                 "example.com",
		"mail.example.com.":                "example.com",
		"com":                              "",
		"co.uk":                            "",
		"localhost":                        "",
		"github.io":                        "github.io",
		"a.github.io":                      "a.github.io",
		"b.a.github.io":                    "a.github.io",
		"mail.corp.internal":               "corp.internal",
		"www.city.kobe.jp":                 "city.kobe.jp", // an exception of the list
		"a.b.c.kobe.jp":                    "b.c.kobe.jp",  // a wildcard of the list
		"a_b.example.org":                  "example.org",
		"müller.example.de":                "example.de",
		"post.bücher.de":                   "xn--bcher-kva.de",
		"post.BÜCHER.de":                   "xn--bcher-kva.de",
		"例え.テスト":                           "xn--r8jz45g.xn--zckzah",
		"192.0.2.1":                        "",
		"1.2.3":                            "",
		"[192.0.2.1]":                      "",
		"2001:db8::1":                      "",
		"":                                 "", ".": "", "..": "", "a..com": "", ".example.com": "", "example.com..": "",
		"-a.com": "", "a-.com": "", "a b.com": "", "a\x00.com": "", "user@example.com": "", "\xff.com": "",
		"x." + long + ".com":               long + ".com",
		long + "a.com":                     "",
		strings.Repeat("a.", 126) + "com":  "",
		strings.Repeat("é.", 5000) + "com": "",
	} {
		if got := Registrable(name); got != want {
			t.Errorf("%q gives %q, want %q", name, got, want)
		}
	}
}

// A registrable domain is its own, is a whole end of the name, and is the same
// however deep below it a name stands.
func FuzzRegistrable(f *testing.F) {
	for _, s := range []string{"mail.example.co.uk", "A.GitHub.io.", "bücher.de", "xn--bcher-kva.de", "192.0.2.1", "a..b", "www.ck", "x.ck", strings.Repeat("a.", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := Registrable(name)
		if got == "" {
			return
		}
		if len(got) > maxName || Registrable(got) != got {
			t.Fatalf("%q gives %q, which gives %q", name, got, Registrable(got))
		}
		if shapeOf(name) == shapeLower && !strings.HasSuffix("."+strings.TrimSuffix(name, "."), "."+got) {
			t.Fatalf("%q gives %q", name, got)
		}
		suffix, byRegistry := publicsuffix.PublicSuffix(got)
		if byRegistry && suffix == got {
			t.Fatalf("%q gives %q, a suffix", name, got)
		}
		if below := "x1." + got; suffix != got && len(below) <= maxName && Registrable(below) != got {
			t.Fatalf("%q gives %q", below, Registrable(below))
		}
	})
}

// Names that come again cost no allocation, whoever asks beside.
func TestNamesThatComeAgain(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 3 * cacheSize {
				want := fmt.Sprintf("d%d.co.uk", n)
				if got := Registrable(fmt.Sprintf("x%d.%s", i, want)); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
	Registrable("mail.example.co.uk")
	if n := testing.AllocsPerRun(100, func() { Registrable("mail.example.co.uk") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRegistrable(b *testing.B) {
	for _, name := range []string{"mail.example.com", "x7f3.campaign.shop.example.co.uk"} {
		b.Run(name, func(b *testing.B) {
			if n := testing.AllocsPerRun(100, func() { Registrable(name) }); n != 0 {
				b.Errorf("%v allocations", n)
			}
			b.ReportAllocs()
			for b.Loop() {
				Registrable(name)
			}
		})
	}
}
