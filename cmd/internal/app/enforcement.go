package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// enforcement is the role that carries decisions out: a member of its group that
// runs one Enforcer for each generation, and one of a group for each channel of notices.
type enforcement struct {
	client    *kafka.Client
	prefix    string
	producer  string // begins the transactional ids under which states are written
	lanes     int
	cfg       enforce.Config
	platforms []enforce.Platform
	notifiers []enforce.Notifier
	desk      *notify.Desk
	writer    *notify.Writer
	metrics   *enforce.Metrics
	lag       *prometheus.GaugeVec
	noticeLag *prometheus.GaugeVec
	log       *slog.Logger

	mu      sync.Mutex
	current *enforce.Enforcer // nil between generations
}

// ledgerReach is how many records of each journal are looked at for what was done:
// more than can be under way when a process dies.
const ledgerReach = 65536

func (e *enforcement) register(reg prometheus.Registerer) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{Namespace: "holdfast", Subsystem: "enforce", Name: name, Help: help}, labels)
	}
	e.metrics = enforce.NewMetrics(reg)
	e.lag = gauge("lag_records", "Decisions in the log that are not fetched yet.", "partition")
	e.noticeLag = gauge("notice_lag_records", "Notices in the outbox that are not fetched yet, by channel.", "channel", "partition")
}

// Run carries out until ctx ends.
func (e *enforcement) Run(ctx context.Context) error {
	return e.member(ctx, "enforce", schemas.TopicDecisions, e.generation)
}

// RunSender sends one channel's notices until ctx ends.
func (e *enforcement) RunSender(ctx context.Context, n enforce.Notifier) error {
	return e.member(ctx, "notify."+n.Name(), schemas.TopicOutbox, func(ctx context.Context, gen *kafka.Generation) error {
		return e.sending(ctx, gen, n)
	})
}

// member joins a group and works for each of its generations.
func (e *enforcement) member(ctx context.Context, name string, t schemas.Topic, work func(context.Context, *kafka.Generation) error) error {
	group, err := e.client.Join(ctx, kafka.GroupConfig{ID: e.prefix + name, Topics: []string{e.prefix + string(t)}, Lanes: e.lanes})
	if err != nil {
		return fmt.Errorf("join the group of %s: %w", name, err)
	}
	defer group.Close()
	for {
		gen, err := group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: next generation: %w", name, err)
		}
		if err := e.serve(ctx, gen, work); err != nil && ctx.Err() == nil {
			e.log.Warn("goes on with the next generation", "group", name, "error", err)
		}
	}
}

// serve works for one generation, again after a short pause where that fails and the
// generation has not ended.
func (e *enforcement) serve(ctx context.Context, gen *kafka.Generation, work func(context.Context, *kafka.Generation) error) error {
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
	for {
		err := work(ctx, gen)
		if err == nil || errors.Is(err, context.Canceled) || ctx.Err() != nil {
			return nil
		}
		e.log.Warn("enforcement begins again", "error", err)
		if pause(ctx, time.Second) != nil {
			return nil
		}
	}
}

func (e *enforcement) generation(ctx context.Context, gen *kafka.Generation) error {
	s := &decisionSource{e: e, gen: gen}
	if err := s.start(ctx); err != nil {
		return err
	}
	defer e.lag.Reset() // another process may own the partitions next
	deps := enforce.Deps{Source: s, Store: &enforcedStore{e: e, from: s.pos[:len(gen.Lanes)]}, Sink: &sink{e}, Platforms: e.platforms, Desk: e.desk, Metrics: e.metrics, Logger: e.log}
	run := enforce.New(e.cfg, deps)
	e.now(run)
	defer e.now(nil)
	return run.Run(ctx)
}

func (e *enforcement) now(run *enforce.Enforcer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = run
}

// detail says what receivers have yet to confirm, a line for each; nothing where they have
// confirmed everything.
func (e *enforcement) detail() []string {
	e.mu.Lock()
	run := e.current
	e.mu.Unlock()
	if run == nil {
		return nil
	}
	var out []string
	for _, s := range run.Summaries() {
		if s.Undelivered > 0 {
			text := fmt.Sprintf("%s has not confirmed %d changes, the oldest for %s", s.Receiver, s.Undelivered, s.Oldest.Round(time.Second))
			if s.Refused > 0 {
				text += fmt.Sprintf("; it refuses %d of them", s.Refused)
			}
			out = append(out, text)
		}
	}
	return out
}

