package lane

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Reasons for which a lane rejects a record, beside those of schemas.Error.
const (
	ReasonFold  schemas.Reason = "fold_failed"   // the fold gave an error of its own
	ReasonPanic schemas.Reason = "fold_panicked" // the fold's fault, caught
)

// RejectedHead is how much of a rejected record is kept.
const RejectedHead = 64 << 10

// take folds one record in, or forwards or rejects it.
func (l *lane) take(input int, rec *kafka.Record) {
	l.pos[input] = rec.Offset + 1
	id := l.read(input, rec)
	in := &l.in
	if r := l.rings[input]; r != nil && in.Kind != schemas.KindFence && in.ID != "" {
		in.Duplicate = r.Seen(rec.Offset, in.Source, in.ID)
	}
	if in.Kind == schemas.KindFence {
		return
	}
	l.meter.records[input].Inc()
	if in.Duplicate {
		l.meter.duplicates.Inc()
	}
	before := l.out.serial
	switch size := sizeOf(rec); {
	case size > schemas.MaxRecord+schemas.MaxRecord/2 || len(rec.Value) > schemas.MaxRecord:
		l.reject(input, rec, &schemas.Error{Reason: schemas.ReasonTooLarge, Record: in.ID,
			What: fmt.Sprintf("the record has %d bytes, %d of them its value", size, len(rec.Value)),
			Fix:  fmt.Sprintf("send at most %d", schemas.MaxRecord)})
	case len(rec.Key) == 0:
		l.reject(input, rec, &schemas.Error{Reason: schemas.ReasonWrongKey, Record: in.ID, What: "the record has no key", Fix: "key it by kind:id"})
	case l.misplaced(rec.Key):
		l.forward(input, rec)
	default:
		l.apply(input, rec, id)
	}
	l.out.came(before, input, rec.Offset)
}

// read fills in the input's fields and returns where its id stands.
func (l *lane) read(input int, rec *kafka.Record) (id []byte) {
	in := &l.in
	*in = schemas.Input{
		Topic: l.r.cfg.Role.Inputs[input].Topic, Partition: l.n, Offset: rec.Offset,
		Arrival: rec.Time, Value: rec.Value,
	}
	for i := range rec.Headers {
		h := &rec.Headers[i]
		switch h.Key {
		case schemas.HeaderKind:
			in.Kind = schemas.Kind(l.names.get(h.Value))
		case schemas.HeaderID:
			id = h.Value
			in.ID = stringOf(id)
		case schemas.HeaderSource:
			in.Source = l.names.get(h.Value)
		case schemas.HeaderTrust:
			in.Trust = schemas.Trust(l.names.get(h.Value))
		case schemas.HeaderOrigin:
			in.Origin = schemas.Origin(l.names.get(h.Value))
		case schemas.HeaderNetwork:
			in.Network, _ = schemas.ParseNetwork(stringOf(h.Value)) // a bad one counts as none
		}
	}
	return id
}

func (l *lane) misplaced(key []byte) bool {
	return l.r.cfg.Role.Forward && kafka.Partition(key, l.r.cfg.lanes()) != l.n
}

// apply hands a record to the fold and takes what it emitted.
func (l *lane) apply(input int, rec *kafka.Record, id []byte) {
	in := &l.in
	known := l.dirty.open[stringOf(rec.Key)]
	if known != nil {
		in.Key = known.key
	} else {
		in.Key = string(rec.Key)
	}
	l.emitted = l.emitted[:0]
	touched, err := l.call(in)
	if err != nil {
		l.reject(input, rec, err)
		return
	}
	for i := range l.emitted {
		o := &l.emitted[i]
		o.ID, o.Key = own(o.ID, id, in.Value), own(o.Key, id, in.Value)
		if within(o.Value, in.Value) {
			o.Value = bytes.Clone(o.Value)
		}
		l.put(o, in.Arrival)
	}
	if touched {
		l.dirty.touch(known, in.Key, input, in.Offset, l.now)
	}
}

// within tells whether a stands in b's memory.
func within(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(a)))
	return at >= from && at < from+uintptr(len(b))
}

// guarded turns a panic of the fold into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("lane: the fold panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}

