package app

import (
	"context"
	"sync"
	"time"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// followed are the topics of which the API keeps a copy.
var followed = []schemas.Topic{schemas.TopicPeople, schemas.TopicStatus, schemas.TopicCasebook, schemas.TopicIncidents, schemas.TopicOperator, schemas.TopicEnforced}

// apiFeed reads the topics that the API's copies are made of, from their beginning.
type apiFeed struct {
	client   *kafka.Client
	prefix   string
	enforced func(kafka.Record) // takes the records of the topic enforced

	mu    sync.Mutex
	at    map[kafka.TopicPartition]int64
	moved chan struct{} // closed when at has changed
}

func newAPIFeed(client *kafka.Client, cfg *config.Config) *apiFeed {
	return &apiFeed{client: client, prefix: cfg.Kafka.Prefix, at: map[kafka.TopicPartition]int64{}, moved: make(chan struct{})}
}

// Follow hands over every record. A log whose beginning has moved is read from there on.
func (f *apiFeed) Follow(ctx context.Context, each func(api.Record), whole func()) error {
	var tps []kafka.TopicPartition
	of := map[string]schemas.Topic{}
	for _, t := range followed {
		name := f.prefix + string(t)
		of[name] = t
		n, err := f.client.Partitions(ctx, name)
		if err != nil {
			return err
		}
		for p := range int32(n) {
			tps = append(tps, kafka.TopicPartition{Topic: name, Partition: p})
		}
	}
	ranges, err := f.client.Offsets(ctx, tps)
	if err != nil {
		return err
	}
	positions := make([]kafka.Position, len(tps))
	for i, tp := range tps {
		positions[i] = kafka.Position{TopicPartition: tp, Offset: ranges[tp].Start}
	}
	complete := false
	for {
		if !complete {
			complete = true
			for _, p := range positions {
				complete = complete && p.Offset >= ranges[p.TopicPartition].End
			}
			if complete {
				whole()
			}
		}
		got, err := f.client.Fetch(ctx, positions, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 8 << 20})
		if err != nil {
			return err
		}
		for i, p := range got {
			if p.Err != nil {
				return p.Err
			}
			for _, r := range p.Records {
				switch {
				case header(r, schemas.HeaderKind) == string(schemas.KindFence):
				case of[p.Topic] == schemas.TopicEnforced:
					f.enforced(r)
				default:
					each(api.Record{Topic: of[p.Topic], Key: string(r.Key), ID: header(r, schemas.HeaderID), Value: r.Value})
				}
			}
			positions[i].Offset = p.Next
		}
		f.reached(positions)
	}
}

func (f *apiFeed) reached(positions []kafka.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := false
	for _, p := range positions {
		if f.at[p.TopicPartition] != p.Offset {
			f.at[p.TopicPartition], changed = p.Offset, true
		}
	}
	if changed {
		close(f.moved)
		f.moved = make(chan struct{})
	}
}

// Sync waits until everything that stands now about an entity was handed over.
func (f *apiFeed) Sync(ctx context.Context, e schemas.Entity) error {
	var tps []kafka.TopicPartition
	for _, t := range []schemas.Topic{schemas.TopicStatus, schemas.TopicCasebook, schemas.TopicIncidents, schemas.TopicOperator} {
		name := f.prefix + string(t)
		n, err := f.client.Partitions(ctx, name)
		if err != nil {
			return err
		}
		tps = append(tps, kafka.TopicPartition{Topic: name, Partition: kafka.Partition([]byte(e.Key()), n)})
	}
	ranges, err := f.client.Offsets(ctx, tps)
	if err != nil {
		return err
	}
	for {
		f.mu.Lock()
		there, moved := true, f.moved
		for _, tp := range tps {
			there = there && f.at[tp] >= ranges[tp].End
		}
		f.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}
