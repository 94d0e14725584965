package enrich

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"
)

// mmdb writes a database that holds a record for each network.
func mmdb(tb testing.TB, typ string, records map[string]mmdbtype.Map) []byte {
	tb.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: typ, RecordSize: 24, IncludeReservedNetworks: true, BuildEpoch: 1772413323})
	if err != nil {
		tb.Fatal(err)
	}
	for network, record := range records {
		if err := w.Insert(netipx.PrefixIPNet(netip.MustParsePrefix(network)), record); err != nil {
			tb.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func city(code, name string, lat, lon float64) mmdbtype.Map {
	return mmdbtype.Map{
		"country":  mmdbtype.Map{"iso_code": mmdbtype.String(code), "geoname_id": mmdbtype.Uint32(7)},
		"city":     mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name), "fr": mmdbtype.String("autre")}},
		"location": mmdbtype.Map{"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon), "time_zone": mmdbtype.String("Etc/UTC")},
	}
}

func cities(tb testing.TB) []byte {
	return mmdb(tb, "Test-City", map[string]mmdbtype.Map{
		"192.0.2.0/25":   city("DE", "Berlin", 52.52437, 13.41053),
		"192.0.2.128/25": {"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("FR")}},
		"2001:db8::/32":  city("BR", "São Paulo", -23.5475, -46.63611),
	})
}

func systems(tb testing.TB) []byte {
	return mmdb(tb, "Test-ASN", map[string]mmdbtype.Map{
		"192.0.2.0/24":    {"autonomous_system_number": mmdbtype.Uint32(64496), "autonomous_system_organization": mmdbtype.String("One")},
		"198.51.100.0/24": {"autonomous_system_number": mmdbtype.Uint32(64497)},
	})
}

// write puts a file in its place at once, as one should, with a time of its own.
func write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		tb.Fatal(err)
	}
}

// files returns a configuration with a valid file of each kind.
func files(tb testing.TB) Config {
	dir := tb.TempDir()
	c := Config{
		Hosting: []string{filepath.Join(dir, "hosting.txt"), filepath.Join(dir, "cloud.json")}, VPN: []string{filepath.Join(dir, "vpn.csv")},
		City: filepath.Join(dir, "city.mmdb"), ASN: filepath.Join(dir, "asn.mmdb"), ReloadEvery: time.Second,
	}
	write(tb, c.Hosting[0], []byte("# data centres\n203.0.113.0/24 ; one\nAS64497\n"))
	write(tb, c.Hosting[1], []byte(`{"syncToken":"1","prefixes":[{"ip_prefix":"192.0.2.64/26","region":"x"}]}`))
	write(tb, c.VPN[0], []byte("provider,cidr\nacme,198.51.100.7/32\nacme,2001:db8:1::/48\n"))
	write(tb, c.City, cities(tb))
	write(tb, c.ASN, systems(tb))
	return c
}