func (e *enforcement) sending(ctx context.Context, gen *kafka.Generation, n enforce.Notifier) error {
	r := &reader{client: e.client, log: e.log, gauge: func(p int32, lag float64) { e.noticeLag.WithLabelValues(n.Name(), strconv.Itoa(int(p))).Set(lag) }}
	if err := r.start(ctx, gen, e.prefix, schemas.TopicOutbox); err != nil {
		return err
	}
	defer e.noticeLag.DeletePartialMatch(prometheus.Labels{"channel": n.Name()})
	return enforce.NewSender(e.cfg, enforce.SenderDeps{
		Notifier: n, Writer: e.writer, Outbox: &outbox{e, gen, r}, Journal: &journal{e, gen.Lanes}, Metrics: e.metrics, Logger: e.log,
	}).Run(ctx)
}

// reader reads partitions of one or more topics from where a group left off.
type reader struct {
	client *kafka.Client
	log    *slog.Logger
	gauge  func(partition int32, lag float64)
	pos    []kafka.Position
}

// start finds where to go on in each owned partition of the topic: where the group left
// off, else at the log's start, or at its end for what only matters while it is new.
func (r *reader) start(ctx context.Context, gen *kafka.Generation, prefix string, t schemas.Topic) error {
	var tps []kafka.TopicPartition
	for _, p := range gen.Lanes {
		tps = append(tps, kafka.TopicPartition{Topic: prefix + string(t), Partition: p})
	}
	done, err := r.client.Committed(ctx, gen.Group, tps)
	if err != nil {
		return fmt.Errorf("read what was committed: %w", err)
	}
	ranges, err := r.client.Offsets(ctx, tps)
	if err != nil {
		return fmt.Errorf("find the logs' ends: %w", err)
	}
	for _, tp := range tps {
		at := kafka.Position{TopicPartition: tp, Offset: max(done[tp].Offset, ranges[tp].Start)}
		if t == schemas.TopicOperator && done[tp].Offset < 0 {
			at.Offset = ranges[tp].End
		}
		r.pos = append(r.pos, at)
	}
	return nil
}

// next waits for records and hands each on; fences are left out.
func (r *reader) next(ctx context.Context, each func(tp kafka.TopicPartition, rec *kafka.Record)) error {
	got, err := r.client.Fetch(ctx, r.pos, kafka.FetchOptions{MaxWait: time.Second, MaxBytes: 4 << 20})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if !kafka.Retriable(err) {
			return err
		}
		return pause(ctx, 200*time.Millisecond)
	}
	for i, f := range got {
		if f.Err != nil {
			if err := r.repair(ctx, i, f.Err); err != nil {
				return err
			}
			continue
		}
		for j := range f.Records {
			if header(f.Records[j], schemas.HeaderKind) != string(schemas.KindFence) {
				each(f.TopicPartition, &f.Records[j])
			}
		}
		r.pos[i].Offset = f.Next
		if !strings.HasSuffix(f.Topic, string(schemas.TopicOperator)) {
			r.gauge(f.Partition, float64(max(0, f.HighWatermark-f.Next)))
		}
	}
	return nil
}

