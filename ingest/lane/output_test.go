package lane

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// TestAcknowledged sends outputs to several partitions, whose answers come in any
// order, and compares what counts as acknowledged with what is.
func TestAcknowledged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOutbox()
		var dests []*dest
		for p := range int32(3) {
			dests = append(dests, o.dest(kafka.TopicPartition{Topic: "t", Partition: p}, "t", false))
		}
		open := map[int64]bool{}
		offsets := map[int64]int64{}
		offset := int64(0)
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			d := dests[rapid.IntRange(0, 2).Draw(t, "dest")]
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				before := o.serial
				for range rapid.IntRange(0, 3).Draw(t, "outputs") {
					o.put(d, outRecord{out: schemas.Output{Key: "k"}, size: 10}, time.Time{})
					open[o.serial], offsets[o.serial] = true, offset
				}
				o.came(before, 0, offset)
				offset++
			case 1:
				if len(d.sending) == 0 && len(d.pending) > 0 {
					d.cut()
				}
			case 2:
				if len(d.sending) > 0 {
					for _, s := range d.sending {
						delete(open, s.serial)
					}
					o.ack(d)
				}
			}
			want, floor, waits := o.serial, int64(0), false
			for s := range open {
				want = min(want, s-1)
				if !waits || offsets[s] < floor {
					floor, waits = offsets[s], true
				}
			}
			if o.acked > want {
				t.Fatalf("acknowledged up to %d, but %d is not", o.acked, want+1)
			}
			if got, gotWaits := o.floor(0); gotWaits != waits || got > floor {
				t.Fatalf("the floor is %d (%t), must be %d (%t)", got, gotWaits, floor, waits)
			}
			if len(open) == 0 && (o.bytes != 0 || !o.empty()) {
				t.Fatalf("all is acknowledged, but %d bytes and up to %d of %d", o.bytes, o.acked, o.serial)
			}
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	d := &dest{}
	o := newOutbox()
	for range 3 {
		o.put(d, outRecord{out: schemas.Output{Key: "k"}, size: maxBatch * 2 / 3}, time.Time{})
	}
	for n := range 3 {
		d.cut()
		if len(d.sending) != 1 || len(d.records) != 1 || len(d.pending) != 2-n {
			t.Fatalf("batch %d has %d records, %d wait", n, len(d.sending), len(d.pending))
		}
		d.sending = d.sending[:0]
	}
	if d.bytes != 0 {
		t.Errorf("%d bytes are left", d.bytes)
	}
}
