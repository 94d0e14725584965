package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// rejectedHead is how much of a rejected record is kept.
const rejectedHead = 64 << 10

// writeRejected puts the range's bad rows on the rejected topic. It is done
// before the range is closed, so whoever takes over does it again; the id follows
// from where the record stood, as the lanes form it.
func (j *job) writeRejected(ctx context.Context) error {
	for i := range j.b.bad {
		bad := &j.b.bad[i]
		if j.b.Topic == schemas.TopicRejected {
			// Saying so there would never end.
			j.r.log.Error("the store refuses a rejected record", "partition", j.b.Partition, "offset", bad.record.Offset, "reason", bad.why)
			continue
		}
		id, value, err := rejection(j.b.Range, bad)
		if err != nil {
			return err
		}
		err = j.persist(ctx, "writing a rejected record", func() error {
			return j.r.write(ctx, schemas.TopicRejected, schemas.KindRejected, id, value)
		})
		if err != nil {
			return err
		}
		j.r.metrics.rejected.WithLabelValues(string(j.b.Topic)).Inc()
	}
	return nil
}

func rejection(at Range, bad *badRow) (id string, value []byte, err error) {
	rec := &bad.record
	sum := sha256.Sum256(rec.Value)
	digest := hex.EncodeToString(sum[:])
	id = schemas.DeriveID("rej", string(at.Topic), strconv.Itoa(int(at.Partition)), strconv.FormatInt(rec.Offset, 10), digest)
	value, err = json.Marshal(schemas.Rejected{
		ID: id, Time: time.UnixMilli(rec.Time).UTC(), Topic: string(at.Topic), Partition: at.Partition, Offset: rec.Offset,
		Source: clip(readHeaders(rec.Headers).source), Reason: schemas.ReasonStore, Detail: clip(bad.why),
		Head: rec.Value[:min(len(rec.Value), rejectedHead)], Size: len(rec.Value), SHA256: digest,
	})
	return id, value, err
}

// passing are refusals that say nothing about the rows: memory, time, too many
// parts or queries, a store that is read only or is stopping.
var passing = map[int]bool{
	3: true, 159: true, 164: true, 202: true, 209: true, 210: true, 236: true, 241: true, 242: true, 243: true, 252: true,
	285: true, 286: true, 319: true, 394: true, 499: true, 516: true, 999: true,
}

// findBad holds the rows of a refused insert against the table's twin, which
// stores nothing, and takes out those that it refuses as well. False: it is not
// the rows. The rows of the range change by this, the range and its token do not.
func (j *job) findBad(ctx context.Context, why *clickhouse.Refused) (bool, error) {
	if passing[why.Code] {
		return false, nil
	}
	if ok, err := j.accepted(ctx, j.b.block); ok || err != nil {
		return false, err
	}
	var records []kafka.Record
	if err := j.scan(ctx, func(r *kafka.Record) { records = append(records, copyOf(r)) }); err != nil {
		return false, err
	}
	known := len(j.b.bad)
	drop := map[int64]bool{}
	for _, b := range j.b.bad {
		drop[b.record.Offset] = true
	}
	if err := j.bisect(ctx, records, drop); err != nil {
		return false, err
	}
	j.encode(j.b.block, records, drop)
	return len(j.b.bad) > known, nil
}

// accepted tells whether the twin takes a block. An error that does not come from
// the server is tried again.
func (j *job) accepted(ctx context.Context, b *clickhouse.Block) (ok bool, err error) {
	err = j.persist(ctx, "checking rows", func() error {
		err := j.r.deps.Store.Insert(ctx, j.s.table.Twin(), "", b)
		refused, said := errors.AsType[*clickhouse.Refused](err)
		if said && !passing[refused.Code] {
			ok = false
			return nil
		}
		ok = err == nil
		return err
	})
	return ok, err
}

// bisect finds the records that the twin refuses and marks them.
func (j *job) bisect(ctx context.Context, records []kafka.Record, drop map[int64]bool) error {
	block := clickhouse.NewBlock(j.s.table.Table)
	j.encode(block, records, drop)
	if block.Rows() == 0 {
		return nil
	}
	if block.Rows() > 1 {
		if ok, err := j.accepted(ctx, block); ok || err != nil {
			return err
		}
		half := len(records) / 2
		if err := j.bisect(ctx, records[:half], drop); err != nil {
			return err
		}
		return j.bisect(ctx, records[half:], drop)
	}
	var said error
	err := j.persist(ctx, "checking a row", func() error {
		said = j.r.deps.Store.Insert(ctx, j.s.table.Twin(), "", block)
		if refused, ok := errors.AsType[*clickhouse.Refused](said); ok && !passing[refused.Code] {
			return nil
		}
		return said
	})
	if err != nil || said == nil {
		return err
	}
	for i := range records {
		if !drop[records[i].Offset] && j.gives(&records[i]) {
			drop[records[i].Offset] = true
			j.b.bad = append(j.b.bad, badRow{records[i], said.Error()})
		}
	}
	return nil
}

// encode fills a block with the records that are not to be dropped.
func (j *job) encode(block *clickhouse.Block, records []kafka.Record, drop map[int64]bool) {
	enc := newEncoder()
	block.Reset()
	for i := range records {
		if !drop[records[i].Offset] {
			enc.append(block, j.place(), &records[i])
		}
	}
}

// gives tells whether a record makes a row at all.
func (j *job) gives(r *kafka.Record) bool {
	return newEncoder().append(clickhouse.NewBlock(j.s.table.Table), j.place(), r) == stored
}

func (j *job) place() place {
	return place{logID: j.b.LogID, topic: j.b.Topic, partition: j.b.Partition}
}
