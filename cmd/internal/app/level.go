package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// Upgrade is how far an installation's upgrade has come.
type Upgrade struct {
	Level   schemas.Level `json:"level"`  // what processes write
	Newest  schemas.Level `json:"newest"` // what this program can write
	Changes []string      `json:"changes,omitempty"`
	Members []LaneMember  `json:"members,omitempty"`
}

// LaneMember is a process in the group of a role with lanes.
type LaneMember struct {
	Role  string        `json:"role"`
	ID    string        `json:"id"`
	Host  string        `json:"host"`
	Level schemas.Level `json:"level"` // the newest that it can read
}

// Older are the members that cannot read what the newest level writes.
func (u Upgrade) Older() (out []LaneMember) {
	for _, m := range u.Members {
		if m.Level < u.Newest {
			out = append(out, m)
		}
	}
	return out
}

// levelChanges is what each level brings, for people.
var levelChanges = map[schemas.Level]string{
	schemas.LevelSections: "the state of detect, respond and the gate is written in sections: what newer versions remember is saved, and older sections are kept. " +
		"Processes of the first release refuse such state, and going back to it takes `holdfast rebuild`.",
}

// ReadLevel returns the installation's feature level, from control.
func ReadLevel(ctx context.Context, c *kafka.Client, cfg *config.Config) (schemas.Level, error) {
	all, err := lastValues(ctx, c, cfg.Kafka.Prefix+string(schemas.TopicControl), []int32{0}, func(k string) bool { return k == schemas.ControlLevel })
	if err != nil {
		return 0, err
	}
	return schemas.ParseLevel(all[schemas.ControlLevel])
}

// ReadUpgrade tells the installation's level, what the newest would change, and who is in
// the groups whose state depends on it.
func ReadUpgrade(ctx context.Context, c *kafka.Client, cfg *config.Config) (Upgrade, error) {
	level, err := ReadLevel(ctx, c, cfg)
	if err != nil {
		return Upgrade{}, err
	}
	u := Upgrade{Level: level, Newest: schemas.LevelNewest}
	for l := level + 1; l <= u.Newest; l++ {
		u.Changes = append(u.Changes, levelChanges[l])
	}
	for _, role := range []lane.Role{lane.Detect(), lane.Respond(), lane.Gate()} {
		members, err := c.Members(ctx, cfg.Kafka.Prefix+role.Name)
		if err != nil {
			return u, err
		}
		for _, m := range members {
			u.Members = append(u.Members, LaneMember{Role: role.Name, ID: m.ID, Host: m.Host, Level: schemas.LevelOfMember(m.ClientID)})
		}
	}
	return u, nil
}

// ErrOlderMembers says that processes of an older version still run.
var ErrOlderMembers = errors.New("processes of an older version are in the groups")

// FinishUpgrade raises the installation's level to the newest that this program knows. It
// is refused while an older process is in a group, which would stand still over what the
// others write from then on. There is no way back down.
func FinishUpgrade(ctx context.Context, c *kafka.Client, cfg *config.Config, actor, why string) (Upgrade, error) {
	if _, err := ReadInstallation(ctx, c, cfg); err != nil {
		return Upgrade{}, err
	}
	u, err := ReadUpgrade(ctx, c, cfg)
	if err != nil || u.Level == u.Newest {
		return u, err
	}
	if older := u.Older(); len(older) > 0 {
		var names []string
		for _, m := range older {
			names = append(names, fmt.Sprintf("%s at %s in %s", m.ID, m.Host, m.Role))
		}
		return u, fmt.Errorf("%w: %s: replace them by this version first", ErrOlderMembers, strings.Join(names, ", "))
	}
	return u, writeControl(ctx, c, cfg, schemas.ControlLevel, schemas.FeatureLevel{Level: u.Newest}, actor, why)
}
