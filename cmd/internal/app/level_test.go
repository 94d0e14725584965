package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// member joins a role's group under a name until the test ends it.
func member(t *testing.T, c *kafka.Client, prefix, name string, lanes int) (leave func()) {
	t.Helper()
	role := lane.Detect()
	g, err := c.Join(t.Context(), kafka.GroupConfig{ID: prefix + role.Name, Topics: []string{prefix + string(schemas.TopicEvents)}, Lanes: lanes, ClientID: name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g.Close
}

// An installation that the first release made writes what that release reads until
// somebody finishes its upgrade, which is refused while a process of that release runs.
func TestUpgradeIsFinishedByAPerson(t *testing.T) {
	c, cfg := created(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := FinishUpgrade(ctx, c, cfg, "ann", "x"); !errors.Is(err, ErrNoInstallation) {
		t.Errorf("without an installation: %v", err)
	}
	if err := writeControl(ctx, c, cfg, schemas.ControlInstallation, schemas.Installation{ID: "old", Lanes: cfg.Kafka.Lanes, HashSecret: make([]byte, 32)}, "holdfast", "the first release"); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureInstallation(ctx, c, cfg); err != nil {
		t.Fatal(err)
	}
	if level, err := ReadLevel(ctx, c, cfg); err != nil || level != schemas.LevelLayouts {
		t.Fatalf("the first release's installation has level %d, %v", level, err)
	}
	leave := member(t, c, cfg.Kafka.Prefix, "holdfast", cfg.Kafka.Lanes) // as the first release names itself
	u, err := FinishUpgrade(ctx, c, cfg, "ann", "x")
	if !errors.Is(err, ErrOlderMembers) || !strings.Contains(err.Error(), "detect") || len(u.Changes) == 0 {
		t.Errorf("with an old member: %+v, %v", u, err)
	}
	leave()
	leave = member(t, c, cfg.Kafka.Prefix, schemas.LevelNewest.Member(), cfg.Kafka.Lanes)
	defer leave()
	before := operatorRecords(t, c, cfg)
	if u, err := FinishUpgrade(ctx, c, cfg, "ann", "all are new"); err != nil || u.Level != schemas.LevelLayouts || len(u.Members) != 1 || len(u.Older()) != 0 {
		t.Fatalf("%+v, %v", u, err)
	}
	if level, err := ReadLevel(ctx, c, cfg); err != nil || level != schemas.LevelNewest {
		t.Errorf("after it the level is %d, %v", level, err)
	}
	if u, err := FinishUpgrade(ctx, c, cfg, "ann", "again"); err != nil || len(u.Changes) != 0 || operatorRecords(t, c, cfg) != before+1 {
		t.Errorf("the second time: %+v, %v", u, err)
	}
}

func TestNewInstallationBeginsAtTheNewestLevel(t *testing.T) {
	c, cfg := created(t)
	if _, err := EnsureInstallation(t.Context(), c, cfg); err != nil {
		t.Fatal(err)
	}
	if level, err := ReadLevel(t.Context(), c, cfg); err != nil || level != schemas.LevelNewest {
		t.Errorf("its level is %d, %v", level, err)
	}
}

func TestReadyzNamesLanesThatDoNotWork(t *testing.T) {
	if lines := unready(lane.Health{Role: "gate", Joined: true, Assigned: 1}); len(lines) != 0 {
		t.Errorf("all work: %q", lines)
	}
	lines := strings.Join(append(unready(lane.Health{Role: "respond"}),
		unready(lane.Health{Role: "detect", Joined: true, Assigned: 4, Idle: []lane.Idle{{Lane: 3, Since: time.Now(), Err: errors.New("its state is unreadable")}}})...), "\n")
	for _, want := range []string{"role detect: lane 3", "its state is unreadable", "role respond has no lanes"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q lacks %q", lines, want)
		}
	}
}
