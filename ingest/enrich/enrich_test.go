package enrich

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"holdfast/schemas"
)

func of(e *Enricher, a string) schemas.Network { return e.Of(netip.MustParseAddr(a)) }

func TestOf(t *testing.T) {
	e, err := New(files(t), Deps{})
	if err != nil {
		t.Fatal(err)
	}
	berlin := schemas.Network{Country: "DE", City: "Berlin", ASN: 64496, Located: true, Lat: 52.5244, Lon: 13.4105}
	cloud := berlin
	cloud.Hosting = true
	for a, want := range map[string]schemas.Network{
		"192.0.2.1":        berlin,
		"::ffff:192.0.2.1": berlin,
		"192.0.2.65":       cloud,
		"192.0.2.200":      {Country: "FR", ASN: 64496},
		"203.0.113.9":      {Hosting: true},
		"198.51.100.7":     {ASN: 64497, Hosting: true, VPN: true},
		"198.51.100.8":     {ASN: 64497, Hosting: true},
		"2001:db8::1":      {Country: "BR", City: "São Paulo", Located: true, Lat: -23.5475, Lon: -46.6361},
		"2001:db8:1::1":    {Country: "BR", City: "São Paulo", Located: true, Lat: -23.5475, Lon: -46.6361, VPN: true},
		"10.0.0.1":         {},
	} {
		for range 2 { // from the file, then from the cache
			if got := of(e, a); got != want {
				t.Errorf("%s is %+v, want %+v", a, got, want)
			}
		}
	}
	if n := e.Of(netip.Addr{}); n.Known() {
		t.Errorf("no address is %+v", n)
	}
	if lacks := e.Lacking(); len(lacks) != 0 {
		t.Errorf("with every kind of file it lacks %q", lacks)
	}
}

