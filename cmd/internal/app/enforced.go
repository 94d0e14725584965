package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// enforcedStore keeps enforcement's states on their compacted topic. Each partition is
// written under a producer's epoch, which a new owner takes and fences before it reads, so
// that an owner which was paused and wakes changes nothing.
type enforcedStore struct {
	e       *enforcement
	from    []kafka.Position // where reading of decisions goes on, a partition each
	writers map[int32]*epoch
}

// epoch writes one partition in sequence.
type epoch struct {
	at       kafka.TopicPartition
	producer kafka.Producer
	sequence int32
}

func (w *epoch) write(ctx context.Context, c *kafka.Client, records []kafka.Record) error {
	_, err := c.Produce(ctx, w.at, w.producer, w.sequence, records)
	if errors.Is(err, kafka.ErrFenced) || errors.Is(err, kafka.ErrSequence) {
		return fmt.Errorf("%w: %w", enforce.ErrLost, err)
	}
	if err == nil {
		w.sequence = kafka.NextSequence(w.sequence, len(records))
	}
	return err
}

// Load takes the partitions over and reads what is kept of them, then what the status topic
// has beyond that: statuses that an earlier version decided and may not have carried out.
func (s *enforcedStore) Load(ctx context.Context, each func(partition int32, x *enforce.State)) error {
	s.writers = map[int32]*epoch{}
	for _, at := range s.from {
		known, err := s.take(ctx, at.Partition, each)
		if err != nil {
			return err
		}
		if err := s.before(ctx, at, known, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *enforcedStore) take(ctx context.Context, p int32, each func(int32, *enforce.State)) (map[string]enforce.Mark, error) {
	w := &epoch{at: kafka.TopicPartition{Topic: s.e.prefix + string(schemas.TopicEnforced), Partition: p}}
	var err error
	if w.producer, err = s.e.client.InitProducer(ctx, fmt.Sprintf("%s-enforce-%d", s.e.producer, p)); err != nil {
		return nil, fmt.Errorf("take over what is enforced: %w", err)
	}
	fence := kafka.Record{Key: []byte("fence"), Value: []byte{}, Time: time.Now().UnixMilli(), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindFence)}}}
	if err := w.write(ctx, s.e.client, []kafka.Record{fence}); err != nil {
		return nil, fmt.Errorf("take over what is enforced: %w", err)
	}
	s.writers[p] = w
	known := map[string]enforce.Mark{}
	err = readToEnd(ctx, s.e.client, w.at, 0, func(r kafka.Record) error {
		if header(r, schemas.HeaderKind) != string(schemas.KindEnforced) || r.Value == nil {
			return nil
		}
		x, err := enforce.Decode(r.Value)
		if err != nil {
			return fmt.Errorf("%s, offset %d: %w", w.at, r.Offset, err)
		}
		known[x.Entity.Key()] = x.Last
		each(p, x)
		return nil
	})
	return known, err
}

