package app

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/alerting/gate"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Actor names the person at the keyboard.
func Actor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// Ask hands a person's request to the entity's respond lane, or, for an act of the
// gate, to the gate, and waits until the operator record says what came of it. A request
// without an id and a time gets them.
func Ask(ctx context.Context, c *kafka.Client, cfg *config.Config, r schemas.Request) (schemas.Operator, error) {
	lanes, err := c.Partitions(ctx, cfg.Kafka.Prefix+string(schemas.TopicInbox))
	if err != nil {
		return schemas.Operator{}, err
	}
	if r.ID == "" {
		r.ID = "req_" + ulid.Make().String()
	}
	if r.Time.IsZero() {
		r.Time = time.Now().UTC().Truncate(time.Millisecond)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return schemas.Operator{}, err
	}
	topic, key, n := schemas.TopicInbox, r.Entity.Key(), lanes
	operatorKey := key
	if r.Act == gate.ActRelease {
		topic, key, n, operatorKey = schemas.TopicProposals, gate.Key, 1, gate.Key
	}
	at := kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicOperator), Partition: kafka.Partition([]byte(operatorKey), lanes)}
	before, err := c.Offsets(ctx, []kafka.TopicPartition{at})
	if err != nil {
		return schemas.Operator{}, err
	}
	if err := writeKeyed(ctx, c, cfg.Kafka.Prefix, n, topic, schemas.KindRequest, r.ID, key, b); err != nil {
		return schemas.Operator{}, err
	}
	return awaitOperator(ctx, c, kafka.Position{TopicPartition: at, Offset: before[at].End}, schemas.DeriveID("opr", r.ID))
}

func awaitOperator(ctx context.Context, c *kafka.Client, at kafka.Position, id string) (schemas.Operator, error) {
	for {
		got, err := c.Fetch(ctx, []kafka.Position{at}, kafka.FetchOptions{MaxWait: time.Second})
		if ctx.Err() != nil {
			return schemas.Operator{}, fmt.Errorf("the request was written, but no answer came: is a process with the role respond running? (%w)", ctx.Err())
		}
		if err == nil {
			err = got[0].Err
		}
		if err != nil {
			if !kafka.Retriable(err) {
				return schemas.Operator{}, fmt.Errorf("wait for the answer: %w", err)
			}
			_ = pause(ctx, 100*time.Millisecond) // the end of ctx is told above
			continue
		}
		at.Offset = got[0].Next
		i := slices.IndexFunc(got[0].Records, func(r kafka.Record) bool { return header(r, schemas.HeaderID) == id })
		if i < 0 {
			continue
		}
		var op schemas.Operator
		if err := json.Unmarshal(got[0].Records[i].Value, &op); err != nil {
			return op, fmt.Errorf("read the answer: %w", err)
		}
		return op, nil
	}
}

// ReadStatus returns an entity's standing from the status topic. It needs neither
// the audit store nor any role to be running; ok is false where nothing was ever
// decided.
func ReadStatus(ctx context.Context, c *kafka.Client, cfg *config.Config, e schemas.Entity) (s schemas.Status, ok bool, err error) {
	topic := cfg.Kafka.Prefix + string(schemas.TopicStatus)
	lanes, err := c.Partitions(ctx, topic)
	if err != nil {
		return s, false, err
	}
	key := e.Key()
	all, err := lastValues(ctx, c, topic, []int32{kafka.Partition([]byte(key), lanes)}, func(k string) bool { return k == key })
	if err != nil {
		return s, false, err
	}
	b, ok := all[key]
	if !ok {
		return schemas.Status{Entity: e, Status: "active"}, false, nil
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, false, fmt.Errorf("read the status of %s: %w", key, err)
	}
	return s, true, nil
}
