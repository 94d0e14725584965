package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/gateway"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// enriched names files that know 192.0.2.0/24.
func enriched(t *testing.T, cfg *config.Config) {
	t.Helper()
	dir := t.TempDir()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-City", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	record := mmdbtype.Map{
		"country":  mmdbtype.Map{"iso_code": mmdbtype.String("BR")},
		"city":     mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("São Paulo")}},
		"location": mmdbtype.Map{"latitude": mmdbtype.Float64(-23.5475), "longitude": mmdbtype.Float64(-46.6361)},
	}
	if err := w.Insert(netipx.PrefixIPNet(netip.MustParsePrefix("192.0.2.0/24")), record); err != nil {
		t.Fatal(err)
	}
	cfg.Enrichment.CityFile = filepath.Join(dir, "city.mmdb")
	f, err := os.Create(cfg.Enrichment.CityFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	cfg.Enrichment.HostingFiles = []string{filepath.Join(dir, "hosting.txt")}
	if err := os.WriteFile(cfg.Enrichment.HostingFiles[0], []byte("192.0.2.0/25\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the files know of an address when its event comes in is in the event's row, and
// a replay of the rows is given it.
func TestFromAddressToRow(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t, t.TempDir())
	enriched(t, &cfg)
	sum := sha256.Sum256([]byte(testToken))
	cfg.Intake.HTTP.Listen, cfg.Intake.HTTP.Tokens = "127.0.0.1:0", []config.Token{{Name: "test", SHA256: hex.EncodeToString(sum[:])}}
	a, stop := launch(t, cfg, Options{})
	defer stop()
	cfg = a.Config()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	begin := time.Now().UTC().Truncate(time.Millisecond)
	var body strings.Builder
	for i, ip := range []string{"192.0.2.1", "192.0.2.129", "198.51.100.1"} {
		fmt.Fprintf(&body, `{"id":"%c","type":"login","account":"acct-1","user":"u","outcome":"success","time":"%s","ip":"%s","net":"cc=FR"}`+"\n", 'a'+i, begin.Format(time.RFC3339Nano), ip)
	}
	post(t, "http://"+a.Endpoints().Intake+gateway.Path, body.String())
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	within(t, time.Minute, "the events are not all rows", func() bool {
		var n, of uint64
		err := store.QueryRow(ctx, "SELECT countIf(country = 'BR' AND city = 'São Paulo' AND hosting), count() FROM events").Scan(&n, &of)
		return err == nil && n == 1 && of == 3
	})
	there := schemas.Network{Country: "BR", City: "São Paulo", Located: true, Lat: -23.5475, Lon: -46.6361}
	hosted := there
	hosted.Hosting = true
	want := map[string]schemas.Network{"a": hosted, "b": there, "c": {}}
	for r, err := range history.New(store).Events(ctx, begin.Add(-time.Minute), time.Now().Add(time.Minute)) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Network != want[r.Event.ID] {
			t.Errorf("event %s comes back with %+v, want %+v", r.Event.ID, r.Network, want[r.Event.ID])
		}
	}
	_, metrics := get(t, "http://"+a.Endpoints().Observability+"/metrics")
	for _, line := range []string{`holdfast_enrichment_loaded{kind="city"} 1`, `holdfast_enrichment_loaded{kind="hosting"} 1`, `holdfast_enrichment_loaded{kind="asn"} 0`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %q", line)
		}
	}
}

const testToken = "a token of a test's own"

// post sends events by HTTP.
func post(t *testing.T, url, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, b)
	}
}

// The configuration's check tells of every file that cannot be used.
func TestCheckPartsReadsEnrichment(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	enriched(t, &cfg)
	if errs := CheckParts(&cfg, config.Places{}); len(errs) != 0 {
		t.Errorf("sound files: %v", errs)
	}
	cfg.Enrichment.ASNFile, cfg.Enrichment.VPNFiles = cfg.Enrichment.HostingFiles[0], []string{"/does/not/exist"}
	errs := CheckParts(&cfg, config.Places{})
	if text := fmt.Sprint(errs); len(errs) != 2 || !strings.Contains(text, "enrichment.vpn_files[0]: ") || !strings.Contains(text, "no MMDB file") {
		t.Errorf("broken files: %v", errs)
	}
}