// An address below a prefix of the operator's own is looked up by the IPv4 address inside,
// with files and without.
func TestOwnNAT64(t *testing.T) {
	c := files(t)
	nat64, err := schemas.ParseNAT64([]string{"2001:db8:64::/96"})
	if err != nil {
		t.Fatal(err)
	}
	c.NAT64 = nat64
	e, err := New(c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	want := of(e, "198.51.100.7")
	if want.IPv4 = "198.51.100.7"; of(e, "2001:db8:64::198.51.100.7") != want || want.ASN == 0 {
		t.Errorf("%+v, want %+v", of(e, "2001:db8:64::198.51.100.7"), want)
	}
	alone, err := New(Config{NAT64: nat64}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if got := alone.Lookup()(netip.MustParseAddr("2001:db8:64::198.51.100.7")); got != (schemas.Network{IPv4: "198.51.100.7"}) {
		t.Errorf("without files: %+v", got)
	}
	for _, other := range []string{"198.51.100.7", "64:ff9b::198.51.100.7", "2001:db8:64:0:1::198.51.100.7", "2001:db8::1"} {
		if of(alone, other).Known() {
			t.Errorf("%s is %+v", other, of(alone, other))
		}
	}
}

// Without files nothing is known, nothing fails, and what is missed is said.
func TestWithoutFiles(t *testing.T) {
	e, err := New(Config{}, Deps{})
	if err != nil || of(e, "192.0.2.1").Known() || len(e.Lacking()) != len(Kinds()) {
		t.Errorf("%v, %+v, lacks %q", err, of(e, "192.0.2.1"), e.Lacking())
	}
	if of(nil, "192.0.2.1").Known() || (*Enricher)(nil).Lookup() != nil || e.Lookup() != nil {
		t.Error("there is something to look up")
	}
	c := files(t)
	c.ASN = ""
	if e, err = New(c, Deps{}); err != nil || len(e.Lacking()) != 2 || !strings.Contains(e.Lacking()[1], "autonomous systems") {
		t.Errorf("%v: lacks %q", err, e.Lacking())
	}
}

// What can be read works, what cannot is told, each file by its name.
func TestBrokenFilesAtTheStart(t *testing.T) {
	c := files(t)
	write(t, c.City, cities(t)[:1000])
	write(t, c.VPN[0], []byte("<html>"))
	if err := os.Remove(c.Hosting[0]); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e, err := New(c, Deps{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, name := range []string{c.City, c.VPN[0], c.Hosting[0]} {
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(log.String(), name) {
			t.Errorf("%s is not told: %v\n%s", name, err, log.String())
		}
	}
	if got, want := e.Lookup()(netip.MustParseAddr("192.0.2.65")), (schemas.Network{ASN: 64496, Hosting: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if lacks := e.Lacking(); len(lacks) != 2 {
		t.Errorf("lacks %q", lacks)
	}
}

// swap changes a file under a running Enricher and waits until that was looked at.
func swap(t *testing.T, c Config, path string, data []byte) {
	t.Helper()
	write(t, path, data)
	time.Sleep(3 * c.ReloadEvery) // the bubble's clock, not the wall's
	synctest.Wait()
}

func TestFilesAreReadAgain(t *testing.T) {
	c := files(t)
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		e, err := New(c, Deps{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		loaded := func(k Kind) float64 { return testutil.ToFloat64(e.metrics.loaded.WithLabelValues(string(k))) }
		failing := func(k Kind) float64 { return testutil.ToFloat64(e.metrics.failing.WithLabelValues(string(k))) }

		swap(t, c, c.Hosting[0], []byte("192.0.2.1\n"))
		if !of(e, "192.0.2.1").Hosting || of(e, "203.0.113.9").Hosting {
			t.Error("the new list is not in force alone")
		}
		other := mmdb(t, "Test-City", map[string]mmdbtype.Map{"192.0.2.0/24": city("PT", "Porto", 41.1496, -8.611)})
		swap(t, c, c.City, other)
		if n := of(e, "192.0.2.1"); n.City != "Porto" {
			t.Errorf("the new database gives %+v", n)
		}

		swap(t, c, c.City, other[:len(other)/2])
		swap(t, c, c.Hosting[0], []byte("192.0.2.1\nnonsense\n"))
		if n := of(e, "192.0.2.1"); n.City != "Porto" || !n.Hosting {
			t.Errorf("after broken files: %+v", n)
		}
		if loaded(KindCity) != 1 || failing(KindCity) != 1 || loaded(KindHosting) != 2 || failing(KindHosting) != 1 {
			t.Errorf("city: %v loaded, %v failing; hosting: %v, %v", loaded(KindCity), failing(KindCity), loaded(KindHosting), failing(KindHosting))
		}
		if !strings.Contains(log.String(), "stays in force") || !strings.Contains(log.String(), c.Hosting[0]+":2:") {
			t.Errorf("the log tells of no broken file:\n%s", log.String())
		}

		if err := os.Remove(c.ASN); err != nil {
			t.Fatal(err)
		}
		swap(t, c, c.City, cities(t))
		if n := of(e, "192.0.2.1"); n.City != "Berlin" || n.ASN != 64496 || failing(KindCity) != 0 || failing(KindASN) != 1 {
			t.Errorf("after one file was fixed and one removed: %+v, %v and %v failing", n, failing(KindCity), failing(KindASN))
		}
		reads := testutil.ToFloat64(e.metrics.loads.WithLabelValues("asn", "failed"))
		time.Sleep(100 * c.ReloadEvery)
		if again := testutil.ToFloat64(e.metrics.loads.WithLabelValues("asn", "failed")); again != reads {
			t.Errorf("a file that did not change was read %v times", again-reads)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Whoever asks while files change hears one file's word or the other's, never half.
func TestAskingWhileFilesChange(t *testing.T) {
	c := files(t)
	e, err := New(c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	other := mmdb(t, "Test-City", map[string]mmdbtype.Map{"192.0.2.0/24": city("PT", "Porto", 41.1496, -8.611)})
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if n := of(e, "192.0.2.1"); !slices.Contains([]string{"DE Berlin", "PT Porto"}, n.Country+" "+n.City) {
					t.Errorf("%+v", n)
					return
				}
			}
		})
	}
	for i := range 20 {
		data := other
		if i%2 == 1 {
			data = cities(t)
		}
		write(t, c.City, data)
		e.look()
		e.look()
	}
	close(done)
	wg.Wait()
}

func BenchmarkOf(b *testing.B) {
	e, err := New(files(b), Deps{})
	if err != nil {
		b.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.65")
	if n := testing.AllocsPerRun(100, func() { e.Of(a) }); n != 0 {
		b.Errorf("%v allocations", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Of(a)
	}
}
