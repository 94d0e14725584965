package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// cluster is a fresh broker's client, and the configuration that names it.
func cluster(t *testing.T) (*kafka.Client, *config.Config) {
	t.Helper()
	cfg := testConfig(t, t.TempDir())
	cfg.Kafka.Brokers = kafkatest.Embedded(t)
	c, err := kafka.New(kafka.Config{Brokers: cfg.Kafka.Brokers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, &cfg
}

func created(t *testing.T) (*kafka.Client, *config.Config) {
	t.Helper()
	c, cfg := cluster(t)
	if err := CreateTopics(t.Context(), c, cfg); err != nil {
		t.Fatal(err)
	}
	return c, cfg
}

func TestTopicsAreCreatedAsTheyAreChecked(t *testing.T) {
	c, cfg := cluster(t)
	diffs, err := CheckTopics(t.Context(), c, cfg)
	if err != nil || len(diffs) != len(schemas.Topics()) || !diffs[0].Fatal {
		t.Fatalf("before they are there: %v, %v", diffs, err)
	}
	for range 2 { // the second time changes nothing
		if err := CreateTopics(t.Context(), c, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if diffs, err := CheckTopics(t.Context(), c, cfg); err != nil || len(diffs) > 0 {
		t.Errorf("right after creation they differ: %v, %v", diffs, err)
	}
	cfg.Kafka.Lanes = 5
	diffs, err = CheckTopics(t.Context(), c, cfg)
	if err != nil || !slices.ContainsFunc(diffs, func(d Difference) bool { return d.Fatal && d.Topic == "holdfast.events" }) {
		t.Errorf("with another number of lanes: %v, %v", diffs, err)
	}
	if slices.ContainsFunc(diffs, func(d Difference) bool { return d.Topic == "holdfast.control" }) {
		t.Errorf("control has one partition, whatever the lanes: %v", diffs)
	}
}

func TestInstallationIsWrittenOnce(t *testing.T) {
	c, cfg := created(t)
	first, err := EnsureInstallation(t.Context(), c, cfg)
	if err != nil || first.Lanes != 2 || len(first.HashSecret) != 32 || first.LogID == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := EnsureInstallation(t.Context(), c, cfg)
	if err != nil || again.ID != first.ID || string(again.HashSecret) != string(first.HashSecret) {
		t.Errorf("%+v became %+v (%v)", first, again, err)
	}
	cfg.Kafka.Lanes = 3
	if _, err := EnsureInstallation(t.Context(), c, cfg); err == nil || !strings.Contains(err.Error(), "2 lanes") {
		t.Errorf("another number of lanes: %v", err)
	}
}

func versions(t *testing.T, c *kafka.Client, cfg *config.Config, key string) schemas.Versioned {
	t.Helper()
	all, err := lastValues(t.Context(), c, cfg.Kafka.Prefix+string(schemas.TopicControl), []int32{0}, func(k string) bool { return k == key })
	if err != nil {
		t.Fatal(err)
	}
	var v schemas.Versioned
	if err := json.Unmarshal(all[key], &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The first policies hold from the beginning, later ones not before every window
// that has begun is over; each change is a person's record.
func TestPoliciesComeIntoForceLater(t *testing.T) {
	c, cfg := created(t)
	for range 2 {
		if err := EnsureVersions(t.Context(), c, cfg); err != nil {
			t.Fatal(err)
		}
	}
	first := versions(t, c, cfg, schemas.ControlPolicies)
	if len(first.Versions) != 1 || first.Versions[0].From.After(time.UnixMilli(schemas.EarliestTime)) {
		t.Fatalf("%d versions, the first from %v", len(first.Versions), first.Versions[0].From)
	}
	cfg.Respond.PoliciesFile = filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(cfg.Respond.PoliciesFile, append(policy.DefaultFile(), "# another\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := EnsureVersions(t.Context(), c, cfg); err != nil {
		t.Fatal(err)
	}
	second := versions(t, c, cfg, schemas.ControlPolicies)
	if len(second.Versions) != 2 || second.Versions[1].From.Before(before.Add(schemas.ControlDelay)) {
		t.Errorf("%d versions, the last from %v", len(second.Versions), second.Versions[len(second.Versions)-1].From)
	}
	if _, err := policy.ParseVersions(mustJSON(t, second)); err != nil {
		t.Errorf("respond cannot read them: %v", err)
	}
	if n := operatorRecords(t, c, cfg); n != 2 {
		t.Errorf("%d operator records tell of 2 changes", n)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func operatorRecords(t *testing.T, c *kafka.Client, cfg *config.Config) (n int) {
	t.Helper()
	for p := range int32(cfg.Kafka.Lanes) {
		tp := kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicOperator), Partition: p}
		err := readToEnd(t.Context(), c, tp, 0, func(r kafka.Record) error {
			var op schemas.Operator
			if err := json.Unmarshal(r.Value, &op); err != nil {
				return err
			}
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// A request without anybody to carry it out says so, instead of waiting for ever.
func TestAskWithoutRespond(t *testing.T) {
	c, cfg := created(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := Ask(ctx, c, cfg, schemas.Request{Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "a"}, Act: "suspend", Why: "x", Actor: "y"})
	if err == nil || !strings.Contains(err.Error(), "role respond") {
		t.Errorf("asked into the void: %v", err)
	}
}

func TestStatusOfWhomNobodyKnows(t *testing.T) {
	c, cfg := created(t)
	s, known, err := ReadStatus(t.Context(), c, cfg, schemas.Entity{Kind: schemas.KindAccount, ID: "a"})
	if err != nil || known || s.Status != "active" {
		t.Errorf("%+v, %v, %v", s, known, err)
	}
}
