package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// enforcement is the role that carries decisions out: a member of its group that
// runs one Enforcer for each generation.
type enforcement struct {
	client *kafka.Client
	prefix string
	lanes  int
	cfg    enforce.Config
	deps   enforce.Deps // without Source, Sink and Ledger
	lag    *prometheus.GaugeVec
	log    *slog.Logger
}

// ledgerReach is how many records of each journal are looked at for what was done:
// more than can be under way when a process dies.
const ledgerReach = 65536

func newEnforceLag(reg prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "enforce", Name: "lag_records",
		Help: "Decisions that stand in the log and are not fetched yet."}, []string{"partition"})
}

// Run carries out until ctx ends.
func (e *enforcement) Run(ctx context.Context) error {
	topic := e.prefix + string(schemas.TopicDecisions)
	group, err := e.client.Join(ctx, kafka.GroupConfig{ID: e.prefix + "enforce", Topics: []string{topic}, Lanes: e.lanes})
	if err != nil {
		return fmt.Errorf("join the group of enforcement: %w", err)
	}
	defer group.Close()
	for {
		gen, err := group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("enforcement: next generation: %w", err)
		}
		if err := e.generation(ctx, gen); err != nil && ctx.Err() == nil {
			e.log.Warn("enforcement goes on with the next generation", "error", err)
		}
	}
}

func (e *enforcement) generation(ctx context.Context, gen *kafka.Generation) error {
	defer gen.Release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-gen.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	if len(gen.Lanes) == 0 {
		<-ctx.Done()
		return nil
	}
	s := &decisionSource{e: e, gen: gen}
	if err := s.start(ctx); err != nil {
		return err
	}
	defer e.lag.Reset() // another process may own the partitions next
	deps := e.deps
	deps.Source, deps.Sink, deps.Ledger = s, &sink{e}, &ledger{e, gen.Lanes}
	err := enforce.New(e.cfg, deps).Run(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// decisionSource reads the decisions of one generation's partitions.
type decisionSource struct {
	e   *enforcement
	gen *kafka.Generation

	pos []kafka.Position
}

func (s *decisionSource) start(ctx context.Context) error {
	topic := s.e.prefix + string(schemas.TopicDecisions)
	var tps []kafka.TopicPartition
	for _, p := range s.gen.Lanes {
		tps = append(tps, kafka.TopicPartition{Topic: topic, Partition: p})
	}
	done, err := s.e.client.Committed(ctx, s.gen.Group, tps)
	if err != nil {
		return fmt.Errorf("enforcement: read what was committed: %w", err)
	}
	ranges, err := s.e.client.Offsets(ctx, tps)
	if err != nil {
		return fmt.Errorf("enforcement: find the logs' ends: %w", err)
	}
	for _, tp := range tps {
		s.pos = append(s.pos, kafka.Position{TopicPartition: tp, Offset: max(done[tp].Offset, ranges[tp].Start)})
	}
	return nil
}

// Next waits for decisions. What cannot be decoded is none of this program's; it is
// logged and passed over.
func (s *decisionSource) Next(ctx context.Context) ([]enforce.Item, error) {
	for {
		got, err := s.e.client.Fetch(ctx, s.pos, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 4 << 20})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			if !kafka.Retriable(err) {
				return nil, fmt.Errorf("read decisions: %w", err)
			}
			if err := pause(ctx, 200*time.Millisecond); err != nil {
				return nil, err
			}
			continue
		}
		var items []enforce.Item
		for i, f := range got {
			if f.Err != nil {
				if err := s.mend(ctx, i, f.Err); err != nil {
					return nil, err
				}
				continue
			}
			items = s.collect(items, f)
			s.pos[i].Offset = f.Next
			s.e.lag.WithLabelValues(strconv.Itoa(int(f.Partition))).Set(float64(max(0, f.HighWatermark-f.Next)))
		}
		if len(items) > 0 {
			return items, nil
		}
	}
}

