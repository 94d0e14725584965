package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v4"
)

// What is printed can be used as a configuration, and gives the same one.
func TestPrintedConfigurationReadsBack(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := Load(write(t, `
kafka: {brokers: ["a:1", "b:2"], lanes: 16, sasl: {mechanism: PLAIN, user: "me: #1", password_file: `+secret+`}}
clickhouse: {addr: ["c:9000"], ttl: {events: 90d, decisions: off}}
intake:
  http: {listen: ":8080", tokens: [{name: mailer, token_file: `+secret+`, types: [send, delivery]}]}
  platform: [{name: mta, topics: [mail], mapping: {type: send, fields: {account: customer}}}]
respond: {age_limit: 90m, brake: false}
enforce: {give_up: 1m30s}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := first.Print()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, string(out)), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() == nodeType }, cmp.Ignore())
	if d := cmp.Diff(first, again, ignore, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	var mapping map[string]any
	if err := again.Intake.Platform[0].Mapping.Decode(&mapping); err != nil || mapping["type"] != "send" {
		t.Errorf("the mapping became %v (%v)", mapping, err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := Default()
	c.ClickHouse.Password, c.Kafka.SASL.Password, c.Enforce.Webhook.URL = "hush-1", "hush-2", "https://x.example/?key=hush-3"
	out, err := c.Print()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "hush") || strings.Count(string(out), Masked) != 3 {
		t.Errorf("printed:\n%s", out)
	}
	var v map[string]any
	if err := yaml.Unmarshal(out, &v); err != nil {
		t.Error(err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "48h": 48 * time.Hour, "10m": 10 * time.Minute} {
		d, err := ParseDuration(text)
		if err != nil || d != want {
			t.Errorf("%s is %v (%v)", text, d, err)
		}
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Errorf("%v is written as %s and read as %v (%v)", d, FormatDuration(d), back, err)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "5", "d", "99999999d"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q was taken for %v", text, d)
		}
	}
}
