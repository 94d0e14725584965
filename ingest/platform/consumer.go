package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

const (
	grace      = 5 * time.Second        // for what is on its way when a generation ends
	errorPause = 250 * time.Millisecond // before a partition that cannot be read is asked again
	recount    = time.Minute            // how often new partitions are looked for
)

// consumer reads one topic.
type consumer struct {
	platform *Platform
	topic    *Topic
	group    string
	src      *intake.Source
	mapping  *mapping
	checker  intake.Checker
	log      *slog.Logger
}

// run joins the group and works through its generations. What passes by itself,
// also a topic that does not exist yet, is tried again; nothing else ends it but ctx.
func (c *consumer) run(ctx context.Context) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		since := time.Now()
		err := c.consume(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(since) > time.Minute {
			pause = time.Second
		}
		c.log.Error("consuming stopped and will be tried again", "after", pause, "error", err)
		sleep(ctx, pause)
	}
}

func (c *consumer) consume(ctx context.Context) error {
	source := c.platform.deps.Source
	n, err := source.Partitions(ctx, c.topic.Topic)
	if err != nil {
		return err
	}
	group, err := source.Join(ctx, kafka.GroupConfig{
		ID: c.group, Topics: []string{c.topic.Topic}, Lanes: n, SessionTimeout: c.platform.cfg.SessionTimeout,
	})
	if err != nil {
		return err
	}
	defer group.Close()
	for {
		gen, err := group.Next(ctx)
		if err != nil {
			return err
		}
		err = c.generation(ctx, gen, n)
		gen.Release()
		if err != nil {
			return err
		}
	}
}

// generation reads this member's partitions until the generation is over. What
// was fetched by then is still given a little time to be acknowledged and
// committed, so that the next owner need not send it again.
func (c *consumer) generation(ctx context.Context, gen *kafka.Generation, partitions int) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	patient, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	context.AfterFunc(reading, func() { time.AfterFunc(grace, giveUp) })
	go func() {
		select {
		case <-gen.Done():
			stop()
		case <-reading.Done():
		}
	}()
	err := c.work(reading, patient, gen.Assignment, partitions)
	if errors.Is(err, kafka.ErrStaleGeneration) || reading.Err() != nil {
		return nil // the next generation reads again what was not committed
	}
	return err
}

