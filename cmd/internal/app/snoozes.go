package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Snooze is a time for which no signal of an entity is answered.
type Snooze struct {
	Entity schemas.Entity `json:"entity"`
	Since  time.Time      `json:"since"`
	Until  time.Time      `json:"until,omitzero"` // zero where an earlier version did not write it down
	By     string         `json:"by"`
	Why    string         `json:"why"`
}

// ReadSnoozes lists the snoozes that hold at now, those that end first in front. They
// follow from the operator topic, which keeps its records longer than any snooze lasts.
func ReadSnoozes(ctx context.Context, c *kafka.Client, cfg *config.Config, now time.Time) ([]Snooze, error) {
	topic := cfg.Kafka.Prefix + string(schemas.TopicOperator)
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	holds := map[schemas.Entity]Snooze{}
	for p := range int32(n) {
		err := readToEnd(ctx, c, kafka.TopicPartition{Topic: topic, Partition: p}, 0, func(r kafka.Record) error {
			var op schemas.Operator
			if json.Unmarshal(r.Value, &op) != nil || op.Refused != "" {
				return nil //nolint:nilerr // what cannot be read is passed over
			}
			switch op.Act {
			case "snooze":
				holds[op.Entity] = Snooze{op.Entity, op.Time, op.Until, op.Actor, op.Why}
			case "unsnooze":
				delete(holds, op.Entity)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var out []Snooze
	for _, z := range holds {
		if z.Until.IsZero() || z.Until.After(now) {
			out = append(out, z)
		}
	}
	slices.SortFunc(out, func(a, b Snooze) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Entity.Key(), b.Entity.Key()))
	})
	return out, nil
}
