package app

import (
	"context"
	"fmt"
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

// A file's first numbers hold from when they were set, and without them the defaults
// hold again; what has been keeps what it was judged by.
func TestNumbersComeIntoForceLater(t *testing.T) {
	c, cfg := created(t)
	cfg.Respond.PoliciesFile = filepath.Join(t.TempDir(), "policies.yaml")
	floor := func(n int) string { return fmt.Sprintf("parameters: {volume: {floor_1h: %d}}", n) }
	for i, numbers := range []string{"parameters: {}", floor(80), floor(80), floor(90), "parameters: {}", "parameters: {}"} {
		file := strings.Replace(string(policy.DefaultFile()), "parameters: {}", numbers, 1)
		if err := os.WriteFile(cfg.Respond.PoliciesFile, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := EnsureVersions(t.Context(), c, cfg); err != nil {
			t.Fatal(i, err)
		}
	}
	var got []string
	v := versions(t, c, cfg, schemas.ControlParameters)
	for i, x := range v.Versions {
		got = append(got, string(x.Value))
		if old := x.From.Before(time.UnixMilli(schemas.EarliestTime).Add(time.Hour)); old != (i == 0) {
			t.Errorf("version %d holds from %s", i, x.From)
		}
	}
	if want := []string{"{}", `{"volume":{"floor_1h":80}}`, `{"volume":{"floor_1h":90}}`, "{}"}; !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
}

// Every mistake in a file's numbers is told with its line.
func TestMistakesInNumbers(t *testing.T) {
	const file = `parameters:
  volume:
    floor_1h: 80
    flour_1h: 80
    rarity: 2
  volumes:
    floor_1h: 80
  cohorts:
    free: 0
    scale: 5000
policies:
  - {name: review, entity: account, verdict: review, when: severity >= high}
`
	name := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := ReadPolicies(name)
	for _, want := range []string{`:4: parameters: volume has no parameter "flour_1h"`, ":5: parameters: volume.rarity is 2, not", `:7: parameters: there is no detector "volumes"`, ":9: parameters: cohorts.free is 0"} {
		if err == nil || !strings.Contains(err.Error(), name+want) {
			t.Errorf("%v does not say %s%s", err, name, want)
		}
	}
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != 4 {
		t.Errorf("%d mistakes, want 4: %v", n, err)
	}
	twofold := filepath.Join(t.TempDir(), "twofold.yaml") // what is no policy hides no number
	if err := os.WriteFile(twofold, []byte(strings.Replace(file, "review, when", "reviewed, when", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadPolicies(twofold); strings.Count(fmt.Sprint(err), "\n")+1 != 5 || !strings.Contains(fmt.Sprint(err), "reviewed") {
		t.Errorf("not all five mistakes: %v", err)
	}
	cfg := testConfig(t, t.TempDir())
	cfg.Respond.PoliciesFile = name
	if errs := CheckParts(&cfg, config.Places{}); len(errs) != 1 || !strings.Contains(errs[0].Error(), ":4: ") {
		t.Errorf("the check of the configuration says: %v", errs)
	}
	set, err := policy.Parse("numbers", []byte("parameters: {cohorts: {scale: 5000}, volume: {floor_1h: 80}}\n"+file[strings.Index(file, "policies:"):]))
	if err != nil {
		t.Fatal(err)
	}
	if params, err := Parameters("numbers", set); err != nil || string(params) != `{"cohorts":{"scale":5000},"volume":{"floor_1h":80}}` {
		t.Errorf("detect is given %s (%v)", params, err)
	}
}

// What a file has in shadow is checked as its live numbers are, comes into force as
// late as they do, keeps its beginning however often its numbers change, and ends.
func TestTrialComesIntoForceLater(t *testing.T) {
	c, cfg := created(t)
	cfg.Respond.PoliciesFile = filepath.Join(t.TempDir(), "policies.yaml")
	shadow := func(name string, n int) string {
		return fmt.Sprintf("shadow: {name: %s, parameters: {volume: {floor_1h: %d}}}", name, n)
	}
	write := func(block string) {
		if err := os.WriteFile(cfg.Respond.PoliciesFile, append([]byte(block+"\n"), policy.DefaultFile()...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for i, block := range []string{"", shadow("low", 40), shadow("low", 40), shadow("low", 30), shadow("lower", 20), "", ""} {
		write(block)
		if err := EnsureVersions(t.Context(), c, cfg); err != nil {
			t.Fatal(i, err)
		}
	}
	runs, err := schemas.TrialRuns(mustJSON(t, versions(t, c, cfg, schemas.ControlTrial)))
	if err != nil || len(runs) != 2 || runs[0].Name != "low" || runs[1].Name != "lower" {
		t.Fatalf("%+v, %v", runs, err)
	}
	for _, r := range runs {
		if r.From.Before(began.Add(schemas.ControlDelay)) || r.Until.Before(r.From) {
			t.Errorf("the trial %s runs from %s to %s", r.Name, r.From, r.Until)
		}
	}
	if n := len(runs[0].Numbers.Versions); n != 2 || string(runs[0].Numbers.Versions[1].Value) != `{"volume":{"floor_1h":30}}` {
		t.Errorf("%d versions of the first trial's numbers: %s", n, runs[0].Numbers.Versions)
	}
	var v schemas.Versioned
	for i := range 3 * maxVersions {
		if !grow(&v, []byte(fmt.Sprintf(`{"name":"long","parameters":{"volume":{"floor_1h":%d}}}`, 40+i)), true, began.Add(time.Duration(i)*time.Hour)) {
			t.Fatal("another number is no change")
		}
	}
	if runs, err = schemas.TrialRuns(mustJSON(t, v)); err != nil || len(runs) != 1 || runs[0].From.After(began.Add(time.Hour)) {
		t.Errorf("a trial whose numbers change often begins anew: %+v, %v", runs, err)
	}
	write("shadow: {name: low, parameters: {volume: {flour_1h: 40},\n  cohorts: {free: 0}}}")
	_, _, err = ReadPolicies(cfg.Respond.PoliciesFile)
	if n := strings.Count(fmt.Sprint(err), "parameters: "); n != 2 || !strings.Contains(err.Error(), `no parameter "flour_1h"`) {
		t.Errorf("two mistakes: %v", err)
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
