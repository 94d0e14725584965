package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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

// ofValues are the codes by which ClickHouse speaks of a row's own values: they
// cannot be parsed, converted or held, or they break a constraint. Every other
// refusal is about the store or its machine (no space, no memory, no file, too many
// parts, a table that is not as it should be) and passes: the rows are sent again.
var ofValues = map[int]bool{
	6: true, 25: true, 26: true, 27: true, 38: true, 41: true, 72: true, 376: true, 441: true, 467: true, 675: true, 676: true, // cannot be parsed
	69: true, 70: true, 321: true, 407: true, // out of range, cannot be converted
	117: true, 128: true, 131: true, 349: true, 469: true, 691: true, // incorrect, too large, NULL, a constraint, an enum
}

// errNoVerdict says that the twin could not be asked: it failed in another way than
// the insert did, which says nothing of the rows.
var errNoVerdict = errors.New("the twin table gave no verdict on the rows")

// findBad holds the rows of a refused insert against the table's twin, which
// stores nothing, and takes out those that it refuses by the same code. False: it
// is not the rows. The rows of the range change by this, the range and its token do
// not.
func (j *job) findBad(ctx context.Context, why *clickhouse.Refused) (bool, error) {
	if !ofValues[why.Code] {
		return false, nil
	}
	if said, err := j.askTwin(ctx, j.b.block, why.Code); said == nil || err != nil {
		return false, passed(err)
	}
	var records []kafka.Record
	err := j.scan(ctx, func(r *kafka.Record) {
		if j.only == nil || j.only[r.Offset] {
			records = append(records, copyOf(r))
		}
	})
	if err != nil {
		return false, err
	}
	known := len(j.b.bad)
	drop := map[int64]bool{}
	for _, b := range j.b.bad {
		drop[b.record.Offset] = true
	}
	if err := j.bisect(ctx, records, drop, why.Code); passed(err) != nil {
		return false, err
	}
	j.encode(j.b.block, records, drop)
	return len(j.b.bad) > known, nil
}

// passed leaves out that the twin gave no verdict: the insert is sent again.
func passed(err error) error {
	if errors.Is(err, errNoVerdict) {
		return nil
	}
	return err
}

// askTwin holds a block against the twin and returns its refusal by the code that
// the insert itself gave, nil where it takes the block. A refusal by another code is
// errNoVerdict. An error that does not come from the server is tried again.
func (j *job) askTwin(ctx context.Context, b *clickhouse.Block, code int) (refused *clickhouse.Refused, err error) {
	err = j.persist(ctx, "checking rows", func() error {
		err := j.r.deps.Store.Insert(ctx, j.s.table.Twin(), "", b)
		var said bool
		if refused, said = errors.AsType[*clickhouse.Refused](err); said {
			return nil
		}
		return err
	})
	if err == nil && refused != nil && refused.Code != code {
		return nil, fmt.Errorf("%w: %w", errNoVerdict, refused)
	}
	return refused, err
}

// bisect finds the records that the twin refuses by a code and marks them. What it
// has marked when it ends with an error is marked rightly.
func (j *job) bisect(ctx context.Context, records []kafka.Record, drop map[int64]bool, code int) error {
	block := clickhouse.NewBlock(j.s.table.Table)
	j.encode(block, records, drop)
	if block.Rows() == 0 {
		return nil
	}
	refused, err := j.askTwin(ctx, block, code)
	if err != nil || refused == nil {
		return err
	}
	if block.Rows() > 1 {
		half := len(records) / 2
		if err := j.bisect(ctx, records[:half], drop, code); err != nil {
			return err
		}
		return j.bisect(ctx, records[half:], drop, code)
	}
	for i := range records {
		if !drop[records[i].Offset] && j.gives(&records[i]) {
			drop[records[i].Offset] = true
			j.b.bad = append(j.b.bad, badRow{records[i], refused.Error()})
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