func (c *consumer) work(reading, patient context.Context, a kafka.Assignment, partitions int) error {
	if len(a.Lanes) == 0 {
		<-reading.Done()
		return nil
	}
	positions, err := c.positions(reading, a)
	if err != nil {
		return err
	}
	counted := time.Now()
	for reading.Err() == nil {
		fetched, err := c.platform.deps.Source.Fetch(reading, positions, kafka.FetchOptions{
			MaxBytes: c.platform.cfg.MaxBytes, PartitionMaxBytes: c.platform.cfg.MaxBytes, ReadCommitted: true,
		})
		if err != nil {
			return err
		}
		if err := c.take(patient, a, positions, fetched); err != nil {
			return err
		}
		if slices.ContainsFunc(fetched, func(f kafka.Fetched) bool { return f.Err != nil }) {
			sleep(reading, errorPause)
		}
		if time.Since(counted) > recount {
			counted = time.Now()
			if n, err := c.platform.deps.Source.Partitions(reading, c.topic.Topic); err == nil && n != partitions {
				return fmt.Errorf("platform: %s has %d partitions now, not %d: joining again to share them out", c.topic.Topic, n, partitions)
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// positions are where the group stands, or begins.
func (c *consumer) positions(ctx context.Context, a kafka.Assignment) ([]kafka.Position, error) {
	source := c.platform.deps.Source
	tps := make([]kafka.TopicPartition, len(a.Lanes))
	for i, lane := range a.Lanes {
		tps[i] = kafka.TopicPartition{Topic: c.topic.Topic, Partition: lane}
	}
	committed, err := source.Committed(ctx, c.group, tps)
	if err != nil {
		return nil, err
	}
	ranges, err := source.Offsets(ctx, tps)
	if err != nil {
		return nil, err
	}
	out := make([]kafka.Position, len(tps))
	for i, tp := range tps {
		at := ranges[tp].Start
		if stands, ok := committed[tp]; ok && stands.Offset >= 0 {
			at = stands.Offset
		} else if c.topic.Start == Latest {
			at = ranges[tp].End
		}
		out[i] = kafka.Position{TopicPartition: tp, Offset: at}
	}
	return out, nil
}

// take sends what was fetched, waits for its acknowledgement, commits, and moves
// the positions on.
func (c *consumer) take(ctx context.Context, a kafka.Assignment, positions []kafka.Position, fetched []kafka.Fetched) error {
	var receipt intake.Receipt
	offsets := map[kafka.TopicPartition]kafka.Committed{}
	accepted := 0
	for i := range fetched {
		f := &fetched[i]
		next := f.Next
		switch {
		case errors.Is(f.Err, kafka.ErrOffsetOutOfRange):
			var err error
			if next, err = c.missed(ctx, &receipt, positions[i]); err != nil {
				return err
			}
		case f.Err != nil:
			c.log.Warn("a partition cannot be read", "partition", f.Partition, "error", f.Err)
			continue
		}
		for j := range f.Records {
			ok, err := c.record(ctx, &receipt, &f.Records[j], f.TopicPartition)
			if err != nil {
				return err
			}
			if ok {
				accepted++
			}
		}
		if next != positions[i].Offset {
			positions[i].Offset = next
			offsets[f.TopicPartition] = kafka.Committed{Offset: next}
		}
	}
	if err := receipt.Wait(ctx); err != nil {
		return err
	}
	c.platform.deps.Metrics.Accepted(c.src, accepted)
	if len(offsets) == 0 {
		return nil
	}
	return c.platform.deps.Source.Commit(ctx, a, offsets)
}

// record maps, checks and sends one record; what cannot be used goes to the
// rejected topic.
func (c *consumer) record(ctx context.Context, receipt *intake.Receipt, rec *kafka.Record, tp kafka.TopicPartition) (accepted bool, err error) {
	deps := &c.platform.deps
	if len(rec.Value) == 0 { // a compacted topic's deletion
		deps.Metrics.Ignored(c.src, 1)
		return false, nil
	}
	if err := c.src.Wait(ctx); err != nil {
		return false, err
	}
	now := deps.Now()
	event, bad := c.mapping.apply(rec, tp)
	var checked intake.Checked
	if bad == nil {
		checked, bad = c.checker.Check(event, c.src, now)
	}
	if bad == nil {
		return true, deps.Writer.Send(ctx, receipt, schemas.TopicEvents, checked.Record)
	}
	deps.Metrics.Refused(c.src, bad.Reason)
	place := intake.Place{Topic: tp.Topic, Partition: tp.Partition, Offset: rec.Offset}
	out, err := intake.Reject(intake.Keep(rec.Value), c.src, place, bad, now)
	if err != nil {
		return false, err
	}
	return false, deps.Writer.Send(ctx, receipt, schemas.TopicRejected, out)
}

// missed answers a position that the broker no longer has, or does not have yet:
// reading goes on at the log's start, and what lies between is a gap.
func (c *consumer) missed(ctx context.Context, receipt *intake.Receipt, at kafka.Position) (int64, error) {
	deps := &c.platform.deps
	ranges, err := deps.Source.Offsets(ctx, []kafka.TopicPartition{at.TopicPartition})
	if err != nil {
		return 0, err
	}
	log := ranges[at.TopicPartition]
	if at.Offset >= log.Start && at.Offset <= log.End {
		return at.Offset, nil
	}
	reason := "the platform's broker deleted records before they were read"
	if at.Offset > log.End {
		reason = fmt.Sprintf("the log ends at %d: the topic was made anew, and is read from its start", log.End)
	}
	c.log.Error("records were missed", "partition", at.Partition, "from", at.Offset, "to", log.Start, "reason", reason)
	place := intake.Place{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset}
	gap, err := intake.Missed(c.src, place, log.Start, reason, deps.Now())
	if err != nil {
		return 0, err
	}
	return log.Start, deps.Writer.Send(ctx, receipt, schemas.TopicGaps, gap)
}