// call folds a record and turns a panic into an error.
func (l *lane) call(in *schemas.Input) (touched bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			touched, err = false, &schemas.Error{Reason: ReasonPanic, Record: in.ID, What: fmt.Sprintf("folding it panicked: %v", v)}
			l.r.metrics.panics.Inc()
			l.log.Error("a fold panicked; the record is rejected", "topic", in.Topic, "offset", in.Offset, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	return l.fold.Apply(in, l.emit)
}

// put queues an output for the partition that its key maps to, unless the guard
// withholds it.
func (l *lane) put(o *schemas.Output, arrival int64) {
	if g := l.r.cfg.Role.Guard; g != nil && o.Topic == g.Topic && !l.passes(g, o) {
		l.r.metrics.withheld.Inc()
		return
	}
	d := l.dest(o.Topic, []byte(o.Key))
	if l.once != nil && l.published(o, d) {
		l.r.metrics.withheld.Inc()
		return
	}
	size := recordOverhead + len(o.Key) + len(o.ID) + len(o.Value) + len(o.Source)
	out := *o
	out.Fact, out.Signal = nil, nil // the value is what is sent
	l.out.put(d, outRecord{out: out, arrival: arrival, size: size}, l.now)
}

// passes tells whether an output is newer than what stands on the projection.
func (l *lane) passes(g *Guard, o *schemas.Output) bool {
	v, err := g.Version(o.Value)
	if err != nil {
		l.log.Error("an output of the guarded projection cannot be read; it is withheld", "topic", o.Topic, "key", o.Key, "error", err)
		return false
	}
	now, ok := l.guarded[o.Key]
	if ok && !v.Newer(now) && !l.r.cfg.faults.noGuard {
		return false
	}
	l.guarded[strings.Clone(o.Key)] = v
	return true
}

func (l *lane) dest(t schemas.Topic, key []byte) *dest {
	n := l.r.partitions(t)
	at := kafka.TopicPartition{Topic: l.r.topics[t].name, Partition: 0}
	if n > 1 {
		at.Partition = kafka.Partition(key, n)
	}
	return l.out.dest(at, t, l.r.cfg.Role.bulk(t))
}

// forward sends a record on to the partition that its key maps to. A double is
// known by the one before it, which was forwarded.
func (l *lane) forward(input int, rec *kafka.Record) {
	if l.in.Duplicate {
		return
	}
	l.meter.forwarded.Inc()
	d := l.dest(l.in.Topic, rec.Key)
	raw := &kafka.Record{Time: rec.Time, Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value), Headers: slices.Clone(rec.Headers)}
	for i := range raw.Headers {
		raw.Headers[i].Value = bytes.Clone(raw.Headers[i].Value)
	}
	l.out.put(d, outRecord{raw: raw, size: sizeOf(rec)}, l.now)
}

// reject writes down what a record was and why it could not be used.
func (l *lane) reject(input int, rec *kafka.Record, why error) {
	reason, detail := ReasonFold, why.Error()
	if e, ok := errors.AsType[*schemas.Error](why); ok && e.Reason != "" {
		reason = e.Reason
	}
	l.r.metrics.rejected.WithLabelValues(l.r.cfg.Role.Name, string(reason)).Inc()
	sum := sha256.Sum256(rec.Value)
	digest := hex.EncodeToString(sum[:])
	topic := l.in.Topic
	source := strings.ToValidUTF8(clip(l.in.Source, schemas.MaxID), "\uFFFD")
	r := schemas.Rejected{
		ID:   schemas.DeriveID("rej", string(topic), strconv.Itoa(int(l.n)), strconv.FormatInt(rec.Offset, 10), digest),
		Time: time.UnixMilli(rec.Time).UTC(), Topic: string(topic), Partition: l.n, Offset: rec.Offset,
		Source: source, Reason: reason, Detail: strings.ToValidUTF8(clip(detail, schemas.MaxText), "\uFFFD"),
		Head: rec.Value[:min(len(rec.Value), RejectedHead)], Size: len(rec.Value), SHA256: digest,
	}
	l.finding(schemas.TopicRejected, schemas.KindRejected, r.ID, source, &r)
}

// gap writes down which offsets could not be seen.
func (l *lane) gap(input int, from, to int64, reason string) {
	topic := l.r.cfg.Role.Inputs[input].Topic
	before := l.out.serial
	l.missed(topic, from, to, reason)
	l.out.came(before, input, from)
	l.log.Error("records are gone that were not read", "topic", topic, "from", from, "to", to, "reason", reason)
}

func (l *lane) missed(topic schemas.Topic, from, to int64, reason string) {
	l.r.metrics.gaps.Inc()
	id := schemas.DeriveID("gap", string(topic), strconv.Itoa(int(l.n)), strconv.FormatInt(from, 10), strconv.FormatInt(to, 10))
	l.finding(schemas.TopicGaps, schemas.KindGap, id, "", &schemas.Gap{
		ID: id, Time: l.now.UTC().Truncate(time.Millisecond), Topic: topic, Partition: l.n, From: from, To: to, Reason: reason,
	})
}

// finding queues a record of the lane's own; its id is its key.
func (l *lane) finding(topic schemas.Topic, kind schemas.Kind, id, source string, v any) {
	value, err := json.Marshal(v)
	if err != nil {
		// Strings that a sender chose are the only cause, and they are made valid before.
		l.log.Error("a finding cannot be written", "topic", topic, "id", id, "error", err)
		value = []byte(`{"id":"` + id + `"}`)
	}
	l.put(&schemas.Output{Topic: topic, Kind: kind, ID: id, Key: id, Source: source, Value: value}, 0)
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// sizeOf is what a record takes on the wire, nearly.
func sizeOf(rec *kafka.Record) int {
	n := recordOverhead + len(rec.Key) + len(rec.Value)
	for i := range rec.Headers {
		n += len(rec.Headers[i].Key) + len(rec.Headers[i].Value)
	}
	return n
}