// repair moves a position that the log has left behind to the log's start.
func (r *reader) repair(ctx context.Context, i int, err error) error {
	if errors.Is(err, kafka.ErrOffsetOutOfRange) {
		tp := r.pos[i].TopicPartition
		ranges, err := r.client.Offsets(ctx, []kafka.TopicPartition{tp})
		if err != nil {
			return fmt.Errorf("find the log's start: %w", err)
		}
		r.log.Warn("records were deleted before they were read", "topic", tp.Topic, "partition", tp.Partition, "from", r.pos[i].Offset, "to", ranges[tp].Start)
		r.pos[i].Offset = ranges[tp].Start
		return nil
	}
	if kafka.Retriable(err) {
		return pause(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("read %v: %w", r.pos[i], err)
}

// decisionSource reads the decisions of one generation's partitions, and the acts of
// people that are enforcement's.
type decisionSource struct {
	e   *enforcement
	gen *kafka.Generation
	reader
}

func (s *decisionSource) start(ctx context.Context) error {
	s.reader = reader{client: s.e.client, log: s.e.log, gauge: func(p int32, lag float64) { s.e.lag.WithLabelValues(strconv.Itoa(int(p))).Set(lag) }}
	for _, t := range []schemas.Topic{schemas.TopicDecisions, schemas.TopicOperator} {
		if err := s.reader.start(ctx, s.gen, s.e.prefix, t); err != nil {
			return fmt.Errorf("enforcement: %w", err)
		}
	}
	return nil
}

// Next waits for decisions. What cannot be decoded is none of this program's; it is
// logged and passed over.
func (s *decisionSource) Next(ctx context.Context) ([]enforce.Item, error) {
	for {
		var items []enforce.Item
		err := s.next(ctx, func(tp kafka.TopicPartition, r *kafka.Record) {
			it := enforce.Item{Topic: schemas.Topic(strings.TrimPrefix(tp.Topic, s.e.prefix)), Partition: tp.Partition, Offset: r.Offset}
			if it.Topic == schemas.TopicOperator {
				var op schemas.Operator
				if json.Unmarshal(r.Value, &op) == nil && op.Act == enforce.ActRetry {
					it.Retry = op.Entity
					items = append(items, it)
				}
				return
			}
			d, err := decision.Decode(r.Value)
			if err != nil {
				s.e.log.Error("a decision cannot be carried out", "partition", tp.Partition, "offset", r.Offset, "error", err)
				return
			}
			if d.Mode == schemas.ModeLive && d.Verdict.Stops() && d.By == "" {
				s.e.log.Info("automatic stop", "verdict", d.Verdict, "entity", schemas.Printable(d.Entity.Key()), "policy", d.Policy, "decision", d.ID, "risk", fmt.Sprintf("%.3f", d.Score))
			}
			it.Record = d
			items = append(items, it)
		})
		if err != nil || len(items) > 0 {
			return items, err
		}
	}
}

// Commit says how far one partition need not be read again.
func (s *decisionSource) Commit(ctx context.Context, t schemas.Topic, partition int32, offset int64) error {
	tp := kafka.TopicPartition{Topic: s.e.prefix + string(t), Partition: partition}
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

// outbox reads letters.
type outbox struct {
	e   *enforcement
	gen *kafka.Generation
	*reader
}

// Next waits for letters.
func (o *outbox) Next(ctx context.Context) ([]enforce.LetterItem, error) {
	for {
		var items []enforce.LetterItem
		err := o.next(ctx, func(tp kafka.TopicPartition, r *kafka.Record) {
			it := enforce.LetterItem{Partition: tp.Partition, Offset: r.Offset, Letter: new(notify.Letter)}
			if err := json.Unmarshal(r.Value, it.Letter); err != nil {
				o.e.log.Error("a notice in the outbox cannot be read", "partition", tp.Partition, "offset", r.Offset, "error", err)
				it.Letter = nil
			}
			items = append(items, it)
		})
		if err != nil || len(items) > 0 {
			return items, err
		}
	}
}

// Commit says how far one partition was sent.
func (o *outbox) Commit(ctx context.Context, partition int32, offset int64) error {
	tp := kafka.TopicPartition{Topic: o.e.prefix + string(schemas.TopicOutbox), Partition: partition}
	return o.e.client.Commit(ctx, o.gen.Assignment, map[kafka.TopicPartition]kafka.Committed{tp: {Offset: offset}})
}

// sink writes actions to their journal, under the entity's key, and letters to the outbox.
type sink struct{ e *enforcement }

// Actions writes outcomes down, and tells the cases what they prove.
func (s *sink) Actions(ctx context.Context, as []schemas.Action) error {
	err := writeAll(ctx, s.e, schemas.TopicActions, schemas.KindAction, as, func(a *schemas.Action) (string, string) { return a.ID, a.Entity.Key() })
	if err != nil {
		return err
	}
	ended := sessionsEnded(as)
	return writeAll(ctx, s.e, schemas.TopicInbox, schemas.KindRequest, ended, func(r *schemas.Request) (string, string) { return r.ID, r.Entity.Key() })
}

// Letters puts messages into the outbox.
func (s *sink) Letters(ctx context.Context, ls []notify.Letter) error {
	return writeAll(ctx, s.e, schemas.TopicOutbox, schemas.KindLetter, ls, func(l *notify.Letter) (string, string) { return l.ID, l.RecordKey() })
}

// writeAll writes records where their keys belong, a batch for each partition.
func writeAll[T any](ctx context.Context, e *enforcement, t schemas.Topic, k schemas.Kind, values []T, of func(*T) (id, key string)) error {
	batches := map[int32][]kafka.Record{}
	for i := range values {
		id, key := of(&values[i])
		b, err := json.Marshal(&values[i])
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", k, id, err)
		}
		r := keyed(k, id, key, b)
		p := kafka.Partition(r.Key, e.lanes)
		batches[p] = append(batches[p], r)
	}
	return e.writeBatches(ctx, t, batches)
}

func (e *enforcement) writeBatches(ctx context.Context, t schemas.Topic, batches map[int32][]kafka.Record) error {
	for p, records := range batches {
		for len(records) > 0 {
			n := batchOf(records)
			if err := e.client.Write(ctx, kafka.TopicPartition{Topic: e.prefix + string(t), Partition: p}, records[:n]); err != nil {
				return fmt.Errorf("write %d records of %s: %w", n, t, err)
			}
			records = records[n:]
		}
	}
	return nil
}

// batchOf is how many of the records go into one batch: below 768 KiB, at least one.
func batchOf(records []kafka.Record) int {
	size := 0
	for i, r := range records {
		if size += len(r.Key) + len(r.Value) + 128; size > 768<<10 && i > 0 {
			return i
		}
	}
	return len(records)
}

func keyed(k schemas.Kind, id, key string, value []byte) kafka.Record {
	return kafka.Record{
		Key: []byte(key), Value: value, Time: time.Now().UnixMilli(),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(k)}, {Key: schemas.HeaderID, Value: []byte(id)}},
	}
}