func (s *decisionSource) collect(items []enforce.Item, f kafka.Fetched) []enforce.Item {
	for _, r := range f.Records {
		if header(r, schemas.HeaderKind) == string(schemas.KindFence) {
			continue
		}
		d, err := decision.Decode(r.Value)
		if err != nil {
			s.e.log.Error("a decision cannot be carried out", "partition", f.Partition, "offset", r.Offset, "error", err)
			continue
		}
		items = append(items, enforce.Item{Partition: f.Partition, Offset: r.Offset, Record: d})
	}
	return items
}

// mend moves a position that the log has left behind to the log's start.
func (s *decisionSource) mend(ctx context.Context, i int, err error) error {
	if errors.Is(err, kafka.ErrOffsetOutOfRange) {
		tp := s.pos[i].TopicPartition
		ranges, err := s.e.client.Offsets(ctx, []kafka.TopicPartition{tp})
		if err != nil {
			return fmt.Errorf("enforcement: find the log's start: %w", err)
		}
		s.e.log.Warn("decisions were deleted before they were carried out", "partition", tp.Partition, "from", s.pos[i].Offset, "to", ranges[tp].Start)
		s.pos[i].Offset = ranges[tp].Start
		return nil
	}
	if kafka.Retriable(err) {
		return pause(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("read %v: %w", s.pos[i], err)
}

// Commit says how far one partition was carried out.
func (s *decisionSource) Commit(ctx context.Context, partition int32, offset int64) error {
	tp := kafka.TopicPartition{Topic: s.e.prefix + string(schemas.TopicDecisions), Partition: partition}
	return s.e.client.Commit(ctx, s.gen.Assignment, map[kafka.TopicPartition]kafka.Committed{tp: {Offset: offset}})
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// sink writes actions and notices to their journals, under the entity's key.
type sink struct{ e *enforcement }

// Action writes one action down.
func (s *sink) Action(ctx context.Context, a schemas.Action) error {
	return s.write(ctx, schemas.TopicActions, schemas.KindAction, a.ID, a.Entity, a)
}

// Notice writes one notice down.
func (s *sink) Notice(ctx context.Context, n schemas.Notice) error {
	return s.write(ctx, schemas.TopicNotices, schemas.KindNotice, n.ID, n.Entity, n)
}

func (s *sink) write(ctx context.Context, t schemas.Topic, k schemas.Kind, id string, entity schemas.Entity, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", k, id, err)
	}
	return writeKeyed(ctx, s.e.client, s.e.prefix, s.e.lanes, t, k, id, entity.Key(), b)
}

// writeKeyed writes one record where its key belongs.
func writeKeyed(ctx context.Context, c *kafka.Client, prefix string, lanes int, t schemas.Topic, k schemas.Kind, id, key string, value []byte) error {
	tp := kafka.TopicPartition{Topic: prefix + string(t), Partition: kafka.Partition([]byte(key), lanes)}
	err := c.Write(ctx, tp, []kafka.Record{{
		Key: []byte(key), Value: value, Time: time.Now().UnixMilli(),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(k)}, {Key: schemas.HeaderID, Value: []byte(id)}},
	}})
	if err != nil {
		return fmt.Errorf("write %s %s: %w", k, id, err)
	}
	return nil
}

// ledger reads what the owned partitions' journals say was done.
type ledger struct {
	e     *enforcement
	lanes []int32
}

// Known adds the ids of the newest actions and notices.
func (l *ledger) Known(ctx context.Context, add func(id string)) error {
	for _, t := range []schemas.Topic{schemas.TopicActions, schemas.TopicNotices} {
		for _, p := range l.lanes {
			tp := kafka.TopicPartition{Topic: l.e.prefix + string(t), Partition: p}
			ranges, err := l.e.client.Offsets(ctx, []kafka.TopicPartition{tp})
			if err != nil {
				return fmt.Errorf("find the end of %v: %w", tp, err)
			}
			err = readToEnd(ctx, l.e.client, tp, ranges[tp].End-ledgerReach, func(r kafka.Record) error {
				if id := header(r, schemas.HeaderID); id != "" {
					add(id)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
