package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "holdfast.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsStand(t *testing.T) {
	c, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.EmbeddedBroker() || !c.EmbeddedClickHouse() || c.Kafka.Lanes != 8 || c.Respond.AgeLimit.Duration() != 6*time.Hour || !c.Respond.Brake {
		t.Errorf("the defaults are %+v", c)
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	path := write(t, "kafka: {brokers: [a:9092], lanes: 12}\nrespond: {age_limit: 2h}\n")
	c, err := Load(path, []string{"HOLDFAST_KAFKA_BROKERS=b:1, c:2", "HOLDFAST_RESPOND_AGE_LIMIT=off", "OTHER=x"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Kafka.Brokers, []string{"b:1", "c:2"}) || c.Kafka.Lanes != 12 || c.Respond.AgeLimit != 0 {
		t.Errorf("kafka %+v, age limit %v", c.Kafka, c.Respond.AgeLimit)
	}
}

// What is set to nothing is no default.
func TestSetToNothing(t *testing.T) {
	path := write(t, "data_dir: \"\"\nkafka: {brokers: [a:1], replication: 0}\n")
	_, err := Load(path, nil)
	for _, want := range []string{":1: data_dir: is empty", ":2: kafka.replication: 0 copies"} {
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q is not reported once: %v", want, err)
		}
	}
	if _, err := Load("", []string{"HOLDFAST_KAFKA_REPLICATION=0", "HOLDFAST_DATA_DIR="}); err == nil || !strings.Contains(err.Error(), "0 copies") {
		t.Errorf("from the environment: %v", err)
	}
	if c, err := Load(write(t, "kafka: {brokers: [a:1]}\n"), nil); err != nil || c.Kafka.Replication != 3 {
		t.Errorf("left out: %d, %v", c.Kafka.Replication, err)
	}
}

// Every mistake is told at once, with its line.
func TestEveryMistakeIsTold(t *testing.T) {
	path := write(t, `kafka:
  brokrs: [a:1]
  lanes: many
clickhouse:
  addr: [nope]
respond:
  age_limit: soon
enforce:
  webhook: {secret_file: /does/not/exist}
`)
	_, err := Load(path, []string{"HOLDFAST_KAFKA_LANE=3"})
	if err == nil {
		t.Fatal("was accepted")
	}
	for _, want := range []string{":2: kafka.brokrs", "did you mean brokers", ":3: kafka.lanes", ":7: respond.age_limit", ":9: enforce.webhook.secret_file", "HOLDFAST_KAFKA_LANE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	var m *Mistake
	if !errors.As(err, &m) {
		t.Errorf("%T holds no Mistake", err)
	}
}

// What is printed can be read again and means the same, and shows no secret.
func TestPrintedConfigurationIsComplete(t *testing.T) {
	path := write(t, "kafka:\n  brokers: [a:9092]\n  sasl: {mechanism: PLAIN, user: u, password: very-secret}\nclickhouse: {ttl: {events: 90d}}\n")
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Print()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "very-secret") {
		t.Errorf("a secret is printed:\n%s", out)
	}
	again, err := Load(write(t, strings.ReplaceAll(string(out), Masked, "very-secret")), nil)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := again.Print()
	if err != nil {
		t.Fatal(err)
	}
	if string(twice) != string(out) {
		t.Errorf("printed:\n%s\nread and printed again:\n%s", out, twice)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("kafka: {lanes: 3}")
	f.Add("a: &a [*a]")
	f.Add("intake: {platform: [{mapping: {x: [1, 2]}}]}")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Skip(err)
		}
		if c, err := Load(path, nil); err == nil {
			if _, err := c.Print(); err != nil {
				t.Errorf("was accepted and cannot be printed: %v", err)
			}
		}
	})
}