// writeKeyed writes one record where its key belongs.
func writeKeyed(ctx context.Context, c *kafka.Client, prefix string, lanes int, t schemas.Topic, k schemas.Kind, id, key string, value []byte) error {
	tp := kafka.TopicPartition{Topic: prefix + string(t), Partition: kafka.Partition([]byte(key), lanes)}
	if err := c.Write(ctx, tp, []kafka.Record{keyed(k, id, key, value)}); err != nil {
		return fmt.Errorf("write %s %s: %w", k, id, err)
	}
	return nil
}

// journal writes notices down and reads which are.
type journal struct {
	e     *enforcement
	lanes []int32
}

// Notices writes notices down, beside the letters that they are about.
func (j *journal) Notices(ctx context.Context, told []enforce.Told) error {
	batches := map[int32][]kafka.Record{}
	for i := range told {
		n := &told[i].Notice
		b, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("encode notice %s: %w", n.ID, err)
		}
		r := keyed(schemas.KindNotice, n.ID, told[i].Key, b)
		p := kafka.Partition(r.Key, j.e.lanes)
		batches[p] = append(batches[p], r)
	}
	return j.e.writeBatches(ctx, schemas.TopicNotices, batches)
}

// knownReach is how far back notices are read whole: longer than anything waits or is
// gathered, and than most cases take. Of older ones the id alone counts.
const knownReach = 7 * 24 * time.Hour

// Known hands on the newest notices. Of those of old versions, and of those whose text is no
// longer of use, no more than the id is told.
func (j *journal) Known(ctx context.Context, add func(n *schemas.Notice)) error {
	since := time.Now().Add(-knownReach).UnixMilli()
	return j.e.newest(ctx, schemas.TopicNotices, j.lanes, func(r kafka.Record) {
		n := schemas.Notice{ID: header(r, schemas.HeaderID), Outcome: enforce.OutcomeSent}
		if r.Time >= since {
			var full schemas.Notice
			if json.Unmarshal(r.Value, &full) == nil && full.ID != "" {
				n = full
			}
		}
		if n.ID != "" {
			add(&n)
		}
	})
}

// newest reads the last records of a journal's partitions.
func (e *enforcement) newest(ctx context.Context, t schemas.Topic, lanes []int32, each func(kafka.Record)) error {
	for _, p := range lanes {
		tp := kafka.TopicPartition{Topic: e.prefix + string(t), Partition: p}
		ranges, err := e.client.Offsets(ctx, []kafka.TopicPartition{tp})
		if err != nil {
			return fmt.Errorf("find the end of %v: %w", tp, err)
		}
		err = readToEnd(ctx, e.client, tp, ranges[tp].End-ledgerReach, func(r kafka.Record) error {
			each(r)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
