package schemas

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNetworkReadsAsItIsWritten(t *testing.T) {
	for text, n := range map[string]Network{
		"cc=DE;as=3320;k=hv;lat=52.5244;lon=13.4105;c=Berlin": {Country: "DE", ASN: 3320, Hosting: true, VPN: true, Located: true, Lat: 52.5244, Lon: 13.4105, City: "Berlin"},
		"cc=DE;v4=198.51.100.7;c=Berlin":                      {Country: "DE", IPv4: "198.51.100.7", City: "Berlin"},
		"v4=0.0.0.0":                                          {IPv4: "0.0.0.0"},
		"cc=FR":                                               {Country: "FR"},
		"as=4294967295":                                       {ASN: math.MaxUint32},
		"k=v":                                                 {VPN: true},
		"lat=-33.8688;lon=-0.0001":                            {Located: true, Lat: -33.8688, Lon: -0.0001},
		"lat=0.0000;lon=180.0000":                             {Located: true, Lon: 180},
		"k=h;c=a;cc=DE":                                       {Hosting: true, City: "a;cc=DE"},
		"c=São Paulo; state São Paulo":                        {City: "São Paulo; state São Paulo"},
	} {
		if got := string(AppendNetwork(nil, n)); got != text {
			t.Errorf("%+v is written %q, want %q", n, got, text)
		}
		if got, ok := ParseNetwork(text); !ok || got != n || !got.Known() {
			t.Errorf("%q reads as %+v, %v", text, got, ok)
		}
	}
}

// What was not written by AppendNetwork counts as nothing known.
func TestNetworkIsReadStrictly(t *testing.T) {
	for _, text := range []string{
		"", "cc=de", "cc=DEU", "cc=", "cc=DE;", ";cc=DE", "as=0", "as=01", "as=4294967296", "as=-1", "as=", "k=", "k=vh", "k=x", "k=h;k=v",
		"as=1;cc=DE", "cc=DE;cc=FR", "lat=1.0000", "lon=1.0000", "lat=1;lon=2", "lat=1.0000;lon=2.00000", "lat=90.0001;lon=0.0000", "lat=1.0000;lon=-0.0000",
		"lat=01.0000;lon=0.0000", "lat=+1.0000;lon=0.0000", "lat=1.0000;c=x;lon=1.0000", "lat=NaN;lon=0.0000", "c=", "c=\x00", "c=\xff", "c=a\nb", "x=1", "v4=", "v4=198.51.100.07", "v4=::1", "v4=198.51.100.7;as=1", "v4=198.51.100.7;v4=198.51.100.8",
		"c=" + strings.Repeat("a", MaxCity+1), strings.Repeat("c", MaxNetwork+1),
	} {
		if n, ok := ParseNetwork(text); ok || n.Known() {
			t.Errorf("%q reads as %+v", text, n)
		}
	}
}

// Whatever stands in a Network, what is written of it is bounded, can be read, and
// is written alike again.
func TestAnyNetworkCanBeWritten(t *testing.T) {
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-180, 180), rapid.SampledFrom([]float64{90, -90, 180, -180, math.NaN(), math.Inf(1), -0.00001}))
	rapid.Check(t, func(t *rapid.T) {
		n := Network{
			Country: rapid.OneOf(rapid.String(), rapid.StringMatching("[A-Z]{2}")).Draw(t, "country"), City: rapid.String().Draw(t, "city"), ASN: rapid.Uint32().Draw(t, "asn"),
			Hosting: rapid.Bool().Draw(t, "hosting"), VPN: rapid.Bool().Draw(t, "vpn"), Located: rapid.Bool().Draw(t, "located"), Lat: number.Draw(t, "lat"), Lon: number.Draw(t, "lon"),
			IPv4: rapid.SampledFrom([]string{"", "255.255.255.255", "0.0.0.0", "2001:db8::1", "x;y=z"}).Draw(t, "IPv4"),
		}
		text := string(AppendNetwork(nil, n))
		if len(text) > MaxNetwork {
			t.Fatalf("%q has %d bytes", text, len(text))
		}
		if text == "" {
			return
		}
		back, ok := ParseNetwork(text)
		if !ok || back.ASN != n.ASN || back.Hosting != n.Hosting || back.VPN != n.VPN {
			t.Fatalf("%q reads as %+v, %v", text, back, ok)
		}
		if again := string(AppendNetwork(nil, back)); again != text {
			t.Fatalf("%q is written again as %q", text, again)
		}
	})
}

func FuzzParseNetwork(f *testing.F) {
	for _, s := range []string{"cc=DE;as=3320;k=hv;lat=52.5244;lon=13.4105;c=Berlin", "lat=-0.0001;lon=180.0000", "c=;c=", "as=1;k=v"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ParseNetwork(s)
		if ok != n.Known() {
			t.Fatalf("%q: %+v, %v", s, n, ok)
		}
		if ok && string(AppendNetwork(nil, n)) != s {
			t.Fatalf("%q is written again as %q", s, AppendNetwork(nil, n))
		}
	})
}

func BenchmarkParseNetwork(b *testing.B) {
	const text = "cc=DE;as=3320;k=hv;lat=52.5244;lon=13.4105;c=Frankfurt am Main"
	if n := testing.AllocsPerRun(100, func() { ParseNetwork(text) }); n != 0 {
		b.Errorf("%v allocations", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		ParseNetwork(text)
	}
}