// before hands out statuses of which no state is kept and whose decisions are not read any
// more.
func (s *enforcedStore) before(ctx context.Context, at kafka.Position, known map[string]enforce.Mark, each func(int32, *enforce.State)) error {
	p := at.Partition
	topic := s.e.prefix + string(schemas.TopicStatus)
	missing := map[string]schemas.Status{}
	all, err := lastValues(ctx, s.e.client, topic, []int32{p}, func(string) bool { return true })
	if err != nil {
		return err
	}
	for key, b := range all {
		var st schemas.Status
		if err := json.Unmarshal(b, &st); err != nil || st.Decision == "" || !st.Binds() {
			continue // it asks nothing of a receiver
		}
		if k, ok := known[key]; !ok || st.Newer(schemas.Status{Episode: k.Episode, Step: k.Step}) {
			missing[st.Decision] = st
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// Statuses are published before their decisions are read: what still comes is not missing.
	coming := map[string]bool{}
	err = readToEnd(ctx, s.e.client, at.TopicPartition, at.Offset, func(r kafka.Record) error {
		coming[string(r.Key)] = true
		return nil
	})
	if err != nil {
		return err
	}
	for d, st := range missing {
		if coming[st.Entity.Key()] {
			delete(missing, d)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	outcomes := map[string][]schemas.Action{}
	err = s.e.newest(ctx, schemas.TopicActions, []int32{p}, func(r kafka.Record) {
		var a schemas.Action
		if json.Unmarshal(r.Value, &a) == nil {
			if _, ok := missing[a.Decision]; ok {
				outcomes[a.Decision] = append(outcomes[a.Decision], a)
			}
		}
	})
	if err != nil {
		return err
	}
	for d, st := range missing {
		each(p, s.fromStatus(st, outcomes[d]))
	}
	s.e.log.Info("statuses that were decided before are compared with what was carried out", "partition", p, "statuses", len(missing))
	return nil
}

// fromStatus is the state of an entity of which its status and the outcomes of its
// decision are known.
func (s *enforcedStore) fromStatus(st schemas.Status, outcomes []schemas.Action) *enforce.State {
	account := ""
	if st.Entity.Kind == schemas.KindAccount {
		account = st.Entity.ID
	}
	x := &enforce.State{
		Entity: st.Entity, Last: enforce.MarkOf(&st, st.Since),
		Changes: []enforce.Wanted{{Since: time.Now().UTC(), Record: &decision.Record{Status: &st, Again: true, Decision: schemas.Decision{
			ID: st.Decision, Time: st.Since, Entity: st.Entity, Account: account, Verdict: st.Verdict, Proposed: st.Verdict, Mode: schemas.ModeLive,
			Episode: st.Episode, NoticeReason: st.Reason, By: st.By,
		}}}},
		Receivers: map[string]*enforce.Receipt{},
	}
	for _, n := range s.e.platforms {
		r := &enforce.Receipt{Pending: []string{st.Decision}}
		for _, a := range outcomes {
			switch {
			case a.Target != n.Name():
			case a.Outcome == enforce.OutcomeDone:
				mark := enforce.MarkOf(&st, a.Time)
				r = &enforce.Receipt{Confirmed: &mark}
			case a.Outcome == enforce.OutcomeHeld:
				r.Held = true
			}
		}
		x.Receivers[n.Name()] = r
	}
	return x
}

// Save writes states of one partition.
func (s *enforcedStore) Save(ctx context.Context, partition int32, states []enforce.Saved) error {
	records := make([]kafka.Record, len(states))
	for i, x := range states {
		records[i] = keyed(schemas.KindEnforced, x.Key, x.Key, x.Value)
	}
	for len(records) > 0 {
		n := batchOf(records)
		if err := s.writers[partition].write(ctx, s.e.client, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// ReadEnforced returns what is kept of carrying out an entity's status; nil where nothing
// is. It needs no role to be running.
func ReadEnforced(ctx context.Context, c *kafka.Client, cfg *config.Config, e schemas.Entity) (*enforce.State, error) {
	topic := cfg.Kafka.Prefix + string(schemas.TopicEnforced)
	lanes, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	key := e.Key()
	all, err := lastValues(ctx, c, topic, []int32{kafka.Partition([]byte(key), lanes)}, func(k string) bool { return k == key })
	if err != nil || all[key] == nil {
		return nil, err
	}
	return enforce.Decode(all[key])
}

// ReadAllEnforced returns what is kept of carrying out, by entity.
func ReadAllEnforced(ctx context.Context, c *kafka.Client, cfg *config.Config) (map[string]*enforce.State, error) {
	out := map[string]*enforce.State{}
	err := eachLast(ctx, c, cfg, schemas.TopicEnforced, func(key string, value []byte) error {
		s, err := enforce.Decode(value)
		if err == nil {
			out[key] = s
		}
		return err
	})
	return out, err
}

// eachLast hands out the last value of each key of a compacted topic.
func eachLast(ctx context.Context, c *kafka.Client, cfg *config.Config, t schemas.Topic, each func(key string, value []byte) error) error {
	topic := cfg.Kafka.Prefix + string(t)
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return err
	}
	for p := range int32(n) {
		all, err := lastValues(ctx, c, topic, []int32{p}, func(string) bool { return true })
		if err != nil {
			return err
		}
		for key, value := range all {
			if err := each(key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// AskRetry has enforcement tell receivers of an entity now. The request is an operator
// record, which says who asked and why; enforcement reads it in any process.
func AskRetry(ctx context.Context, c *kafka.Client, cfg *config.Config, e schemas.Entity, actor, why string) error {
	lanes, err := c.Partitions(ctx, cfg.Kafka.Prefix+string(schemas.TopicOperator))
	if err != nil {
		return err
	}
	op := schemas.Operator{ID: "opr_" + ulid.Make().String(), Time: time.Now().UTC().Truncate(time.Millisecond), Actor: actor, Act: enforce.ActRetry, Entity: e, Why: why}
	b, err := json.Marshal(op)
	if err != nil {
		return err
	}
	return writeKeyed(ctx, c, cfg.Kafka.Prefix, lanes, schemas.TopicOperator, schemas.KindOperator, op.ID, e.Key(), b)
}
